// SPDX-License-Identifier: Apache-2.0
// The shell that waits to become a command, with the shells of this machine.
#include "core/text.hpp"
#include "core/waiting_command.hpp"
#include "fakes/temporary_directory.hpp"
#include "process/program.hpp"
#include "unit/process/shells.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
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

/// What becomes of `sh …` with one of the shells in the place of sh.
ended run_with(const lines& shell, lines argv, const std::string& input) {
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

/// What a command does behind one of the shells.
ended wait_and_run(const lines& shell, const lines& command, const std::string& input, std::string_view first = "") {
    return run_with(shell, core::command_that_waits(command, first), input);
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

namespace {

/// The same with a bystander, in an instance whose first process has this name. It is told of the end of the command
/// when its input ends, so at once.
ended run_beside(const lines& shell, const lines& command, const std::string& input,
                 const std::string& first_process = "systemd") {
    const fakes::temporary_directory dir;
    const auto name = (dir.path() / "comm").string();
    std::ofstream(name) << first_process << '\n';
    auto argv = core::command_that_waits(command, "", core::bystander::shell);
    const std::string real = "/proc/1/comm";
    argv[2].replace(argv[2].find(real), real.size(), name);
    return run_with(shell, argv, input);
}

const std::string proof(core::proof_line);

/// Says whether it has input, files that are not its own, or children.
const lines nosy{"/bin/sh", "-c",
                 "read -r line || echo 'no input'; for fd in 3 4 5 6; do [ ! -e /proc/$$/fd/$fd ] || echo \"has $fd\"; "
                 "done; read -r children </proc/$$/task/$$/children; echo \"<$children>\"; exit 3"};

} // namespace

TEST_CASE("who stands by proves that programs run, and the command knows nothing of it") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto ran = run_beside(shell, nosy, word);
    CHECK(ran.out == mark + "no input\n<>\n");
    CHECK(ran.err == proof);
    CHECK(ran.code == 3);
}

TEST_CASE("who stands by and is dismissed says nothing") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto ran = run_beside(shell, nosy, word + std::string(core::dismissal));
    CHECK(ran.out == mark + "no input\n<>\n");
    CHECK(ran.err.empty());
    CHECK(ran.code == 3);
}

TEST_CASE("nobody stands by where its end may not be noticed, and the command is the same") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto input = GENERATE_COPY(word, word + std::string(core::dismissal));
    const auto ran = run_beside(shell, nosy, input, "node");
    CHECK(ran.out == mark + "no input\n<>\n");
    CHECK(ran.err.empty());
    CHECK(ran.code == 3);
}

TEST_CASE("without its word a command with a bystander does not begin, and nobody says anything") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto* name = GENERATE("systemd", "node");
    for (const auto& other : {std::string(), word.substr(0, word.size() - 1), "x" + word, "\n" + word}) {
        const auto idle = run_beside(shell, nosy, other, name);
        CHECK(idle.out == mark);
        CHECK(idle.err.empty());
        CHECK(idle.code == 1);
    }
}

TEST_CASE("who stands by proves nothing when no program can be begun") {
    const auto shell = GENERATE(from_range(test::shells()));
    const auto found = process::find_program(shell.front(), {"PATH=/usr/bin:/bin"});
    REQUIRE(found);
    lines with_path{"/usr/bin/env", "PATH=/nowhere", *found};
    with_path.insert(with_path.end(), shell.begin() + 1, shell.end());
    const auto ran = run_beside(with_path, {"/bin/echo", "ran"}, word);
    CHECK(ran.out == mark + "ran\n");
    CHECK(ran.err.empty());
}

namespace {

/// One of the shells, as the one that waits for a script.
lines waiting(lines shell) {
    const auto all = core::waiting_shell();
    shell.insert(shell.end(), all.begin() + 1, all.end());
    return shell;
}

} // namespace

TEST_CASE("a shell that waits runs a script that has come whole, and nothing of another one") {
    const auto argv = waiting(GENERATE(from_range(test::shells())));
    const auto run = [&](std::string_view input) {
        std::string out;
        const auto sink = [&](core::output::stream from, std::string_view piece) {
            out += from == core::output::stream::out ? piece : std::string_view{};
        };
        REQUIRE(process::run({.argv = argv, .input = std::string(input)}, 10s, sink, {}));
        return out;
    };
    const auto script = core::script_for_shell("echo one\nf() {\n    echo \"it's $1\"\n}\nf 'two\n'\nfalse");
    CHECK(run(script) == "one\nit's two\n\n");
    for (std::size_t some = 0; some + 2 < script.size(); ++some) { // without its closing brace
        CHECK(run(std::string_view(script).substr(0, some)).empty());
    }
}

TEST_CASE("a shell that waits runs the script before its input ends") {
    const auto argv = waiting(GENERATE(from_range(test::shells())));
    const auto script = core::script_for_shell("echo ran");
    auto feeding = "{ printf %s " + core::shell_quote(script) + "; exec sleep 60; } |";
    for (const auto& argument : argv) {
        feeding += " " + argument;
    }
    std::string out;
    std::stop_source heard;
    const auto sink = [&](core::output::stream, std::string_view piece) {
        out += piece;
        if (out == "ran\n") {
            heard.request_stop();
        }
    };
    const auto end = process::run({.argv = {"sh", "-c", feeding}}, 10s, sink, heard.get_token());
    REQUIRE(end);
    CHECK(end->how == process::ended::cancelled);
    CHECK(out == "ran\n");
}

TEST_CASE("a shell that waits begins the file of now, by whatever name a program is known to it") {
    const auto argv = waiting(GENERATE(from_range(test::shells())));
    const auto run = [&](const std::string& path) {
        std::string out;
        const auto sink = [&](auto, std::string_view piece) { out += piece; };
        const auto text = "PATH=" + path + "\nfind_file true\necho \"<$file>\"; set -- $PATH; echo $#";
        REQUIRE(process::run({.argv = argv, .input = core::script_for_shell(text)}, 10s, sink, {}));
        return out;
    };
    const fakes::temporary_directory dir;
    std::filesystem::create_directories(dir.path() / "folder" / "true");
    std::filesystem::create_directories(dir.path() / "bin");
    const auto file = dir.path() / "bin" / "true";
    std::ofstream(file) << "#!/bin/sh\n";
    const auto path = (dir.path() / "folder").string() + ":/nowhere:" + file.parent_path().string();
    CHECK(run(path) == "<>\n1\n"); // not executable
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    CHECK(run(path) == "<" + file.string() + ">\n1\n");
}
