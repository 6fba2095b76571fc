// SPDX-License-Identifier: Apache-2.0
// Signals, the keys of a terminal while a confirmation is waited for, and the stop for tests of crashes. Each case runs
// in a child of its own, with a pseudo-terminal as its controlling terminal.
#include "cli/halt.hpp"
#include "cli/signals.hpp"
#include "fakes/no_threads.hpp"

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utility>

using namespace belay;
using namespace std::chrono_literals;
using core::verdict;

namespace {

bool within(std::chrono::milliseconds limit, const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= give_up) {
            return false;
        }
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

/// What the child knows of its terminal.
termios settings() {
    termios now{};
    ::tcgetattr(STDIN_FILENO, &now);
    return now;
}

/// Whether keys arrive one by one and unseen.
bool reads_keys() {
    return (settings().c_lflag & (ICANON | ECHO)) == 0;
}

/// The words that a child says, and a terminal that is typed at.
class child_at_terminal {
public:
    using say = std::function<void(const std::string&)>;

    explicit child_at_terminal(const std::function<void(const say&)>& work) {
        int words[2];
        REQUIRE(::pipe(words) == 0);
        pid_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::close(words[0]);
            cli::prepare_signals();
            work([&](const std::string& word) { (void)!::write(words[1], (word + " ").data(), word.size() + 1); });
            ::_exit(0);
        }
        ::close(words[1]);
        words_ = words[0];
    }

    child_at_terminal(const child_at_terminal&) = delete;
    child_at_terminal& operator=(const child_at_terminal&) = delete;

    ~child_at_terminal() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        hang_up();
        ::close(words_);
    }

    void type(const std::string& keys) const { REQUIRE(::write(terminal_, keys.data(), keys.size()) > 0); }

    void hang_up() {
        if (terminal_ >= 0) {
            ::close(std::exchange(terminal_, -1));
        }
    }

    void signal(int number) const { ::kill(pid_, number); }

    /// The next word of the child; "" when it has none within ten seconds, or has ended.
    std::string next() const {
        std::string word;
        for (char c{}; word.empty() || c != ' ';) {
            pollfd one{words_, POLLIN, 0};
            if (::poll(&one, 1, 10'000) <= 0 || ::read(words_, &c, 1) != 1) {
                return {};
            }
            word += c == ' ' ? "" : std::string(1, c);
        }
        return word;
    }

    /// Waits for the end of the child; whether it was an orderly one.
    bool ends() {
        int status = -1;
        const bool orderly = within(10s, [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }) && status == 0;
        pid_ = orderly ? -1 : pid_;
        return orderly;
    }

private:
    pid_t pid_{-1};
    int terminal_{-1};
    int words_{-1};
};

std::string word_of(const std::optional<verdict>& answer) {
    return answer ? std::string(core::to_word(*answer)) : "none";
}

/// The answer, when it has come.
std::string awaited(const cli::signal_inbox& inbox) {
    (void)within(5s, [&] { return inbox.answer().has_value(); });
    return word_of(inbox.answer());
}

core::record record_of(std::uint64_t seq, core::event what) {
    core::record r;
    r.seq = seq;
    r.what = std::move(what);
    return r;
}

} // namespace

TEST_CASE("where nothing can wait for signals, it is an interruption from the beginning") {
    const fakes::no_threads none;
    const cli::signal_inbox inbox;
    CHECK(inbox.interrupts().stop_requested());
    REQUIRE(inbox.interruption());
    CHECK(inbox.interruption()->message.find("TasksMax") != std::string::npos);
}

TEST_CASE("y keeps and n undoes, other keys mean nothing, and the terminal is left as it was found") {
    for (const auto& [keys, answer] : {std::pair{"xq\ry", "commit"},
                                       {"Y", "commit"},
                                       {" \nn", "undo"},
                                       {"N", "undo"},
                                       {"yn", "commit"}, // the first one counts
                                       {"ny", "undo"}}) {
        INFO(answer);
        child_at_terminal child([](const auto& say) {
            const auto before = settings();
            cli::signal_inbox inbox(true);
            say(word_of(inbox.answer()));
            inbox.listen(true);
            say(within(5s, reads_keys) ? "listens" : "deaf");
            say(awaited(inbox));
            std::this_thread::sleep_for(50ms); // for keys that follow
            say(word_of(inbox.answer()));
            inbox.listen(false);
            const auto after = settings();
            say(after.c_lflag == before.c_lflag && after.c_cc[VMIN] == before.c_cc[VMIN] ? "restored" : "changed");
            say(inbox.interruption() ? "interrupted" : "calm");
        });
        CHECK(child.next() == "none");
        REQUIRE(child.next() == "listens");
        child.type(keys);
        CHECK(child.next() == answer);
        CHECK(child.next() == answer);
        CHECK(child.next() == "restored");
        CHECK(child.next() == "calm");
        CHECK(child.ends());
    }
}

