// SPDX-License-Identifier: Apache-2.0
#include "core/text.hpp"

#include <algorithm>
#include <cstdint>

namespace belay::core {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

/// The number of bytes that a sequence with this first byte has; 0 for a byte that cannot begin one.
std::size_t sequence_length(char first) {
    const auto byte = static_cast<unsigned char>(first);
    if (byte < 0x80) {
        return 1;
    }
    if (byte >= 0xC2 && byte <= 0xDF) {
        return 2;
    }
    if (byte >= 0xE0 && byte <= 0xEF) {
        return 3;
    }
    return byte >= 0xF0 && byte <= 0xF4 ? 4 : 0;
}

/// Whether the second byte keeps a sequence out of the overlong forms, the surrogates and what is beyond U+10FFFF
/// (Unicode 15, table 3-7).
bool second_byte_fits(char first, char second) {
    const auto a = static_cast<unsigned char>(first);
    const auto b = static_cast<unsigned char>(second);
    switch (a) {
    case 0xE0:
        return b >= 0xA0 && b <= 0xBF;
    case 0xED:
        return b >= 0x80 && b <= 0x9F;
    case 0xF0:
        return b >= 0x90 && b <= 0xBF;
    case 0xF4:
        return b >= 0x80 && b <= 0x8F;
    default:
        return is_continuation(second);
    }
}

/// How many bytes at the start of `text` are one valid character; 0 when there is none.
std::size_t valid_prefix(std::string_view text) {
    const auto length = sequence_length(text.front());
    if (length == 0 || length > text.size()) {
        return 0;
    }
    if (length > 1 && !second_byte_fits(text[0], text[1])) {
        return 0;
    }
    for (std::size_t i = 2; i < length; ++i) {
        if (!is_continuation(text[i])) {
            return 0;
        }
    }
    return length;
}

bool is_control(std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    if (character.size() == 1) {
        return first < 0x20 || first == 0x7f;
    }
    return character.size() == 2 && first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0; // C1
}

/// Whether a terminal gets a byte as it is: printable ASCII, and what moves on in the text.
bool passes(char c) {
    return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t' || c == '\r';
}

/// How many bytes at the start of `text` are whole characters that a terminal gets as they are.
std::size_t passing_prefix(std::string_view text) {
    std::size_t size = 0;
    for (;;) {
        const auto rest = text.substr(size);
        const auto ascii = static_cast<std::size_t>(std::ranges::find_if_not(rest, passes) - rest.begin());
        size += ascii;
        const auto length = ascii == rest.size() ? 0 : valid_prefix(rest.substr(ascii));
        if (length < 2 || is_control(rest.substr(ascii, length))) {
            return size;
        }
        size += length;
    }
}

} // namespace

