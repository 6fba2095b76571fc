// SPDX-License-Identifier: Apache-2.0
// Pattern matching as in POSIX 2.13 "Pattern Matching Notation", without locale: `*`, `?`, `[set]`, `[!set]`, `\c`.
#include "core/verdicts.hpp"

namespace belay::core {

namespace {

/// Matches the bracket expression at `pattern[0] == '['` against one character. Sets `length` to the size of the
/// expression, or to 0 when it has no end and so is an ordinary '['.
bool bracket_match(std::string_view pattern, char c, std::size_t& length) {
    std::size_t i = 1;
    const bool inverted = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    if (inverted) {
        ++i;
    }
    bool inside = false;
    for (bool first = true; i < pattern.size(); first = false) {
        if (pattern[i] == ']' && !first) {
            length = i + 1;
            return inside != inverted;
        }
        if (pattern[i] == '\\' && i + 1 < pattern.size()) {
            ++i;
        }
        const char low = pattern[i++];
        char high = low;
        if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
            high = pattern[i + 1];
            i += 2;
        }
        inside = inside || (low <= c && c <= high);
    }
    length = 0;
    return false;
}

/// Matches one element of the pattern (not `*`) against one character; sets how much of the pattern it was.
bool element_match(std::string_view pattern, char c, std::size_t& length) {
    length = 1;
    if (pattern[0] == '?') {
        return true;
    }
    if (pattern[0] == '[') {
        const bool matched = bracket_match(pattern, c, length);
        if (length > 0) {
            return matched;
        }
        length = 1;
        return c == '[';
    }
    if (pattern[0] == '\\' && pattern.size() > 1) {
        length = 2;
        return pattern[1] == c;
    }
    return pattern[0] == c;
}

} // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
    // The last star is the only place to come back to: linear for one star, quadratic at worst, never exponential.
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    while (t < text.size()) {
        std::size_t length = 0;
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.size() && element_match(pattern.substr(p), text[t], length)) {
            p += length;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

} // namespace belay::core
