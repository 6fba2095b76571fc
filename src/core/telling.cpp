// SPDX-License-Identifier: Apache-2.0
#include "core/telling.hpp"

#include "core/text.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace belay::core {

namespace {

constexpr std::size_t longest_line = 400;

struct word {
    std::string_view text; ///< in small letters
    int rank;
};

/// What programs say when something goes wrong, the most telling first. From messages of the kernel, systemd, dpkg,
/// apt, dnf, the C library (strerror) and the usual servers.
constexpr std::array words{word{"segfault", 0},
                           word{"segmentation fault", 0},
                           word{"core dumped", 0},
                           word{"out of memory", 0},
                           word{"no space left", 0},
                           word{"read-only file system", 0},
                           word{"panic", 0},
                           word{"fatal", 0},
                           word{"emerg", 0},
                           word{"traceback", 0},
                           word{"assertion", 0},
                           word{"error", 1},
                           word{"failed", 1},
                           word{"failure", 1},
                           word{"fail:", 1},
                           word{"critical", 1},
                           word{"unable to", 1},
                           word{"cannot", 1},
                           word{"can't", 1},
                           word{"could not", 1},
                           word{"dependency problems", 1},
                           word{"unmet dependencies", 1},
                           word{"half-", 1},
                           word{"new: ", 1},
                           word{"lost: ", 1},
                           word{"denied", 2},
                           word{"not permitted", 2},
                           word{"refused", 2},
                           word{"timed out", 2},
                           word{"no such file", 2},
                           word{"not found", 2},
                           word{"undefined symbol", 1},
                           word{"abort", 2},
                           word{"killed", 2},
                           word{"exit-code", 2},
                           word{"invalid", 2},
                           word{"unknown", 2},
                           word{"fail", 2},
                           word{"warn", 3}};

constexpr int no_rank = 4;

/// Words of good news that have a word of trouble in them.
constexpr std::array harmless{std::string_view("0 errors"),      std::string_view("no error"),
                              std::string_view("without error"), std::string_view("libgpg-error"),
                              std::string_view("0 failed"),      std::string_view("error: 0"),
                              std::string_view("errors: 0")};

char small(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
}

/// Whether the word begins at the beginning of a word of the line: "assertion" is none in "reassertion".
bool has(std::string_view line, std::string_view text) {
    for (auto at = line.find(text); at != std::string_view::npos; at = line.find(text, at + 1)) {
        if (at == 0 || !is_letter(line[at - 1])) {
            return true;
        }
    }
    return false;
}

/// A line in small letters, without what is good news.
std::string lowered(std::string_view line) {
    std::string text(line);
    std::ranges::transform(text, text.begin(), small);
    for (const auto good : harmless) {
        for (auto at = text.find(good); at != std::string::npos; at = text.find(good, at)) {
            const bool number_before = at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9'; // 10 errors
            if (number_before) {
                ++at;
            } else {
                text.erase(at, good.size());
            }
        }
    }
    return text;
}

int rank_of(std::string_view line) {
    const auto text = lowered(line);
    int best = no_rank;
    for (const auto& one : words) {
        if (one.rank < best && has(text, one.text)) {
            best = one.rank;
        }
    }
    return best;
}

/// What two lines have in common that say the same at different times: no digits (nor hexadecimal ones beside a digit),
/// no names of months and days.
std::string shape_of(std::string_view line) {
    std::string shape;
    for (std::size_t i = 0; i < line.size();) {
        auto end = line.find_first_not_of("0123456789abcdefABCDEF", i);
        end = end == std::string_view::npos ? line.size() : end;
        const auto run = line.substr(i, end - i);
        if (run.find_first_of("0123456789") != std::string_view::npos) {
            shape += '0';
            i = end;
        } else {
            const auto text = line.substr(i, std::max<std::size_t>(run.size(), 1));
            shape += text == " " && shape.ends_with(' ') ? std::string_view{} : text; // "Nov  4", "Nov 14"
            i += text.size();
        }
    }
    constexpr std::array months{"Jan ", "Feb ", "Mar ", "Apr ", "May ", "Jun ",
                                "Jul ", "Aug ", "Sep ", "Oct ", "Nov ", "Dec "};
    for (const std::string_view month : months) {
        if (shape.starts_with(month)) {
            shape.erase(0, month.size());
        }
    }
    return shape;
}

/// Cut where a character ends.
std::string_view cut(std::string_view line) {
    auto end = std::min(line.size(), longest_line);
    while (end < line.size() && end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) {
        --end;
    }
    return line.substr(0, end);
}

std::string_view trimmed(std::string_view line) {
    const auto end = line.find_last_not_of(" \t\r");
    line = line.substr(0, end == std::string_view::npos ? 0 : end + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    // A progress bar rewrites its line: the last state counts.
    const auto rewritten = line.rfind('\r');
    return rewritten == std::string_view::npos ? line : line.substr(rewritten + 1);
}

} // namespace

std::vector<std::string> telling_lines(std::string_view text, std::size_t most) {
    terminal_filter filter;
    auto safe = filter.feed(text);
    safe += filter.finish();
    std::array<std::vector<std::string>, no_rank> ranked;
    std::set<std::string> known;
    for (std::size_t from = 0; from < safe.size();) {
        const auto end = std::min(safe.find('\n', from), safe.size());
        const auto line = cut(trimmed(std::string_view(safe).substr(from, end - from)));
        from = end + 1;
        const auto rank = rank_of(line);
        if (rank < no_rank && known.insert(shape_of(line)).second) {
            ranked[static_cast<std::size_t>(rank)].push_back(printable(line));
        }
    }
    std::vector<std::string> chosen;
    for (const auto& lines : ranked) {
        for (std::size_t i = 0; i < lines.size() && chosen.size() < most; ++i) {
            chosen.push_back(lines[i]);
        }
    }
    return chosen;
}

} // namespace belay::core
