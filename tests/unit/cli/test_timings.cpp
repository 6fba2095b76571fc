// SPDX-License-Identifier: Apache-2.0
#include "cli/timings.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fcntl.h>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("each timing is a line of its own, said with the next event") {
    std::vector<std::string> said;
    cli::timings t([&](std::string_view line) { said.emplace_back(line); });
    const auto begin = std::chrono::steady_clock::now();
    t.observer()({false, "GET /1.0", begin, begin + 2ms});
    t.observer()({true, "sh -c 'a\nb'", begin, begin + 1500us});
    CHECK(said.empty());
    t.on({});
    REQUIRE(said.size() == 2);
    CHECK_THAT(said[0], ContainsSubstring("request") && ContainsSubstring("     2.000 ms at") &&
                            ContainsSubstring("  GET /1.0"));
    CHECK_THAT(said[1], ContainsSubstring("exec") && ContainsSubstring("     1.500 ms at"));
    for (const auto& line : said) {
        CHECK(line.find('\n') == std::string::npos);
    }
    t.on({});
    CHECK(said.size() == 2);
}

TEST_CASE("a sync is a line with the name of its file, and what is left is said at the end") {
    std::vector<std::string> said;
    {
        cli::timings t([&](std::string_view line) { said.emplace_back(line); });
        const int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        (void)t.files().fdatasync(fd);
        (void)t.files().fsync(fd);
        ::close(fd);
    }
    REQUIRE(said.size() == 2);
    CHECK_THAT(said[0], ContainsSubstring("sync") && ContainsSubstring("test_cli"));
}
