// SPDX-License-Identifier: Apache-2.0
// Sizes in bytes as people read them: 512 B, 1.5 GiB.
#pragma once
#include <cstdint>
#include <string>

namespace belay::core {

enum class rounding { down, up };

/// A size with the largest unit that leaves at least 1 of it, and one decimal if that is not 0. What there is gets
/// rounded down and what is needed up, so that the two never look as if they fitted when they do not.
std::string format_size(std::uint64_t bytes, rounding how);

} // namespace belay::core
