// SPDX-License-Identifier: Apache-2.0
// Finds checks: which file a name means, and what the file says of itself. Runs nothing.
#pragma once
#include "checks/shelf.hpp"
#include "core/error.hpp"
#include "core/plan.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace belay::checks {

/// A check that is installed.
struct check_file {
    std::string name;
    std::filesystem::path file;
    core::place where{core::place::guest};
    core::milliseconds timeout{30'000};
    std::string summary;
    bool together{false}; ///< may share a program in the instance with others

    bool operator==(const check_file&) const = default;
};

/// A name in the library, with the check or what is wrong with it. A masked name is not listed.
struct entry {
    std::string name;
    core::expected<check_file> check;
};

/// Reads the description that a check carries in its first 20 lines:
/// `# belay: where=guest timeout=30s summary=What listened still listens` (summary goes on to the end of the line).
/// Without a `where` of its own it runs where `where` says. Error: usage, for a file that cannot be read, is not
/// executable, or whose description is wrong.
core::expected<check_file> describe(const std::filesystem::path& file, core::place where = core::place::guest);

/// Whether the description in the text of a check says `together=yes`.
bool says_together(std::string_view text);

/// Splits `NAME ARG…` at white space; single and double quotes and backslashes group as in a shell. Error: usage.
core::expected<std::vector<std::string>> split_words(const std::string& text);

class library {
public:
    /// `folders` in the order of their precedence; those that do not exist are passed over. `uid`: who runs the checks.
    /// `where` they run, unless they say something else.
    library(std::vector<std::filesystem::path> folders, unsigned uid, core::place where = core::place::guest)
        : shelf_(std::move(folders), uid, "check"), where_(where) {}

    /// The check of a name, as shelf::find. Error: usage, with the nearest known name.
    core::expected<check_file> find(const std::string& name) const;

    /// Whether the name is switched off.
    bool masked(const std::string& name) const { return shelf_.masked(name); }

    /// Everything that can be named, sorted.
    std::vector<entry> list() const;

    /// The check that `NAME ARG…` asks for, ready for a plan. Error: usage.
    core::expected<core::check_spec> resolve(const std::string& text, bool required) const;

private:
    shelf shelf_;
    core::place where_;
};

/// A check without arguments, ready for a plan.
core::check_spec spec_of(const check_file& check);

/// A shell command in the guest, as a check.
core::check_spec command_check(const std::string& command);

} // namespace belay::checks
