// SPDX-License-Identifier: Apache-2.0
#include "core/time_text.hpp"

#include <catch2/catch_test_macros.hpp>

#include <random>

using namespace belay;
using core::milliseconds;
using core::wall_time;

TEST_CASE("times are written as RFC 3339 in UTC with milliseconds", "[codec]") {
    CHECK(core::to_rfc3339(wall_time{}) == "1970-01-01T00:00:00.000Z");
    CHECK(core::to_rfc3339(wall_time{milliseconds{-1}}) == "1969-12-31T23:59:59.999Z");
    CHECK(core::to_rfc3339(wall_time{milliseconds{1'795'473'600'123}}) == "2026-11-23T22:40:00.123Z");
    CHECK(core::to_rfc3339(wall_time{milliseconds{1'709'164'800'000}}) == "2024-02-29T00:00:00.000Z");
}

TEST_CASE("a time beyond the form's range is written as the nearest one", "[codec]") {
    CHECK(core::to_rfc3339(wall_time::max()) == "9999-12-31T23:59:59.999Z");
    CHECK(core::to_rfc3339(wall_time::min()) == "0000-01-01T00:00:00.000Z");
}

TEST_CASE("every time is read back exactly", "[codec]") {
    std::mt19937_64 random(7);
    std::uniform_int_distribution<milliseconds::rep> moment(-62'167'219'200'000, 253'402'300'799'999);
    for (int i = 0; i < 10'000; ++i) {
        const wall_time time{milliseconds{moment(random)}};
        CHECK(core::from_rfc3339(core::to_rfc3339(time)) == time);
    }
}

TEST_CASE("other fractions are understood", "[codec]") {
    const wall_time whole{milliseconds{1'795'473'600'000}};
    CHECK(core::from_rfc3339("2026-11-23T22:40:00Z") == whole);
    CHECK(core::from_rfc3339("2026-11-23T22:40:00.1Z") == whole + milliseconds{100});
    CHECK(core::from_rfc3339("2026-11-23T22:40:00.123456789Z") == whole + milliseconds{123});
}

TEST_CASE("what is no time is not read", "[codec]") {
    for (const auto* text :
         {"", "Z", "2026-11-23", "2026-11-23T22:40:00", "2026-11-23T22:40:00+00:00", "2026-11-23 22:40:00Z",
          "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T22:60:00Z",
          "2026-11-23T22:40:60Z", "2026-11-23T22:40:00.Z", "2026-11-23T22:40:00.1234567890Z", "2026-11-23T22:40:00.12x",
          "2026-11-23T22:40:00Z ", "-026-11-23T22:40:00Z"}) {
        INFO(text);
        CHECK_FALSE(core::from_rfc3339(text));
    }
}
