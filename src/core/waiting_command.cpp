// SPDX-License-Identifier: Apache-2.0
#include "core/waiting_command.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace belay::core {

const std::string_view turn_mark = "belay: the command is next";
const std::string_view turn_word = "belay: go on\n";
const std::string_view dismissal = "belay: that is all\n";
const std::string_view proof_line = "belay: a program has run\n";
const std::string_view proof_script = R"sh(find_file true
"$file" </dev/null && echo 'belay: a program has run')sh";

namespace {

constexpr std::string_view behind_first = R"sh(
) </dev/null 2>/dev/null
echo
)sh";

constexpr std::string_view waits = R"sh(
echo 'belay: the command is next'
read -r word && [ "$word" = 'belay: go on' ] || exit 1
)sh";

constexpr std::string_view becomes_command = R"sh(
unset word PWD OLDPWD SHLVL
exec "$@"
)sh";

/// The bystander reads the word, so that it is there before the command may begin, whatever goes wrong with that, and
/// nothing but it ever reads there: the end of its output says that the word has come. What the command substitution
/// waits for has ended long before, so that it is a child of the first process.
constexpr std::string_view before_bystander = R"sh(
[ -c /dev/null ] || exit 1
{ read -r word </proc/1/comm; } 2>/dev/null || word=''
case $word in
systemd | init | init.lxc* | openrc-init | runit | s6-svscan | dinit | procd | shepherd | tini | dumb-init | docker-init | catatonit)
    exec 3<&0 4>&1
    word=$(
        {
            echo 'belay: the command is next' >&4
            read -r word <&3 && [ "$word" = 'belay: go on' ] || exit
            echo next
            exec >/dev/null 4>&-
            read -r word <&3 && exit
            {)sh";

constexpr std::string_view behind_bystander = R"sh(
            } >&2 2>/dev/null
        } &
    )
    [ "$word" = next ] || exit 1
    ;;
*)
)sh";

constexpr std::string_view without_input = R"sh(
    ;;
esac
exec </dev/null 3<&- 4>&-
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

std::vector<std::string> command_that_waits(const std::vector<std::string>& argv, std::string_view first,
                                            bystander beside) {
    auto text = "(\n:\n" + std::string(first) + std::string(behind_first);
    if (beside == bystander::shell) {
        for (const auto part : {before_bystander, find_file, proof_script, behind_bystander, waits, without_input}) {
            text += part;
        }
    } else {
        text += waits;
    }
    text += becomes_command;
    std::vector<std::string> all{"sh", "-c", std::move(text), "sh"};
    all.insert(all.end(), argv.begin(), argv.end());
    return all;
}

bool can_wait(const std::vector<std::string>& argv, const std::vector<std::string>& variables) {
    return !argv.empty() && !argv.front().empty() && !argv.front().starts_with('-') &&
           std::ranges::all_of(variables, [](const auto& name) { return is_identifier(name) && !is_the_shells(name); });
}

std::string proof_filter::feed(std::string_view piece) {
    auto text = std::exchange(held_, {});
    text += piece;
    for (auto size = std::min(text.size(), proof_line.size()); size > 0 && held_.empty(); --size) {
        const auto end = std::string_view(text).substr(text.size() - size);
        if (proof_line.starts_with(end)) {
            held_ = end;
        }
    }
    text.resize(text.size() - held_.size());
    return text;
}

std::string proof_filter::finish() {
    return proves() ? std::string{} : std::exchange(held_, {});
}

bool can_stand_by(const std::vector<std::string>& variables) {
    return std::ranges::none_of(variables, [](const auto& name) { return name == "PATH" || name.starts_with("LD_"); });
}

std::vector<std::string> waiting_shell() {
    return {"sh", "-s", "belay"}; // the name is for whoever sees it in a list of processes
}

/// A shell reads a compound command whole before it runs any of it (POSIX, Shell Command Language 2.9.4).
std::string script_for_shell(std::string_view text) {
    return "{" + std::string(find_file) + std::string(text) + "\n}\n";
}

} // namespace belay::core
