// SPDX-License-Identifier: Apache-2.0
// Finds files by their names in folders of a certain precedence: checks, collectors of evidence, hooks, recipes. Reads
// and runs none of them.
#pragma once
#include "core/error.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace belay::checks {

/// A path as it stands in a message.
std::string shown(const std::filesystem::path& path);

/// What is in a regular file; nothing when it is none, or cannot be read whole.
std::optional<std::string> read_text(const std::filesystem::path& file);

class shelf {
public:
    /// `folders` in the order of their precedence; those that do not exist are passed over. `noun` is what messages
    /// call a file of this shelf, and `belay NOUNs` lists them. With a `suffix` a file may have it, and its name is
    /// without.
    shelf(std::vector<std::filesystem::path> folders, unsigned uid, std::string noun, std::string suffix = {})
        : folders_(std::move(folders)), uid_(uid), noun_(std::move(noun)), suffix_(std::move(suffix)) {}

    /// The file of a name, which may be trusted. The first folder that has the name wins; an empty file or a link to
    /// /dev/null there masks it. A name with a '/' is a path. Error: usage, with the nearest known name.
    core::expected<std::filesystem::path> find(const std::string& name) const;

    /// Whether the name is switched off.
    bool masked(const std::string& name) const;

    /// Every name with its file, but those that are masked.
    std::map<std::string, std::filesystem::path> list() const;

    /// Whether belay may use the file: as root, none that others may write, in no folder that others may write (sticky
    /// ones owned by root excepted), up to the root. Error: usage, names what others may write.
    core::expected<void> check_trust(const std::filesystem::path& file) const;

    unsigned uid() const { return uid_; }

private:
    std::optional<std::filesystem::path> first_file(const std::string& name) const;

    std::vector<std::filesystem::path> folders_;
    unsigned uid_;
    std::string noun_;
    std::string suffix_;
};

/// The same for a file of any origin.
core::expected<void> check_trust(const std::filesystem::path& file, unsigned uid, const std::string& noun = "check");

} // namespace belay::checks
