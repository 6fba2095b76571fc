// SPDX-License-Identifier: Apache-2.0
#include "checks/library.hpp"

#include "core/durations.hpp"
#include "core/text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace belay::checks {

namespace fs = std::filesystem;
using core::reason;

namespace {

constexpr int description_lines = 20;
constexpr std::string_view description_mark = "# belay:";

std::string shown(const fs::path& path) {
    return "'" + core::printable(path.string()) + "'";
}

/// An empty file, or a link to /dev/null.
bool masks(const fs::path& file) {
    std::error_code ignored;
    if (fs::is_symlink(file, ignored) && fs::read_symlink(file, ignored) == "/dev/null") {
        return true;
    }
    return fs::is_regular_file(file, ignored) && fs::file_size(file, ignored) == 0;
}

/// Takes one `key=value` of a description into the check.
core::expected<void> take_setting(check_file& check, std::string_view key, std::string_view value) {
    if (key == "where") {
        const auto where = core::from_word<core::place>(value);
        if (!where) {
            return core::failure(reason::usage,
                                 fmt::format("where={} in the description of check {}: write guest or host",
                                             core::printable(value), shown(check.file)));
        }
        check.where = *where;
    } else if (key == "timeout") {
        const auto timeout = core::parse_duration(value);
        if (!timeout || timeout->count() == 0) {
            return core::failure(reason::usage,
                                 fmt::format("timeout={} in the description of check {}: write a duration "
                                             "like 30s",
                                             core::printable(value), shown(check.file)));
        }
        check.timeout = *timeout;
    } else {
        return core::failure(reason::usage,
                             fmt::format("unknown key '{}' in the description of check {}: known are where, "
                                         "timeout and summary",
                                         core::printable(key), shown(check.file)));
    }
    return {};
}

core::expected<void> take_description(check_file& check, std::string_view text) {
    for (;;) {
        const auto start = text.find_first_not_of(" \t\r");
        if (start == std::string_view::npos) {
            return {};
        }
        text.remove_prefix(start);
        const auto equals = text.find('=');
        if (equals == std::string_view::npos) {
            return core::failure(reason::usage,
                                 fmt::format("the description of check {} has '{}' where key=value should be",
                                             shown(check.file), core::printable(text)));
        }
        const auto key = text.substr(0, equals);
        text.remove_prefix(equals + 1);
        if (key == "summary") {
            const auto end = text.find_last_not_of(" \t\r");
            check.summary = core::printable(text.substr(0, end == std::string_view::npos ? 0 : end + 1));
            return {};
        }
        const auto end = text.find_first_of(" \t\r");
        BELAY_TRY_VOID(take_setting(check, key, text.substr(0, end)));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end);
    }
}

/// Levenshtein's distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const auto above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

core::error unknown_check(const std::string& name, const std::vector<entry>& known) {
    std::string nearest;
    std::size_t best = 4;
    for (const auto& candidate : known) {
        if (const auto d = distance(name, candidate.name); d < best) {
            best = d;
            nearest = candidate.name;
        }
    }
    return {reason::usage,
            fmt::format("there is no check '{}'{}: `belay checks` lists what is installed", core::printable(name),
                        nearest.empty() ? "" : ", did you mean '" + nearest + "'?")};
}

} // namespace

core::expected<check_file> describe(const fs::path& file) {
    check_file check;
    check.name = file.filename().string();
    check.file = file;
    std::error_code problem;
    if (!fs::is_regular_file(file, problem)) {
        return core::failure(reason::usage, fmt::format("check {} is not a file", shown(file)));
    }
    if (access(file.c_str(), R_OK) != 0) {
        return core::failure(reason::usage,
                             fmt::format("check {} cannot be read: look at its permissions", shown(file)));
    }
    if (access(file.c_str(), X_OK) != 0) {
        return core::failure(reason::usage, fmt::format("check {0} is not executable: `chmod +x {1}`", shown(file),
                                                        core::shell_quote(file.string())));
    }
    std::ifstream in(file);
    std::string line;
    for (int i = 0; i < description_lines && std::getline(in, line); ++i) {
        if (line.starts_with(description_mark)) {
            BELAY_TRY_VOID(take_description(check, std::string_view(line).substr(description_mark.size())));
        }
    }
    return check;
}

