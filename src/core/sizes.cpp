// SPDX-License-Identifier: Apache-2.0
#include "core/sizes.hpp"

#include "core/text.hpp"

#include <array>
#include <charconv>
#include <limits>
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

expected<std::uint64_t> parse_size(std::string_view text) {
    constexpr std::string_view units = "kmgtpe";
    std::uint64_t number{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string unit(end, text.data() + text.size());
    for (auto& c : unit) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    const bool bytes = unit.empty() || unit == "b";
    const auto which = bytes ? std::string_view::npos : units.find(unit.front());
    const auto rest = std::string_view(unit).substr(bytes ? unit.size() : 1);
    const bool known = bytes || (which != std::string_view::npos && (rest.empty() || rest == "b" || rest == "ib"));
    const auto shift = bytes ? 0U : 10U * static_cast<unsigned>(which + 1);
    if (problem != std::errc{} || !known || number > std::numeric_limits<std::uint64_t>::max() >> shift) {
        return failure(reason::usage, "'" + printable(text) + "' is no size: write 500MiB or 2GiB");
    }
    return number << shift;
}

} // namespace belay::core
