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

TEST_CASE("a bystander says the words that are looked for") {
    const auto text = core::command_that_waits({"x"}, "", core::bystander::shell).at(2);
    const auto plain = core::command_that_waits({"x"}, "").at(2);
    const auto proof = core::proof_line.substr(0, core::proof_line.size() - 1);
    CHECK(core::proof_line.ends_with("\n"));
    for (const auto mark : {core::turn_mark, proof}) {
        CHECK(text.find("echo '" + std::string(mark) + "'") != std::string::npos);
    }
    CHECK(plain.find(proof) == std::string::npos);
    CHECK(core::dismissal.ends_with("\n"));
}

TEST_CASE("a proof is the last line there is, in whatever pieces it comes") {
    const std::string line(core::proof_line);
    const std::string before = GENERATE("", "oops\n", "no newline", "belay: a program has ran\n", "bbelay: a");
    const std::string behind = GENERATE("", "x", "\n", "belay: a program has run");
    const auto all = before + line + behind;
    for (std::size_t size = 1; size <= all.size(); ++size) {
        core::proof_filter filter;
        std::string passed;
        for (std::size_t at = 0; at < all.size(); at += size) {
            passed += filter.feed(std::string_view(all).substr(at, size));
        }
        const bool proves = behind.empty();
        CHECK(filter.proves() == proves);
        CHECK(passed + filter.finish() == (proves ? before : all));
    }
    core::proof_filter twice;
    CHECK(twice.feed(line + line) == line);
    CHECK(twice.proves());
    CHECK_FALSE(core::proof_filter().proves());
}

TEST_CASE("who stands by sees what other programs see") {
    CHECK(core::can_stand_by({}));
    CHECK(core::can_stand_by({"DEBIAN_FRONTEND", "MY_PATH", "LDFLAGS"}));
    CHECK_FALSE(core::can_stand_by({"LANG", "PATH"}));
    CHECK_FALSE(core::can_stand_by({"LD_LIBRARY_PATH"}));
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
