// SPDX-License-Identifier: Apache-2.0
#include "checks/library.hpp"

#include "core/durations.hpp"
#include "core/text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <unistd.h>
#include <utility>

namespace belay::checks {

namespace fs = std::filesystem;
using core::reason;

namespace {

constexpr int description_lines = 20;
constexpr std::string_view description_mark = "# belay:";

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
    } else if (key == "together") {
        if (value != "yes" && value != "no") {
            return core::failure(reason::usage,
                                 fmt::format("together={} in the description of check {}: write yes or no",
                                             core::printable(value), shown(check.file)));
        }
        check.together = value == "yes";
    } else {
        return core::failure(reason::usage,
                             fmt::format("unknown key '{}' in the description of check {}: known are where, "
                                         "timeout, together and summary",
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

/// The descriptions in the first lines of a file.
core::expected<void> take_descriptions(check_file& check, std::istream& in) {
    std::string line;
    for (int i = 0; i < description_lines && std::getline(in, line); ++i) {
        if (line.starts_with(description_mark)) {
            BELAY_TRY_VOID(take_description(check, std::string_view(line).substr(description_mark.size())));
        }
    }
    return {};
}

} // namespace

core::expected<check_file> describe(const fs::path& file, core::place where) {
    check_file check;
    check.where = where;
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
    BELAY_TRY_VOID(take_descriptions(check, in));
    return check;
}

bool says_together(std::string_view text) {
    check_file check;
    std::istringstream in{std::string(text)};
    return take_descriptions(check, in) && check.together;
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

core::expected<check_file> library::find(const std::string& name) const {
    BELAY_TRY(const auto, file, shelf_.find(name));
    return describe(file, where_);
}

std::vector<entry> library::list() const {
    std::vector<entry> all;
    for (const auto& [name, file] : shelf_.list()) {
        auto check = describe(file, where_);
        const auto trusted = shelf_.check_trust(file);
        all.push_back({name, check && !trusted ? std::unexpected(trusted.error()) : std::move(check)});
    }
    return all;
}

core::expected<core::check_spec> library::resolve(const std::string& text, bool required) const {
    BELAY_TRY(auto, words, split_words(text));
    if (words.empty()) {
        return core::failure(reason::usage, "the name of a check is empty: `belay checks` lists what is installed");
    }
    BELAY_TRY(auto, found, find(words.front()));
    auto spec = spec_of(found);
    spec.args.assign(words.begin() + 1, words.end());
    if (!spec.args.empty()) {
        spec.name += fmt::format(" {}", core::printable(core::shell_line(spec.args)));
    }
    spec.required = required;
    return spec;
}

core::check_spec spec_of(const check_file& check) {
    core::check_spec spec;
    std::error_code ignored;
    spec.name = check.name;
    spec.file = fs::absolute(check.file, ignored).string();
    spec.where = check.where;
    spec.timeout = check.timeout;
    return spec;
}

core::check_spec command_check(const std::string& command) {
    core::check_spec spec;
    spec.name = "command: " + core::printable(command);
    spec.args = {command};
    return spec;
}

} // namespace belay::checks
