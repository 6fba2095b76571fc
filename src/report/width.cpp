// SPDX-License-Identifier: Apache-2.0
#include "report/width.hpp"

#include <algorithm>
#include <array>

namespace belay::report {

namespace {

struct range {
    char32_t first;
    char32_t last;
};

// Unicode 15, general categories Mn and Me and the zero-width format characters, blocks that terminals meet.
constexpr std::array zero_width{
    range{0x0300, 0x036F},   range{0x0483, 0x0489}, range{0x0591, 0x05BD}, range{0x0610, 0x061A},
    range{0x064B, 0x065F},   range{0x06D6, 0x06DC}, range{0x0900, 0x0902}, range{0x093C, 0x093C},
    range{0x0941, 0x0948},   range{0x094D, 0x094D}, range{0x0E31, 0x0E31}, range{0x0E34, 0x0E3A},
    range{0x0E47, 0x0E4E},   range{0x1AB0, 0x1AFF}, range{0x1DC0, 0x1DFF}, range{0x200B, 0x200F},
    range{0x202A, 0x202E},   range{0x2060, 0x2064}, range{0x2066, 0x206F}, range{0x20D0, 0x20FF},
    range{0xFE00, 0xFE0F},   range{0xFE20, 0xFE2F}, range{0xFEFF, 0xFEFF}, range{0xE0001, 0xE007F},
    range{0xE0100, 0xE01EF},
};

// Unicode 15, East Asian Width W and F.
constexpr std::array double_width{
    range{0x1100, 0x115F},   range{0x231A, 0x231B},   range{0x23E9, 0x23EC},   range{0x2614, 0x2615},
    range{0x26A1, 0x26A1},   range{0x2705, 0x2705},   range{0x274C, 0x274C},   range{0x2753, 0x2755},
    range{0x2795, 0x2797},   range{0x2B50, 0x2B50},   range{0x2E80, 0x303E},   range{0x3041, 0x33FF},
    range{0x3400, 0x4DBF},   range{0x4E00, 0x9FFF},   range{0xA000, 0xA4CF},   range{0xA960, 0xA97F},
    range{0xAC00, 0xD7A3},   range{0xF900, 0xFAFF},   range{0xFE30, 0xFE6F},   range{0xFF00, 0xFF60},
    range{0xFFE0, 0xFFE6},   range{0x1F300, 0x1F64F}, range{0x1F680, 0x1F6FF}, range{0x1F7E0, 0x1F7EB},
    range{0x1F900, 0x1F9FF}, range{0x1FA70, 0x1FAFF}, range{0x20000, 0x3FFFD},
};

template <std::size_t N>
bool within(const std::array<range, N>& table, char32_t c) {
    const auto after = std::ranges::upper_bound(table, c, {}, &range::first);
    return after != table.begin() && c <= std::prev(after)->last;
}

std::size_t width_of(char32_t c) {
    if (c < 0x300) {
        return 1;
    }
    return within(zero_width, c) ? 0 : within(double_width, c) ? 2 : 1;
}

/// Takes the first character off the text.
char32_t next_character(std::string_view& text) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    const auto used = std::min(length, text.size());
    char32_t c = length == 1 ? first : first & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < used; ++i) {
        c = c << 6U | (static_cast<unsigned char>(text[i]) & 0x3FU);
    }
    text.remove_prefix(used);
    return c;
}

} // namespace

std::size_t display_width(std::string_view text) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    auto columns = static_cast<std::size_t>(std::ranges::find_if_not(text, is_ascii) - text.begin()); // most: all of it
    text.remove_prefix(columns);
    while (!text.empty()) {
        columns += width_of(next_character(text));
    }
    return columns;
}

std::string fit(std::string_view text, std::size_t columns, bool utf8) {
    if (text.size() <= columns || display_width(text) <= columns) {
        return std::string(text);
    }
    const std::string_view mark = utf8 ? "…" : "...";
    const auto room = columns - std::min(columns, display_width(mark));
    auto rest = text;
    std::size_t taken = 0;
    std::size_t end = 0;
    while (!rest.empty()) {
        taken += width_of(next_character(rest));
        if (taken > room) {
            break;
        }
        end = text.size() - rest.size();
    }
    return std::string(text.substr(0, end)) + std::string(mark.substr(0, columns == 0 ? 0 : mark.size()));
}

void append_padded(std::string& line, std::string_view text, std::size_t columns) {
    const auto width = display_width(text);
    line += text;
    line.append(columns - std::min(columns, width), ' ');
}

std::string pad(std::string_view text, std::size_t columns) {
    std::string padded;
    append_padded(padded, text, columns);
    return padded;
}

std::string to_ascii(std::string_view text) {
    std::string ascii;
    ascii.reserve(text.size());
    while (!text.empty()) {
        const char first = text.front();
        next_character(text);
        ascii += static_cast<unsigned char>(first) < 0x80 ? first : '?';
    }
    return ascii;
}

} // namespace belay::report
