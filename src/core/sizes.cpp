// SPDX-License-Identifier: Apache-2.0
#include "core/sizes.hpp"

#include <array>
#include <string_view>

namespace belay::core {

std::string format_size(std::uint64_t bytes, rounding how) {
    constexpr std::array<std::string_view, 7> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    std::uint64_t one = 1;
    while (unit + 1 < units.size() && bytes / one >= 1024) {
        one *= 1024;
        ++unit;
    }
    auto whole = bytes / one;
    const auto scaled = bytes % one * 10; // less than 10 EiB, which 64 bits hold
    auto tenths = scaled / one + (how == rounding::up && scaled % one != 0 ? 1 : 0);
    if (tenths == 10) {
        ++whole;
        tenths = 0;
    }
    return std::to_string(whole) + (tenths == 0 ? "" : "." + std::to_string(tenths)) + " " + std::string(units[unit]);
}

} // namespace belay::core
