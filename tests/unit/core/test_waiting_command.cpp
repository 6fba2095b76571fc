// SPDX-License-Identifier: Apache-2.0
#include "core/waiting_command.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using lines = std::vector<std::string>;

TEST_CASE("a command behind a shell has its own words, and the text says mark and word") {
    const auto all = core::command_that_waits({"apt-get", "", "--", "-y"}, "true\n");
    REQUIRE(all.size() == 8);
    CHECK(lines(all.begin(), all.begin() + 2) == lines{"sh", "-c"});
    CHECK(lines(all.begin() + 3, all.end()) == lines{"sh", "apt-get", "", "--", "-y"});
    CHECK(all[2].find("echo '" + std::string(core::turn_mark) + "'\n") != std::string::npos);
    CHECK(all[2].find("= '" + std::string(core::turn_word.substr(0, core::turn_word.size() - 1)) + "' ]") !=
          std::string::npos);
    CHECK(core::turn_word.ends_with("\n"));
}

TEST_CASE("which commands are the same behind a shell") {
    CHECK(core::can_wait({"apt-get"}, {}));
    CHECK(core::can_wait({"/usr/bin/apt-get", "-y"}, {"DEBIAN_FRONTEND", "LANG", "_x1", "HTTP_PROXY"}));
    CHECK_FALSE(core::can_wait({}, {}));
    CHECK_FALSE(core::can_wait({""}, {}));
    CHECK_FALSE(core::can_wait({"-c"}, {}));
    const auto* variable = GENERATE("", "a.b", "1a", "a-b", "PWD", "SHLVL", "_", "IFS", "BASH_ENV", "OPTIND", "ä");
    CHECK_FALSE(core::can_wait({"apt-get"}, {"LANG", variable}));
}
