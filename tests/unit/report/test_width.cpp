// SPDX-License-Identifier: Apache-2.0
#include "report/width.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay::report;

TEST_CASE("columns are counted, not bytes", "[report]") {
    CHECK(display_width("web1") == 4);
    CHECK(display_width("caf\xc3\xa9") == 4);
    CHECK(display_width("cafe\xcc\x81") == 4); // a combining accent
    CHECK(display_width("完了") == 4);
    CHECK(display_width("✓ ▸ ⠋ …") == 7);
    CHECK(display_width("🚀") == 2);
}

TEST_CASE("what is too wide is cut between characters", "[report]") {
    CHECK(fit("web1", 4) == "web1");
    CHECK(fit("web12", 4) == "web…");
    CHECK(fit("web12", 4, false) == "w...");
    CHECK(fit("完了しました", 6) == "完了…");
    CHECK(fit("完了しました", 7) == "完了し…");
    CHECK(fit("abc", 0).empty());
    for (std::size_t columns = 1; columns < 20; ++columns) {
        CHECK(display_width(fit("a完e\xcc\x81了 web1 しました", columns)) <= columns);
    }
}