TEST_CASE("what was typed before a confirmation is no answer to it") {
    child_at_terminal child([](const auto& say) {
        cli::signal_inbox inbox(true);
        say("begun");
        std::this_thread::sleep_for(100ms);
        inbox.listen(true);
        (void)within(5s, reads_keys);
        std::this_thread::sleep_for(100ms);
        say(word_of(inbox.answer()));
        say(awaited(inbox));
    });
    REQUIRE(child.next() == "begun");
    child.type("y\n");
    CHECK(child.next() == "none");
    child.type("n");
    CHECK(child.next() == "undo");
}

TEST_CASE("an answer to one confirmation is no answer to the next") {
    child_at_terminal child([](const auto& say) {
        cli::signal_inbox inbox(true);
        for (int i = 0; i < 2; ++i) {
            inbox.listen(true);
            say(within(5s, reads_keys) ? "listens" : "deaf");
            say(word_of(inbox.answer()));
            say(awaited(inbox));
            inbox.listen(false);
        }
    });
    REQUIRE(child.next() == "listens");
    CHECK(child.next() == "none");
    child.type("y");
    CHECK(child.next() == "commit");
    REQUIRE(child.next() == "listens");
    CHECK(child.next() == "none");
    child.type("n");
    CHECK(child.next() == "undo");
    CHECK(child.ends());
}

TEST_CASE("the terminal is as it was found whenever listening has ended, however short it was") {
    child_at_terminal child([](const auto& say) {
        const auto before = settings();
        int changed = 0;
        cli::signal_inbox inbox(true);
        for (int i = 0; i < 3'000; ++i) {
            inbox.listen(true);
            std::this_thread::sleep_for(std::chrono::microseconds(i % 100));
            inbox.listen(false);
            changed += settings().c_lflag == before.c_lflag ? 0 : 1;
        }
        say(std::to_string(changed));
    });
    CHECK(child.next() == "0");
    CHECK(child.ends());
}

TEST_CASE("a belay that ends while it listens leaves the terminal as it was found") {
    child_at_terminal child([](const auto& say) {
        const auto before = settings();
        {
            cli::signal_inbox inbox(true);
            inbox.listen(true);
            say(within(5s, reads_keys) ? "listens" : "deaf");
        }
        say(settings().c_lflag == before.c_lflag ? "restored" : "changed");
    });
    CHECK(child.next() == "listens");
    CHECK(child.next() == "restored");
}

TEST_CASE("whoever asks for no keys leaves the terminal alone") {
    child_at_terminal child([](const auto& say) {
        cli::signal_inbox inbox;
        inbox.listen(true);
        say(within(300ms, reads_keys) ? "listens" : "deaf");
        say(word_of(inbox.answer()));
        inbox.listen(false);
    });
    child.type("y");
    CHECK(child.next() == "deaf");
    CHECK(child.next() == "none");
    CHECK(child.ends());
}

TEST_CASE("in the background the terminal is somebody else's until belay is brought to the foreground") {
    child_at_terminal child([](const auto& say) {
        const pid_t background = ::fork();
        if (background == 0) {
            ::setpgid(0, 0);
            cli::signal_inbox inbox(true);
            inbox.listen(true);
            say(within(700ms, reads_keys) ? "listens" : "deaf");
            say(within(5s, reads_keys) ? "listens" : "deaf");
            say(awaited(inbox));
            ::_exit(0);
        }
        std::this_thread::sleep_for(900ms);
        std::signal(SIGTTOU, SIG_IGN);
        ::tcsetpgrp(STDIN_FILENO, background);
        ::waitpid(background, nullptr, 0);
    });
    CHECK(child.next() == "deaf");
    CHECK(child.next() == "listens");
    child.type("y");
    CHECK(child.next() == "commit");
}

TEST_CASE("a belay that was sent to the background stops listening without being stopped") {
    child_at_terminal child([](const auto& say) {
        std::signal(SIGTTOU, SIG_IGN);
        const auto before = settings();
        const pid_t own = ::getpgrp();
        const pid_t job = ::fork();
        if (job == 0) {
            ::setpgid(0, 0);
            ::tcsetpgrp(STDIN_FILENO, ::getpid());
            std::signal(SIGTTOU, SIG_DFL);
            cli::signal_inbox inbox(true);
            inbox.listen(true);
            say(within(5s, reads_keys) ? "listens" : "deaf");
            (void)within(5s, [&] { return ::tcgetpgrp(STDIN_FILENO) == own; });
            inbox.listen(false);
            say(settings().c_lflag == before.c_lflag ? "restored" : "changed");
            ::_exit(0);
        }
        (void)within(5s, reads_keys);
        ::tcsetpgrp(STDIN_FILENO, own);
        int status = -1;
        ::waitpid(job, &status, WUNTRACED);
        say(WIFSTOPPED(status) ? "stopped" : "ended");
    });
    CHECK(child.next() == "listens");
    CHECK(child.next() == "restored");
    CHECK(child.next() == "ended");
}

