// SPDX-License-Identifier: Apache-2.0
// Interactive programs need a terminal whose session leader is a process of its own: each test makes a pseudo-terminal
// and plays its story in a forked process.
#include "process/child.hpp"

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <functional>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;
using process::ended;

namespace {

struct told {
    int code{};       ///< what the story returned
    std::string seen; ///< what the terminal showed
};

/// What a person types when a text appears on the terminal.
struct typing {
    std::string cue;
    std::string keys;
};

/// Runs `story` as the leader of a session on a new terminal, where a person types one thing after the other.
told on_terminal(const std::function<int()>& story, const std::vector<typing>& person = {}) {
    int terminal = -1;
    const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    REQUIRE(pid >= 0);
    if (pid == 0) {
        ::alarm(20);
        ::_exit(story());
    }
    told result;
    auto next = person.begin();
    char piece[4096];
    for (ssize_t size{}; (size = ::read(terminal, piece, sizeof piece)) > 0;) {
        result.seen.append(piece, static_cast<std::size_t>(size));
        if (next != person.end() && result.seen.find(next->cue) != std::string::npos) {
            REQUIRE(::write(terminal, next->keys.data(), next->keys.size()) == static_cast<ssize_t>(next->keys.size()));
            ++next;
        }
    }
    int status{};
    ::waitpid(pid, &status, 0);
    ::close(terminal);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

process::command interactive(std::string script) {
    process::command what{{"sh", "-c", std::move(script)}};
    what.interactive = true;
    return what;
}

} // namespace

TEST_CASE("an interactive program has the terminal and its foreground group", "[process]") {
    const auto r = on_terminal([] {
        const auto status = process::run(
            interactive(
                "test -t 0 && test -t 1 && test -t 2 && [ \"$(cut -d ' ' -f 8 /proc/$$/stat)\" = $$ ] && echo mine"),
            0ms, {}, {});
        return status && status->code == 0 && ::tcgetpgrp(0) == ::getpgrp() ? 0 : 1;
    });
    CHECK(r.code == 0);
    CHECK(r.seen.find("mine") != std::string::npos);
}

TEST_CASE("belay takes the terminal and its settings back, whatever the program did", "[process]") {
    const auto r = on_terminal([] {
        std::signal(SIGTTOU, SIG_DFL);
        const auto status = process::run(interactive("stty raw -echo; kill -KILL $$"), 0ms, {}, {});
        termios now{};
        ::tcgetattr(0, &now);
        const bool cooked = (now.c_lflag & ICANON) != 0 && (now.c_lflag & ECHO) != 0;
        return status && status->how == ended::signalled && cooked && ::tcgetpgrp(0) == ::getpgrp() ? 0 : 1;
    });
    CHECK(r.code == 0);
}

TEST_CASE("Ctrl-C reaches the interactive program alone", "[process]") {
    const auto r = on_terminal(
        [] {
            std::signal(SIGINT, SIG_DFL);
            const auto status = process::run(interactive("exec tail -n +1 -f /etc/hostname /etc/passwd"), 0ms, {}, {});
            return status && status->how == ended::signalled && status->code == SIGINT ? 0 : 1;
        },
        {{"root:", "\x03"}});
    CHECK(r.code == 0);
}

TEST_CASE("Ctrl-Z does not leave an interactive program stopped for ever", "[process]") {
    const auto r = on_terminal(
        [] {
            const auto status = process::run(interactive("echo ready; read line; echo got $line; exit 5"), 0ms, {}, {});
            return status && status->how == ended::exited && status->code == 5 ? 0 : 1;
        },
        {{"ready", "\x1a"}, {"^Z", "hello\n"}}); // what is typed together with Ctrl-Z the kernel may throw away
    CHECK(r.code == 0);
    CHECK(r.seen.find("got hello") != std::string::npos);
}

TEST_CASE("an interactive program has its time limit", "[process]") {
    const auto r = on_terminal([] {
        const auto status = process::run(interactive("trap '' TERM INT; sleep 30; sleep 30"), 100ms, {}, {}, 100ms);
        return status && status->how == ended::timed_out && ::tcgetpgrp(0) == ::getpgrp() ? 0 : 1;
    });
    CHECK(r.code == 0);
}

TEST_CASE("belay in the background does not steal the terminal", "[process]") {
    const auto r = on_terminal([] {
        std::signal(SIGTTOU, SIG_IGN);
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::setpgid(0, 0);
            const auto status = process::run(interactive("exit 6"), 0ms, {}, {});
            ::_exit(status && status->code == 6 ? 0 : 1);
        }
        int status{};
        ::waitpid(pid, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 && ::tcgetpgrp(0) == ::getpgrp() ? 0 : 1;
    });
    CHECK(r.code == 0);
}
