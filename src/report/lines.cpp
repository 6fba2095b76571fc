// SPDX-License-Identifier: Apache-2.0
#include "report/lines.hpp"

#include "report/width.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace belay::report {

namespace {

constexpr std::size_t longest_line = 32U << 10U;

/// So little that it is still in the first cache when its lines are looked for.
constexpr std::size_t copied_at_once = 16U << 10U;

/// How much is given to the filter before the fast path is tried again.
constexpr std::size_t filtered_at_once = 256;

bool harmless(char c) {
    return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t';
}

/// A word whose bytes are all 0x20 to 0x7e. The lowest byte that is not makes the answer exact enough: a false alarm
/// only means eight careful steps.
bool all_printable(std::uint64_t word) {
    constexpr std::uint64_t ones = 0x0101010101010101U;
    constexpr std::uint64_t high = 0x8080808080808080U;
    const auto below_space = (word - ones * 0x20U) & ~word;
    const auto deletes = word ^ (ones * 0x7fU);
    const auto is_delete = (deletes - ones) & ~deletes;
    return ((word | below_space | is_delete) & high) == 0;
}

std::size_t harmless_prefix(std::string_view bytes) {
    std::size_t i = 0;
    for (;;) {
        while (i + sizeof(std::uint64_t) <= bytes.size()) {
            std::uint64_t word{};
            std::memcpy(&word, bytes.data() + i, sizeof word);
            if (!all_printable(word)) {
                break;
            }
            i += sizeof word;
        }
        const auto careful = std::min(bytes.size(), i + sizeof(std::uint64_t));
        for (; i < careful; ++i) {
            if (!harmless(bytes[i])) {
                return i;
            }
        }
        if (i == bytes.size()) {
            return i;
        }
    }
}

/// Where a text may be cut so that no character is torn.
std::size_t cut_before(std::string_view text, std::size_t at) {
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) {
        --at;
    }
    return at;
}

} // namespace

void lane::feed(std::string_view bytes, std::string& complete) {
    while (!bytes.empty()) {
        if (plain_) {
            const auto size = harmless_prefix(bytes.substr(0, copied_at_once));
            take(bytes.substr(0, size), complete);
            bytes.remove_prefix(size);
        }
        if (bytes.empty() || (plain_ && harmless(bytes.front()))) {
            continue;
        }
        const auto safe = filter_.feed(bytes.substr(0, filtered_at_once));
        bytes.remove_prefix(std::min(bytes.size(), filtered_at_once));
        take(ascii_ ? to_ascii(safe) : safe, complete);
        auto probe = filter_;
        plain_ = probe.feed("x") == "x";
    }
}

void lane::finish(std::string& complete) {
    take(ascii_ ? to_ascii(filter_.finish()) : filter_.finish(), complete);
    if (!partial_.empty()) {
        end_line({}, complete);
    }
    rewrites_ = false;
    plain_ = true;
}

void lane::take(std::string_view text, std::string& complete) {
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
        const auto line = text.substr(0, end);
        text.remove_prefix(end + 1);
        const bool simple =
            partial_.empty() && line.size() <= longest_line && line.find('\r') == std::string_view::npos;
        if (simple) {
            end_line(line, complete);
            continue;
        }
        take_part(line, complete);
        end_line({}, complete);
    }
    take_part(text, complete);
}

void lane::take_part(std::string_view part, std::string& complete) {
    while (!part.empty()) {
        const auto text = part.substr(0, part.find('\r'));
        if (!text.empty()) {
            if (rewrites_) {
                partial_.clear();
                rewrites_ = false;
            }
            partial_ += text;
        }
        if (text.size() < part.size()) {
            rewrites_ = true;
        }
        part.remove_prefix(std::min(part.size(), text.size() + 1));
        while (partial_.size() > longest_line) {
            const auto rest = partial_.substr(cut_before(partial_, longest_line));
            partial_.resize(partial_.size() - rest.size());
            end_line({}, complete);
            partial_ = rest;
        }
    }
}

void lane::end_line(std::string_view rest, std::string& complete) {
    complete += prefix_;
    complete += partial_;
    complete += rest;
    complete += '\n';
    partial_.clear();
    rewrites_ = false;
}

void output_lines::feed(const core::output& piece, std::string& complete) {
    latest_ = piece.from == core::output::stream::out ? 0 : 1;
    lanes_[latest_].feed(piece.bytes, complete);
}

void output_lines::finish(std::string& complete) {
    for (auto& one : lanes_) {
        one.finish(complete);
    }
}

} // namespace belay::report
