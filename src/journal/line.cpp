// SPDX-License-Identifier: Apache-2.0
#include "journal/line.hpp"

#include <array>
#include <cassert>
#include <ranges>

namespace belay::journal {

namespace {

constexpr std::string_view seal_begin = ",\"sum\":\"";
constexpr std::string_view seal_end = "\"}";

constexpr std::size_t at_a_time = 16;

/// `tables[n][byte]`: what a byte with n bytes behind it does to the remainder. So that many bytes go at a time
/// ("slicing by sixteen"): whoever lists the transactions verifies every line of all journals.
constexpr auto tables = [] {
    constexpr std::uint32_t polynomial = 0xEDB88320;
    std::array<std::array<std::uint32_t, 256>, at_a_time> all{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        auto remainder = byte;
        for (int bit = 0; bit < 8; ++bit) {
            remainder = (remainder >> 1U) ^ ((remainder & 1U) != 0 ? polynomial : 0);
        }
        all[0][byte] = remainder;
    }
    for (std::size_t n = 1; n < all.size(); ++n) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const auto before = all[n - 1][byte];
            all[n][byte] = (before >> 8U) ^ all[0][before & 0xFFU];
        }
    }
    return all;
}();

/// Four bytes, the first one lowest, whatever the machine's own order.
std::uint32_t word_at(const unsigned char* bytes) {
    return static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8U |
           static_cast<std::uint32_t>(bytes[2]) << 16U | static_cast<std::uint32_t>(bytes[3]) << 24U;
}

/// What a word with n bytes behind it does to the remainder.
template <std::size_t n>
std::uint32_t behind(std::uint32_t word) {
    return tables[n + 3][word & 0xFFU] ^ tables[n + 2][(word >> 8U) & 0xFFU] ^ tables[n + 1][(word >> 16U) & 0xFFU] ^
           tables[n][word >> 24U];
}

std::string checksum(std::string_view sum_before, std::string_view bytes) {
    auto crc = crc32(bytes, crc32(sum_before));
    std::string digits(first_sum);
    for (auto& digit : std::views::reverse(digits)) {
        digit = "0123456789abcdef"[crc & 0xFU];
        crc >>= 4U;
    }
    return digits;
}

} // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t before) {
    const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
    auto left = bytes.size();
    auto crc = ~before;
    for (; left >= at_a_time; left -= at_a_time, at += at_a_time) {
        crc = behind<12>(crc ^ word_at(at)) ^ behind<8>(word_at(at + 4)) ^ behind<4>(word_at(at + 8)) ^
              behind<0>(word_at(at + 12));
    }
    for (; left > 0; --left, ++at) {
        crc = (crc >> 8U) ^ tables[0][(crc ^ *at) & 0xFFU];
    }
    return ~crc;
}

std::string seal(std::string_view json, std::string_view sum_before) {
    assert(json.ends_with('}'));
    json.remove_suffix(1);
    std::string line;
    line.reserve(json.size() + seal_size + 1);
    line += json;
    line += seal_begin;
    line += checksum(sum_before, json);
    line += seal_end;
    return line;
}

std::string_view sum_of(std::string_view line) {
    if (line.size() < seal_size) {
        return {};
    }
    const auto end = line.substr(line.size() - seal_size);
    if (!end.starts_with(seal_begin) || !end.ends_with(seal_end)) {
        return {};
    }
    return end.substr(seal_begin.size(), first_sum.size());
}

bool sealed_after(std::string_view line, std::string_view sum_before) {
    const auto sum = sum_of(line);
    return !sum.empty() && sum == checksum(sum_before, line.substr(0, line.size() - seal_size));
}

} // namespace belay::journal
