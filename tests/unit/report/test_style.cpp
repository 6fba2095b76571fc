// SPDX-License-Identifier: Apache-2.0
#include "report/style.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay::report;

TEST_CASE("the surroundings decide what a view may use", "[report]") {
    struct row {
        surroundings around;
        bool live, color, utf8;
    };

    for (const auto& [around, live, color, utf8] : {
             row{{true, "xterm", "", "C.UTF-8"}, true, true, true},
             row{{true, "xterm", "1", "en_GB.utf8"}, true, false, true},
             row{{true, "dumb", "", "C.UTF-8"}, false, false, true},
             row{{true, "", "", "C.UTF-8"}, false, false, true},
             row{{true, "xterm", "", "C"}, true, true, false},
             row{{true, "xterm", "", ""}, true, true, false},
             row{{false, "xterm", "", "C"}, false, false, true},
         }) {
        INFO(around.term << " " << around.locale);
        const auto look = style_for(around);
        CHECK(look.live == live);
        CHECK(look.color == color);
        CHECK(look.utf8 == utf8);
        CHECK_FALSE(look.keys);
    }
    CHECK(style_for({true, "xterm", "", "C", true}).keys);
    CHECK_FALSE(style_for({true, "dumb", "", "C", true}).keys);
    CHECK_FALSE(style_for({false, "xterm", "", "C", true}).keys);
}