std::string valid_utf8(std::string_view bytes) {
    std::string valid;
    valid.reserve(bytes.size());
    while (!bytes.empty()) {
        const auto length = valid_prefix(bytes);
        valid += length > 0 ? bytes.substr(0, length) : replacement;
        bytes.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return valid;
}

std::string printable(std::string_view text) {
    std::string safe;
    safe.reserve(text.size());
    while (!text.empty()) {
        const auto length = valid_prefix(text);
        if (length == 0) {
            safe += replacement;
        } else if (is_control(text.substr(0, length))) {
            safe += ' ';
        } else {
            safe += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return safe;
}

std::string shell_quote(std::string_view word) {
    const auto harmless = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("_-./:=@%+,").find(c) != std::string_view::npos;
    };
    if (!word.empty() && std::ranges::all_of(word, harmless)) {
        return std::string(word);
    }
    std::string quoted = "'";
    for (const char c : word) {
        if (c == '\'') {
            quoted += "'\\''";
        } else {
            quoted += c;
        }
    }
    return quoted + "'";
}

std::string shell_line(const std::vector<std::string>& argv) {
    std::string line;
    for (const auto& word : argv) {
        line += (line.empty() ? "" : " ") + shell_quote(word);
    }
    return line;
}

std::vector<std::string> commands_in(std::string_view sentence) {
    std::vector<std::string> commands;
    for (auto begin = sentence.find('`'); begin != std::string_view::npos; begin = sentence.find('`', begin)) {
        const auto end = sentence.find('`', begin + 1);
        if (end == std::string_view::npos) {
            break;
        }
        commands.emplace_back(sentence.substr(begin + 1, end - begin - 1));
        begin = end + 1;
    }
    return commands;
}

std::string glob_escape(std::string_view text) {
    std::string pattern;
    for (const char c : text) {
        if (c == '*' || c == '?' || c == '[' || c == '\\') {
            pattern += '\\';
        }
        pattern += c;
    }
    return pattern;
}

std::string terminal_filter::feed(std::string_view bytes) {
    std::string safe;
    safe.reserve(bytes.size());
    while (!bytes.empty()) {
        const bool may_pass =
            mode_ == mode::text && partial_.empty() && (passes(bytes.front()) || (bytes.front() & 0x80) != 0);
        const auto size = may_pass ? passing_prefix(bytes) : 0; // nearly all of any output
        if (size > 0) {
            safe += bytes.substr(0, size);
        } else {
            take(bytes.front(), safe);
        }
        bytes.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return safe;
}

std::string terminal_filter::finish() {
    std::string safe = partial_.empty() ? std::string{} : std::string(replacement);
    partial_.clear();
    mode_ = mode::text;
    return safe;
}

// ECMA-48: ESC [ … final byte 0x40-0x7E is a CSI sequence; ESC followed by one of P X ] ^ _ begins a string that ends
// with BEL or ESC \; ESC with intermediate bytes 0x20-0x2F goes on to a final byte; anything else is two bytes long.
void terminal_filter::take(char c, std::string& safe) {
    const auto byte = static_cast<unsigned char>(c);
    switch (mode_) {
    case mode::text:
        take_text(c, safe);
        return;
    case mode::escape:
        if (c == '[') {
            mode_ = mode::csi;
        } else if (std::string_view("PX]^_").find(c) != std::string_view::npos) {
            mode_ = mode::string;
        } else if (byte < 0x20 || byte > 0x2F) {
            mode_ = mode::text;
        }
        return;
    case mode::csi:
        if ((byte >= 0x40 && byte <= 0x7E) || c == '\n') {
            mode_ = mode::text;
        }
        return;
    case mode::string:
        if (c == '\x1b') {
            mode_ = mode::string_escape;
        } else if (c == '\a' || c == '\n') { // a newline ends a string that nobody closed, so that no output is lost
            mode_ = mode::text;
        }
        return;
    case mode::string_escape:
        mode_ = c == '\x1b' ? mode::string_escape : c == '\\' ? mode::text : mode::string;
        return;
    }
}

void terminal_filter::take_text(char c, std::string& safe) {
    if (!partial_.empty()) {
        if (is_continuation(c) && (partial_.size() > 1 || second_byte_fits(partial_[0], c))) {
            partial_ += c;
            if (partial_.size() == sequence_length(partial_[0])) {
                safe += is_control(partial_) ? std::string{} : partial_;
                partial_.clear();
            }
            return;
        }
        safe += replacement;
        partial_.clear();
    }
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\x1b') {
        mode_ = mode::escape;
    } else if (byte >= 0x80) {
        if (sequence_length(c) == 0) {
            safe += replacement;
        } else {
            partial_ = c;
        }
    } else if (passes(c)) {
        safe += c;
    }
}

std::string last_line(std::string_view text) {
    const auto end = text.find_last_not_of(" \t\r\n");
    if (end == std::string_view::npos) {
        return {};
    }
    text = text.substr(0, end + 1);
    const auto begin = text.rfind('\n');
    return std::string(begin == std::string_view::npos ? text : text.substr(begin + 1));
}

} // namespace belay::core
