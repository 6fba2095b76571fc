// SPDX-License-Identifier: Apache-2.0
#include "core/time_text.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace belay::core {

namespace {

using namespace std::chrono;

constexpr sys_days first_day{year{0} / January / 1};
constexpr sys_days day_after_last{year{10'000} / January / 1};

/// Takes a number of exactly so many digits off the front.
std::optional<unsigned> take_number(std::string_view& text, std::size_t digits) {
    if (text.size() < digits) {
        return std::nullopt;
    }
    unsigned number = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        number = number * 10 + static_cast<unsigned>(c - '0');
    }
    text.remove_prefix(digits);
    return number;
}

bool take_char(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

/// A dot and one to nine digits, or nothing at all.
std::optional<milliseconds> take_fraction(std::string_view& text) {
    if (!take_char(text, '.')) {
        return milliseconds{0};
    }
    const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
    if (end == 0 || end > 9) {
        return std::nullopt;
    }
    std::string thousandths(text.substr(0, std::min<std::size_t>(end, 3)));
    thousandths.resize(3, '0');
    std::string_view digits = thousandths;
    text.remove_prefix(end);
    return milliseconds{*take_number(digits, 3)};
}

} // namespace

std::string to_rfc3339(wall_time time) {
    time = std::clamp<wall_time>(time, first_day, day_after_last - milliseconds{1});
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    return text.data();
}

std::optional<wall_time> from_rfc3339(std::string_view text) {
    std::array<unsigned, 6> numbers{};
    constexpr std::array<char, 5> separators{'-', '-', 'T', ':', ':'};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto number = take_number(text, i == 0 ? 4 : 2);
        if (!number || (i < separators.size() && !take_char(text, separators[i]))) {
            return std::nullopt;
        }
        numbers[i] = *number;
    }
    const auto fraction = take_fraction(text);
    const year_month_day date{year{static_cast<int>(numbers[0])}, month{numbers[1]}, day{numbers[2]}};
    if (!fraction || text != "Z" || !date.ok() || numbers[3] > 23 || numbers[4] > 59 || numbers[5] > 59) {
        return std::nullopt;
    }
    return sys_days{date} + hours{numbers[3]} + minutes{numbers[4]} + seconds{numbers[5]} + *fraction;
}

} // namespace belay::core
