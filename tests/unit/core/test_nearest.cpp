// SPDX-License-Identifier: Apache-2.0
#include "core/nearest.hpp"

#include <catch2/catch_test_macros.hpp>
#include <vector>

using namespace belay::core;

TEST_CASE("the nearest name is the one with the fewest edits, none is as good as a far one", "[core]") {
    const std::vector<std::string> known{"soak", "keep", "keep_for", "keep_failed"};
    CHECK(nearest("sock", known) == "soak");
    CHECK(nearest("keepfor", known) == "keep_for");
    CHECK(nearest("kepe", known) == "keep");
    CHECK(nearest("", known).empty());
    CHECK(nearest("xyz", std::vector<std::string>{"apk"}).empty());
    CHECK(nearest("something_else", known).empty());
    CHECK(did_you_mean("sock", known) == ", did you mean 'soak'?");
    CHECK(did_you_mean("something_else", known).empty());
}
