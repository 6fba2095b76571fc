// SPDX-License-Identifier: Apache-2.0
#include "checks/batch.hpp"

#include "core/text.hpp"

#include <charconv>
#include <fmt/format.h>
#include <map>

namespace belay::checks {

namespace {

/// What a script may print on one stream to be taken on this way, in bytes.
constexpr std::size_t longest_output = 262'144;

/// run and run_unheard wait for nothing. $run is the value of run_variable. Each line is out at once, since what a
/// script that hangs has printed counts, and so is the exit status. What a script that goes mad prints is not read
/// beyond $most, and SIGPIPE ends it.
constexpr std::string_view functions = R"sh(
tag() {
    LC_ALL=C total=0 size=0
    while IFS= read -r line || [ -n "$line" ]; do
        size=$((size + ${#line} + 1))
        printf '%s %.2000s\n' "$1" "$line"
        if [ ${#line} -gt 2000 ] || [ $size -gt $most ]; then total=long; break; fi
        total=$((total + 1))
    done
    printf '%s. %s\n' "$1" $total
}
one() {
    VARIABLE=$run.$number "$@" </dev/null 3>&- 4>&-
    printf '%sx %s\n' $number $? >&4
}
run() {
    number=$1
    shift
    { one "$@" 2>&3 | tag ${number}o >&4; } 3>&1 | tag ${number}e &
} 4>&1
run_unheard() {
    number=$1
    shift
    { one "$@"; printf '%se. 0\n' $number >&4; } 2>/dev/null | tag ${number}o >&4 &
} 4>&1
)sh";

std::string replaced(std::string text, std::string_view word, std::string_view by) {
    text.replace(text.find(word), word.size(), by);
    return text;
}

std::optional<std::size_t> number_in(std::string_view text) {
    std::size_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

} // namespace

/// A text that several of them have (udp-dns, say, with other arguments) is there once.
std::string batch_program(const std::vector<batch_script>& scripts) {
    std::string program = fmt::format("most={} run=${}", longest_output, run_variable);
    program += replaced(std::string(functions), "VARIABLE", run_variable);
    std::map<std::string_view, std::size_t> texts;
    for (const auto& script : scripts) {
        if (const auto [at, is_new] = texts.emplace(script.text, texts.size()); is_new) {
            program += fmt::format("text{}={}\n", at->second, core::shell_quote(script.text));
        }
    }
    program += "find_file sh\n";
    for (std::size_t i = 0; i < scripts.size(); ++i) {
        const auto& script = scripts[i];
        program += fmt::format("{} {} \"$file\"", script.is_heard ? "run" : "run_unheard", i);
        for (const auto& option : script.options) {
            program += " " + core::shell_quote(option);
        }
        program += fmt::format(" -c \"$text{}\" {}", texts.at(script.text), core::shell_quote(script.name));
        for (const auto& arg : script.args) {
            program += " " + core::shell_quote(arg);
        }
        program += "\n";
    }
    return program + "wait\n";
}

void batch_reader::read(std::string_view piece) {
    constexpr std::size_t marked = 8; // a line is longer by its mark
    taken_ += piece.size();
    confused_ = confused_ || taken_ > marked * 2 * longest_output * (parts_.size() + 1);
    while (!confused_ && !piece.empty()) {
        const auto end = piece.find('\n');
        rest_ += piece.substr(0, end);
        if (end == std::string_view::npos) {
            return;
        }
        piece.remove_prefix(end + 1);
        confused_ = !take_line(rest_);
        rest_.clear();
    }
}

/// False when it is none of those that can come.
bool batch_reader::take_line(std::string_view line) {
    const auto blank = line.find(' ');
    const auto kind = line.find_first_of("xoe");
    if (blank == std::string_view::npos || kind > blank) {
        return false;
    }
    const auto script = number_in(line.substr(0, kind));
    const auto mark = line.substr(kind, blank - kind);
    const auto text = line.substr(blank + 1);
    if (!script || *script >= parts_.size()) {
        return false;
    }
    auto& about = parts_[*script];
    auto& printed = mark.front() == 'e' ? about.err : about.out;
    const auto count = number_in(text);
    if (mark == "x" && count) {
        about.status = static_cast<int>(*count);
        return true;
    }
    if (mark == "o" || mark == "e") {
        printed.text += text;
        printed.text += '\n';
        ++printed.lines;
        return true;
    }
    printed.ended = true;
    printed.whole = count == printed.lines;
    return (mark == "o." || mark == "e.") && (count || text == "long");
}

bool batch_reader::ended(std::size_t script) const {
    const auto& one = parts_[script];
    return one.status && one.out.ended && one.err.ended;
}

bool batch_reader::whole(std::size_t script) const {
    const auto& one = parts_[script];
    return one.status && one.out.whole && one.err.whole;
}

} // namespace belay::checks
