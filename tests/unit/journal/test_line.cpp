// SPDX-License-Identifier: Apache-2.0
// The checksum of a line.
#include "journal/line.hpp"

#include <catch2/catch_test_macros.hpp>

#include <random>

using namespace belay;

namespace {

/// CRC-32/ISO-HDLC, bit by bit.
std::uint32_t slowly(std::string_view bytes) {
    std::uint32_t crc = 0xFFFFFFFF;
    for (const char byte : bytes) {
        crc ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc & 1U) != 0 ? (crc >> 1U) ^ 0xEDB88320 : crc >> 1U;
        }
    }
    return ~crc;
}

} // namespace

TEST_CASE("the checksum has the values that the standards give for it", "[journal]") {
    CHECK(journal::crc32("") == 0);
    CHECK(journal::crc32("123456789") == 0xCBF43926); // the check value of CRC-32/ISO-HDLC
    CHECK(journal::crc32("The quick brown fox jumps over the lazy dog") == 0x414FA339);
    CHECK(journal::crc32(std::string(32, '\0')) == 0x190A55AD);
    CHECK(journal::crc32(std::string(32, '\xFF')) == 0xFF6CAB0B);
}

TEST_CASE("the checksum does not depend on how many bytes there are, where they are, and in how many pieces",
          "[journal]") {
    std::mt19937 random(7);
    std::string bytes(96, '\0');
    for (auto& byte : bytes) {
        byte = static_cast<char>(random());
    }
    for (std::size_t begin = 0; begin < 16; ++begin) {
        for (std::size_t size = 0; size <= 64; ++size) {
            const auto part = std::string_view(bytes).substr(begin, size);
            INFO(size << " bytes from " << begin);
            REQUIRE(journal::crc32(part) == slowly(part));
            const auto half = size / 3;
            REQUIRE(journal::crc32(part.substr(half), journal::crc32(part.substr(0, half))) == slowly(part));
        }
    }
}

TEST_CASE("a checksum has all of its eight digits", "[journal]") {
    for (int i = 0; i < 64; ++i) { // four of them begin with a zero
        const auto line = journal::seal("{\"v\":" + std::to_string(i) + "}", journal::first_sum);
        CHECK(journal::sum_of(line).find_first_not_of("0123456789abcdef") == std::string_view::npos);
        CHECK(journal::sum_of(line).size() == 8);
        CHECK(journal::sealed_after(line, journal::first_sum));
        CHECK_FALSE(journal::sealed_after(line, "00000001"));
    }
}
