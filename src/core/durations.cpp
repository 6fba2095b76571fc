// SPDX-License-Identifier: Apache-2.0
#include "core/durations.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

namespace belay::core {

namespace {

constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> units{{
    {"ms", 1},
    {"s", 1'000},
    {"m", 60'000},
    {"h", 3'600'000},
    {"d", 86'400'000},
}};

constexpr double longest_ms = 10.0 * 365 * 86'400'000;

auto not_a_duration(std::string_view text) {
    return failure(reason::usage, "'" + std::string(text) +
                                      "' is not a duration: write a number and a unit, as in 90s, 15m, 7d, 1.5s or 0");
}

} // namespace

expected<std::chrono::milliseconds> parse_duration(std::string_view text) {
    double number{};
    const auto [rest, problem] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (problem != std::errc{} || !std::isfinite(number) || std::signbit(number)) {
        return not_a_duration(text);
    }
    const std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
    if (unit.empty() && number == 0) {
        return std::chrono::milliseconds{0};
    }
    for (const auto& [name, factor] : units) {
        if (name != unit) {
            continue;
        }
        const double ms = number * static_cast<double>(factor);
        if (ms > longest_ms) {
            return failure(reason::usage, "'" + std::string(text) + "' is too long: at most 10 years (3650d)");
        }
        const auto whole = std::llround(ms);
        if (whole == 0 && number > 0) {
            return failure(reason::usage, "'" + std::string(text) + "' is too short: the shortest duration is 1ms");
        }
        return std::chrono::milliseconds{whole};
    }
    return not_a_duration(text);
}

std::string format_duration(std::chrono::milliseconds duration) {
    const auto ms = duration.count();
    if (ms == 0) {
        return "0";
    }
    if (ms % 1'000 != 0) {
        if (ms < 1'000) {
            return std::to_string(ms) + "ms";
        }
        std::array<char, 32> text{};
        std::snprintf(text.data(), text.size(), "%.3f", static_cast<double>(ms) / 1'000);
        std::string seconds = text.data();
        seconds.erase(seconds.find_last_not_of('0') + 1);
        return seconds + "s";
    }
    auto best = std::pair<std::string_view, std::int64_t>{"s", 1'000};
    for (const auto& unit : units) {
        if (unit.second > best.second && ms % unit.second == 0 && ms / unit.second >= 1) {
            best = unit;
        }
    }
    return std::to_string(ms / best.second) + std::string(best.first);
}

std::string format_seconds(double seconds) {
    std::array<char, 48> text{};
    if (seconds < 9.995) {
        std::snprintf(text.data(), text.size(), "%.2fs", seconds);
    } else if (seconds < 99.95) {
        std::snprintf(text.data(), text.size(), "%.1fs", seconds);
    } else {
        const auto whole = static_cast<long long>(std::llround(seconds));
        if (whole < 3'600) {
            std::snprintf(text.data(), text.size(), "%lldm%02llds", whole / 60, whole % 60);
        } else {
            std::snprintf(text.data(), text.size(), "%lldh%02lldm", whole / 3'600, whole % 3'600 / 60);
        }
    }
    return text.data();
}

} // namespace belay::core