TEST_CASE("a terminal that is gone ends the listening, and nothing else") {
    child_at_terminal child([](const auto& say) {
        cli::signal_inbox inbox(true);
        inbox.listen(true);
        say(within(5s, reads_keys) ? "listens" : "deaf");
        std::this_thread::sleep_for(100ms);
        const auto begin = std::clock();
        std::this_thread::sleep_for(300ms);
        say(std::clock() - begin < CLOCKS_PER_SEC / 10 ? "idle" : "busy");
        say(word_of(inbox.answer()));
        say(inbox.interruption() ? "interrupted" : "calm"); // SIGHUP is ignored
        inbox.listen(false);
        say("done");
    });
    REQUIRE(child.next() == "listens");
    child.hang_up();
    CHECK(child.next() == "idle");
    CHECK(child.next() == "none");
    CHECK(child.next() == "calm");
    CHECK(child.next() == "done");
    CHECK(child.ends());
}

TEST_CASE("SIGINT and SIGTERM ask to undo, once, and end every wait") {
    for (const auto& [first, second, word] :
         {std::tuple{SIGTERM, SIGINT, "SIGTERM"}, std::tuple{SIGINT, SIGTERM, "SIGINT"}}) {
        child_at_terminal child([](const auto& say) {
            cli::signal_inbox inbox;
            say(inbox.interruption() || inbox.interrupts().stop_requested() ? "interrupted" : "calm");
            const auto begin = std::chrono::steady_clock::now();
            inbox.wait(20s, inbox.interrupts());
            say(std::chrono::steady_clock::now() - begin < 15s ? "woken" : "slept");
            const auto why = inbox.interruption();
            say(why ? std::string(core::to_word(why->code)) : "none");
            say(why ? why->message.substr(why->message.rfind(' ') + 1) : "none");
            std::this_thread::sleep_for(200ms); // for the second one
            say(inbox.interruption() == why ? "first" : "second");
            inbox.wait(1ms, {}); // what nobody stops is waited for
        });
        REQUIRE(child.next() == "calm");
        child.signal(first);
        CHECK(child.next() == "woken");
        CHECK(child.next() == "interrupted");
        CHECK(child.next() == word);
        child.signal(second);
        CHECK(child.next() == "first");
        CHECK(child.ends());
    }
}

TEST_CASE("Ctrl-C asks to undo also while keys are listened to") {
    child_at_terminal child([](const auto& say) {
        cli::signal_inbox inbox(true);
        inbox.listen(true);
        say(within(5s, reads_keys) ? "listens" : "deaf");
        inbox.wait(20s, inbox.interrupts());
        say(inbox.interruption() ? "interrupted" : "calm");
        say(word_of(inbox.answer()));
    });
    REQUIRE(child.next() == "listens");
    child.type("\x03");
    CHECK(child.next() == "interrupted");
    CHECK(child.next() == "none");
}

TEST_CASE("the process stops right after each event that a test of crashes names") {
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("BELAY_TEST_HALT_AFTER", "3,5", 1);
        const auto halt = cli::make_halt();
        if (!halt) {
            ::_exit(1);
        }
        halt->on(record_of(2, core::warned{"before"}));
        halt->on(record_of(3, core::soaking{})); // shown, not journalled
        halt->recall(record_of(3, core::warned{"of the past"}));
        halt->on(record_of(3, core::warned{"now"}));
        halt->on(record_of(4, core::warned{"between"}));
        halt->on(record_of(5, core::warned{"again"}));
        ::_exit(7);
    }
    int status = 0;
    for (int stop = 0; stop < 2; ++stop) {
        REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
        CHECK(WIFSTOPPED(status));
        CHECK(WSTOPSIG(status) == SIGSTOP);
        ::kill(child, SIGCONT);
    }
    REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 7)); // it goes on as if nothing had been
    if (WIFSTOPPED(status)) {
        ::kill(child, SIGKILL);
    }
}

TEST_CASE("nothing stops a process that nobody wants to stop") {
    ::unsetenv("BELAY_TEST_HALT_AFTER");
    CHECK_FALSE(cli::make_halt());
    for (const auto* text : {"", "soon", "-1", "3,x", ","}) {
        ::setenv("BELAY_TEST_HALT_AFTER", text, 1);
        CHECK_FALSE(cli::make_halt());
    }
    ::unsetenv("BELAY_TEST_HALT_AFTER");
}
