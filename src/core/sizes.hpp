// SPDX-License-Identifier: Apache-2.0
// Sizes in bytes as people read and write them: 512 B, 1.5 GiB, 500MiB.
#pragma once
#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace belay::core {

enum class rounding { down, up };

/// A size with the largest unit that leaves at least 1 of it, and one decimal if that is not 0. What there is gets
/// rounded down and what is needed up, so that the two never look as if they fitted when they do not.
std::string format_size(std::uint64_t bytes, rounding how);

/// A whole number of bytes, or of a unit: 1048576, 500MiB, 2GiB, 100M. Each unit is 1024 of the one before, however it
/// is written (K, KB, KiB, k). Error: usage.
expected<std::uint64_t> parse_size(std::string_view text);

} // namespace belay::core