core::expected<void> check_trust(const fs::path& file, unsigned uid) {
    if (uid != 0) {
        return {};
    }
    std::error_code problem;
    const auto real = fs::canonical(file, problem);
    if (problem) {
        return core::failure(reason::usage, fmt::format("check {} cannot be looked at", shown(file)),
                             problem.message());
    }
    for (auto at = real;; at = at.parent_path()) {
        struct stat info {};

        if (stat(at.c_str(), &info) != 0) {
            return core::failure(reason::usage, fmt::format("{} cannot be looked at", shown(at)));
        }
        const bool sticky_of_root = at != real && info.st_uid == 0 && (info.st_mode & S_ISVTX) != 0;
        const bool others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky_of_root;
        if (info.st_uid != 0 || others_write) {
            return core::failure(reason::usage,
                                 fmt::format("check {} is not run as root, since others than root may write {}: "
                                             "`chown root {} && chmod go-w {}`",
                                             shown(file), shown(at), core::shell_quote(at.string()),
                                             core::shell_quote(at.string())));
        }
        if (at == at.parent_path()) {
            return {};
        }
    }
}

core::expected<std::vector<std::string>> split_words(const std::string& text) {
    std::vector<std::string> words;
    std::optional<std::string> word;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
            if (word) {
                words.push_back(*std::exchange(word, std::nullopt));
            }
        } else if (quote == 0 && (c == '\'' || c == '"')) {
            quote = c;
            word = word.value_or("");
        } else if (quote != 0 && c == quote) {
            quote = 0;
        } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
            word = word.value_or("") + text[++i];
        } else {
            word = word.value_or("") + c;
        }
    }
    if (quote != 0) {
        return core::failure(reason::usage, fmt::format("a quote is not closed in check '{}'", core::printable(text)));
    }
    if (word) {
        words.push_back(*word);
    }
    return words;
}

std::optional<fs::path> library::first_file(const std::string& name) const {
    if (name.empty() || name.starts_with('.')) {
        return std::nullopt;
    }
    for (const auto& folder : folders_) {
        std::error_code ignored;
        if (auto file = folder / name; fs::exists(fs::symlink_status(file, ignored))) {
            return file;
        }
    }
    return std::nullopt;
}

bool library::masked(const std::string& name) const {
    const auto file = first_file(name);
    return file && masks(*file);
}

core::expected<check_file> library::find(const std::string& name) const {
    const auto load = [&](const fs::path& file) -> core::expected<check_file> {
        BELAY_TRY(auto, check, describe(file));
        BELAY_TRY_VOID(check_trust(file, uid_));
        return check;
    };
    std::error_code ignored;
    if (name.find('/') != std::string::npos) {
        if (!fs::exists(name, ignored)) {
            return core::failure(reason::usage, fmt::format("there is no file {} to use as a check", shown(name)));
        }
        return load(name);
    }
    const auto file = first_file(name);
    if (!file) {
        return std::unexpected(unknown_check(name, list()));
    }
    if (masks(*file)) {
        return core::failure(reason::usage, fmt::format("check '{}' is switched off by {}: remove that file to use it",
                                                        core::printable(name), shown(*file)));
    }
    return load(*file);
}

std::vector<entry> library::list() const {
    std::map<std::string, fs::path> first;
    for (const auto& folder : folders_) {
        std::error_code problem;
        for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
            const auto name = at->path().filename().string();
            if (!name.starts_with('.') && !name.ends_with('~')) {
                first.try_emplace(name, at->path());
            }
        }
    }
    std::vector<entry> all;
    for (const auto& [name, file] : first) {
        if (!masks(file)) {
            auto check = describe(file);
            const auto trusted = check_trust(file, uid_);
            all.push_back({name, check && !trusted ? std::unexpected(trusted.error()) : std::move(check)});
        }
    }
    return all;
}

core::expected<core::check_spec> library::resolve(const std::string& text, bool required) const {
    BELAY_TRY(auto, words, split_words(text));
    if (words.empty()) {
        return core::failure(reason::usage, "the name of a check is empty: `belay checks` lists what is installed");
    }
    BELAY_TRY(auto, found, find(words.front()));
    core::check_spec spec;
    spec.name = found.name;
    spec.args.assign(words.begin() + 1, words.end());
    if (!spec.args.empty()) {
        spec.name += fmt::format(" {}", core::printable(core::shell_line(spec.args)));
    }
    std::error_code ignored;
    spec.file = fs::absolute(found.file, ignored).string();
    spec.where = found.where;
    spec.timeout = found.timeout;
    spec.required = required;
    return spec;
}

core::check_spec command_check(const std::string& command) {
    core::check_spec spec;
    spec.name = "command: " + core::printable(command);
    spec.args = {command};
    return spec;
}

} // namespace belay::checks
