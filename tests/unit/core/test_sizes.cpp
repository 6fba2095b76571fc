// SPDX-License-Identifier: Apache-2.0
#include "core/sizes.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay::core;

TEST_CASE("a size is a number of bytes or of a unit", "[core]") {
    CHECK(*parse_size("0") == 0);
    CHECK(*parse_size("1048576") == 1'048'576);
    CHECK(*parse_size("7b") == 7);
    for (const auto* text : {"500MiB", "500M", "500mb", "512000K"}) {
        INFO(text);
        CHECK(*parse_size(text) == 500U << 20U);
    }
    CHECK(*parse_size("2GiB") == 2ULL << 30U);
    CHECK(*parse_size("15E") == 15ULL << 60U);
    for (const auto* text : {"", "much", "MiB", "-1", "1.5GiB", "5 MiB", "5MiBs", "5X", "5bb", "16E",
                             "99999999999999999999", "18446744073709551615K"}) {
        INFO(text);
        CHECK_FALSE(parse_size(text));
    }
}
