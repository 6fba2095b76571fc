// SPDX-License-Identifier: Apache-2.0
#include "core/telling.hpp"

#include <catch2/catch_test_macros.hpp>

using belay::core::telling_lines;
using lines = std::vector<std::string>;

TEST_CASE("the lines that tell why something failed come first, the worst kind before the others", "[core]") {
    const auto* text = "2026-11-24 10:00:01 status installed libc6:amd64\n"
                       "dpkg: error processing package nginx (--configure):\n"
                       "connect() to 10.0.0.1:53 refused\n"
                       "Setting up nginx (1.22)\n"
                       "kernel: nginx[4711]: segfault at 0 ip 00007f\n"
                       "W: warning: something is old\n"
                       "tar: write: No space left on device\n";
    CHECK(telling_lines(text, 10) ==
          lines{"kernel: nginx[4711]: segfault at 0 ip 00007f", "tar: write: No space left on device",
                "dpkg: error processing package nginx (--configure):", "connect() to 10.0.0.1:53 refused",
                "W: warning: something is old"});
    CHECK(telling_lines(text, 2).size() == 2);
    CHECK(telling_lines(text, 0).empty());
}

TEST_CASE("lines that differ in times and process IDs only count once", "[core]") {
    CHECK(telling_lines("2026-11-24T10:00:01+0000 web1 nginx[12]: bind() to 0.0.0.0:80 failed (98)\n"
                        "2026-11-24T10:00:02+0000 web1 nginx[345]: bind() to 0.0.0.0:80 failed (98)\n"
                        "Nov  4 10:00:02 web1 a[3]: fatal\nDec 14 09:00:02 web1 a[39]: fatal\n"
                        "2026-11-24T10:00:03+0000 web1 nginx[345]: cannot go on\n",
                        10) == lines{"Nov  4 10:00:02 web1 a[3]: fatal",
                                     "2026-11-24T10:00:01+0000 web1 nginx[12]: bind() to 0.0.0.0:80 failed (98)",
                                     "2026-11-24T10:00:03+0000 web1 nginx[345]: cannot go on"});
}

TEST_CASE("good news and words that only look alike are passed over", "[core]") {
    CHECK(telling_lines(
              "finished, 0 errors\nSetting up libgpg-error0:amd64 (1.46-1) ...\nno error\nreassertion\n0 failed\n", 10)
              .empty());
    CHECK(telling_lines("10 errors\n", 10) == lines{"10 errors"});
}

TEST_CASE("a line is safe on a terminal and not endless", "[core]") {
    CHECK(telling_lines("\x1b[31merror:\x1b[0m \x1b]0;title\x07red\xff\r\n", 1) == lines{"error: red\xEF\xBF\xBD"});
    const auto cut = telling_lines("error " + std::string(393, 'x') + "äöü", 1);
    REQUIRE(cut.size() == 1);
    CHECK(cut[0].size() <= 400);
    CHECK(cut[0].find("\xEF\xBF\xBD") == std::string::npos);
    CHECK(telling_lines(" 10%\r 20%\rdownload failed\r\n", 1) == lines{"download failed"});
    CHECK(telling_lines("", 3).empty());
    CHECK(telling_lines("\n\n \n", 3).empty());
}
