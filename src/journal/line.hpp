// SPDX-License-Identifier: Apache-2.0
// The form of a journal's line: a record's JSON whose last key is a checksum.
//
//     {"v":1,"seq":7, … ,"sum":"1f0c93e2"}\n
//
// The sum is the CRC-32 (ISO-HDLC, as in zlib) of the eight digits of the line before (00000000 for the first line) and
// of this line's bytes up to, not with, `,"sum"`. So a line that is missing, doubled or in another place is seen as
// well as one that was altered.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace belay::journal {

/// What the first line has for the sum of the line before.
inline constexpr std::string_view first_sum = "00000000";

/// `,"sum":"xxxxxxxx"}`
inline constexpr std::size_t seal_size = 18;

/// The CRC-32 of bytes; `before` is that of what stands before them.
std::uint32_t crc32(std::string_view bytes, std::uint32_t before = 0);

/// A record's JSON, with its checksum and without the newline.
std::string seal(std::string_view json, std::string_view sum_before);

/// The eight digits at the end of a sealed line; empty when it has no seal. They are not verified.
std::string_view sum_of(std::string_view line);

/// Whether a line (without its newline) is whole and follows the line with this sum.
bool sealed_after(std::string_view line, std::string_view sum_before);

} // namespace belay::journal
