// SPDX-License-Identifier: Apache-2.0
// Durations as people write them: 90s, 15m, 7d, 1.5s, 0.
#pragma once
#include "core/error.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace belay::core {

/// Reads `NUMBER UNIT` with the units ms, s, m, h and d, or a bare 0. At most 10 years. Error: usage, with examples.
expected<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The shortest exact form that parse_duration reads back: "1.5s", "90s", "15m", "0".
std::string format_duration(std::chrono::milliseconds duration);

/// Seconds for people: "0.08s", "12.3s", "2m05s", "3h10m".
std::string format_seconds(double seconds);

} // namespace belay::core
