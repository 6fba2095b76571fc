// SPDX-License-Identifier: Apache-2.0
// The shell that waits to become a command, with the shells of this machine.
#include "core/waiting_command.hpp"

#include "unit/process/shells.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <chrono>
#include <set>
#include <sstream>

using namespace belay;
using namespace std::chrono_literals;
using lines = std::vector<std::string>;

namespace {

const std::string mark = "\n" + std::string(core::turn_mark) + "\n";

struct ended {
    int code{};
    std::string out;
    std::string err;
};

/// What a command does behind one of the shells.
ended wait_and_run(const lines& shell, const lines& command, const std::string& input, std::string_view first = "") {
    auto argv = core::command_that_waits(command, first);
    argv.erase(argv.begin());
    argv.insert(argv.begin(), shell.begin(), shell.end());
    ended seen;
    const auto end = process::run({.argv = argv, .input = input}, 10s,
                                  [&](core::output::stream from, std::string_view piece) {
                                      (from == core::output::stream::out ? seen.out : seen.err) += piece;
                                  },
                                  {});
    REQUIRE(end);
    REQUIRE(end->how == process::ended::exited);
    seen.code = end->code;
    return seen;
}

const std::string word(core::turn_word);

} // namespace

TEST_CASE("a shell becomes the command at the word, and not without it") {
    const auto shell = GENERATE(from_range(test::shells()));
    const lines command{"/bin/sh", "-c", "echo ran; exit 3"};
    const auto ran = wait_and_run(shell, command, word);
    CHECK(ran.out == mark + "ran\n");
    CHECK(ran.code == 3);
    CHECK(ran.err.empty());
    for (const auto& other :
         {std::string(), word.substr(0, word.size() - 1), std::string("\n"), "x" + word, "\n" + word}) {
        const auto idle = wait_and_run(shell, command, other);
        CHECK(idle.out == mark);
        CHECK(idle.code == 1);
    }
}

TEST_CASE("the command has its arguments as they are, and what else is on the input") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto ran = wait_and_run(
        shell, {"/bin/sh", "-c", "printf '<%s>' \"$@\"; cat", "sh", "", "a b", "*", "$HOME", "\n", "--", "'\"\\"},
        word + "rest\nof it");
    CHECK(ran.out == mark + "<><a b><*><$HOME><\n><--><'\"\\>rest\nof it");
}

TEST_CASE("what comes first has no input, and its errors are not heard") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto ran =
        wait_and_run(shell, {"/bin/echo", "ran"}, word, "read -r line; echo \"[$line]\"; echo x >&2; X=1; exit 7");
    CHECK(ran.out == "[]\n" + mark + "ran\n");
    CHECK(ran.err.empty());
    CHECK(ran.code == 0);
}

TEST_CASE("without a command it waits as well, and ends without the word") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto ran = wait_and_run(shell, {}, "", "echo first");
    CHECK(ran.out == "first\n" + mark);
    CHECK(ran.code == 1);
}

TEST_CASE("a command that is not there, or no program, has the exit status that it would have") {
    const auto shell = GENERATE(from_range(test::shells()));
    CHECK(wait_and_run(shell, {"/nowhere/program"}, word).code == 127);
    CHECK(wait_and_run(shell, {"/"}, word).code == 126);
}

TEST_CASE("the shell adds nothing to the environment but, if it is bash, variables of its own") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto names_in = [](const std::string& text) {
        std::set<std::string> names;
        std::istringstream all(text);
        for (std::string line; std::getline(all, line);) {
            names.insert(line.substr(0, line.find('=')));
        }
        for (const auto* own : {"_", "SHLVL"}) {
            names.erase(own);
        }
        return names;
    };
    const auto text = wait_and_run(shell, {"/usr/bin/env"}, word).out;
    const auto own = text.find("\nSHLVL=") != std::string::npos;
    std::string plain;
    REQUIRE(process::run({.argv = {"/usr/bin/env"}}, 10s, [&](auto, std::string_view piece) { plain += piece; }, {}));
    auto wanted = names_in(plain);
    wanted.erase("PWD");
    wanted.erase("OLDPWD");
    CHECK(names_in(text.substr(mark.size())) == wanted);
    CHECK(own == (shell.front() == "bash"));
}
