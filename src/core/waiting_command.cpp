// SPDX-License-Identifier: Apache-2.0
#include "core/waiting_command.hpp"

#include <algorithm>
#include <array>

namespace belay::core {

const std::string_view turn_mark = "belay: the command is next";
const std::string_view turn_word = "belay: go on\n";

namespace {

constexpr std::string_view waits = R"sh(
) </dev/null 2>/dev/null
echo
echo 'belay: the command is next'
read -r word && [ "$word" = 'belay: go on' ] || exit 1
unset word PWD OLDPWD SHLVL
exec "$@"
)sh";

constexpr std::string_view find_file = R"sh(
find_file() {
    file='' before=$IFS IFS=:
    for folder in $PATH; do
        if [ -f "$folder/$1" ] && [ -x "$folder/$1" ]; then
            file=$folder/$1
            break
        fi
    done
    IFS=$before
}
)sh";

bool is_identifier(std::string_view name) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    return !name.empty() && !is_digit(name.front()) &&
           std::ranges::all_of(name, [&](char c) { return is_letter(c) || is_digit(c); });
}

/// What a shell sets, reads or treats in a way of its own.
bool is_the_shells(std::string_view name) {
    static constexpr std::array<std::string_view, 34> names{
        "_",        "CDPATH", "COLUMNS", "DIRSTACK", "ENV",     "EPOCHREALTIME",   "EPOCHSECONDS", "EUID",
        "FPATH",    "GROUPS", "HISTCMD", "HISTFILE", "IFS",     "LINENO",          "LINES",        "MAIL",
        "MAILPATH", "OLDPWD", "OPTARG",  "OPTERR",   "OPTIND",  "POSIXLY_CORRECT", "PPID",         "PS1",
        "PS2",      "PS4",    "PWD",     "RANDOM",   "SECONDS", "SHELLOPTS",       "SHLVL",        "SRANDOM",
        "UID",      "word"};
    return std::ranges::find(names, name) != names.end() || name.starts_with("BASH");
}

} // namespace

std::vector<std::string> command_that_waits(const std::vector<std::string>& argv, std::string_view first) {
    std::vector<std::string> all{"sh", "-c", "(\n:\n" + std::string(first) + std::string(waits), "sh"};
    all.insert(all.end(), argv.begin(), argv.end());
    return all;
}

bool can_wait(const std::vector<std::string>& argv, const std::vector<std::string>& variables) {
    return !argv.empty() && !argv.front().empty() && !argv.front().starts_with('-') &&
           std::ranges::all_of(variables, [](const auto& name) { return is_identifier(name) && !is_the_shells(name); });
}

std::vector<std::string> waiting_shell() {
    return {"sh", "-s", "belay"}; // the name is for whoever sees it in a list of processes
}

/// A shell reads a compound command whole before it runs any of it (POSIX, Shell Command Language 2.9.4).
std::string script_for_shell(std::string_view text) {
    return "{" + std::string(find_file) + std::string(text) + "\n}\n";
}

} // namespace belay::core
