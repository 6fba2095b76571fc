// SPDX-License-Identifier: Apache-2.0
#include "process/child.hpp"

#include "fakes/temporary_directory.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;
using process::ended;
using stream = core::output::stream;

namespace {

struct outcome {
    process::status how;
    std::string out;
    std::string err;
    std::chrono::milliseconds took{};
};

outcome run(process::command what, core::milliseconds limit = 0ms, std::stop_token stop = {},
            core::milliseconds grace = 1s) {
    outcome result;
    const auto begin = std::chrono::steady_clock::now();
    const auto status = process::run(
        what, limit,
        [&](stream from, std::string_view bytes) { (from == stream::out ? result.out : result.err) += bytes; }, stop,
        grace);
    result.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    REQUIRE(status);
    result.how = *status;
    return result;
}

process::command sh(std::string script, std::vector<std::string> args = {}) {
    process::command what{{"sh", "-c", std::move(script), "sh"}};
    what.argv.insert(what.argv.end(), args.begin(), args.end());
    return what;
}

/// Not there, or a zombie that its parent has yet to bury.
bool gone(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string word;
    stat >> word >> word >> word;
    return word.empty() || word == "Z" || word == "X";
}

bool gone_soon(pid_t pid) {
    for (int i = 0; i < 200 && !gone(pid); ++i) {
        std::this_thread::sleep_for(5ms);
    }
    return gone(pid);
}

struct scratch_file {
    fakes::temporary_directory folder;
    std::string path{(folder.path() / "file").string()};

    pid_t number() const {
        pid_t n{};
        std::ifstream(path) >> n;
        return n;
    }
};

} // namespace

TEST_CASE("both outputs and the exit status of a program arrive", "[process]") {
    const auto r = run(sh("echo to-out; echo to-err >&2; exit 7"));
    CHECK(r.out == "to-out\n");
    CHECK(r.err == "to-err\n");
    CHECK(r.how.how == ended::exited);
    CHECK(r.how.code == 7);
}

TEST_CASE("a program that dies of a signal is reported with its number", "[process]") {
    const auto r = run(sh("kill -USR1 $$"));
    CHECK(r.how.how == ended::signalled);
    CHECK(r.how.code == SIGUSR1);
}

TEST_CASE("a program that does not exist is an error that names it", "[process]") {
    for (const std::string name : {"no-such-program-anywhere", "/no/such/program", "/etc/passwd", "/tmp"}) {
        const auto r = process::run({{name}}, 0ms, {}, {});
        REQUIRE_FALSE(r);
        CHECK(r.error().code == core::reason::io_error);
        CHECK(r.error().message.find(name) != std::string::npos);
    }
    CHECK_FALSE(process::run({{}}, 0ms, {}, {}));
    CHECK_FALSE(process::run({{"echo", std::string("a\0b", 3)}}, 0ms, {}, {}));
}

TEST_CASE("a program without a slash is looked up in the PATH that it gets", "[process]") {
    process::command what{{"true"}};
    what.env = {{"PATH", "/nowhere:"}};
    CHECK_FALSE(process::run(what, 0ms, {}, {}));
    what.env = {{"PATH", "/nowhere:/usr/bin:/bin"}};
    CHECK(process::run(what, 0ms, {}, {}));
}

TEST_CASE("arguments arrive byte for byte", "[process]") {
    const std::vector<std::string> args{"", "two\nlines", "\xff\xfe", "--", " '\"\\$HOME", "-n", ""};
    const auto r = run(sh(R"(printf '%s\0' "$@")", args));
    std::string expected;
    for (const auto& arg : args) {
        expected += arg + '\0';
    }
    CHECK(r.out == expected);
}

TEST_CASE("the environment is belay's own with the given variables on top", "[process]") {
    ::setenv("BELAY_TEST_KEPT", "kept", 1);
    ::setenv("BELAY_TEST_REPLACED", "old", 1);
    auto what = sh("echo \"$BELAY_TEST_KEPT,$BELAY_TEST_REPLACED,$BELAY_TEST_NEW\"; env | grep -c REPLACED");
    what.env = {{"BELAY_TEST_REPLACED", "new"}, {"BELAY_TEST_NEW", "a=b\nc"}};
    CHECK(run(what).out == "kept,new,a=b\nc\n1\n");
}

TEST_CASE("without input the program reads the end of the file at once", "[process]") {
    CHECK(run({{"cat"}}).out.empty());
}

TEST_CASE("input far bigger than a pipe goes in while output comes out", "[process]") {
    process::command what{{"cat"}};
    what.input.resize(5'000'000);
    for (std::size_t i = 0; i < what.input.size(); ++i) {
        what.input[i] = static_cast<char>(i * 31 % 251);
    }
    const auto r = run(what, 30s);
    CHECK(r.how.how == ended::exited);
    CHECK((r.out == what.input));
}

TEST_CASE("a program that stops reading its input early ends normally", "[process]") {
    auto what = sh("head -c 3; exec <&-; sleep 0.1; echo done; exit 4");
    what.input.assign(3'000'000, 'x');
    const auto r = run(what, 30s);
    CHECK(r.out == "xxxdone\n");
    CHECK(r.how.how == ended::exited);
    CHECK(r.how.code == 4);
}

TEST_CASE("a program that never reads its input ends normally", "[process]") {
    process::command what{{"true"}};
    what.input.assign(3'000'000, 'x');
    CHECK(run(what, 30s).how.code == 0);
    sigset_t pending;
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGPIPE) == 0);
}

TEST_CASE("the time limit ends the whole process group", "[process]") {
    const scratch_file note;
    const auto r = run(sh("sleep 60 & echo $! >\"$1\"; wait", {note.path}), 200ms);
    CHECK(r.how.how == ended::timed_out);
    CHECK(r.took >= 200ms);
    CHECK(r.took < 900ms);
    CHECK(gone_soon(note.number()));
}

TEST_CASE("what ignores SIGTERM gets SIGKILL after the grace", "[process]") {
    const scratch_file note;
    const auto r = run(sh("trap '' TERM; sleep 60 & echo $! >\"$1\"; wait", {note.path}), 100ms, {}, 200ms);
    CHECK(r.how.how == ended::timed_out);
    CHECK(r.took >= 300ms);
    CHECK(r.took < 1s);
    CHECK(gone_soon(note.number()));
}

TEST_CASE("a grandchild that outlives the program after the time limit is ended too", "[process]") {
    const scratch_file note;
    const auto r = run(sh("(trap '' TERM; exec sleep 60) >/dev/null 2>&1 & echo $! >\"$1\"; wait", {note.path}), 200ms);
    CHECK(r.how.how == ended::timed_out);
    CHECK(gone_soon(note.number()));
}

TEST_CASE("a stopped program hears the time limit", "[process]") {
    const auto r = run(sh("kill -STOP $$; sleep 60"), 200ms, {}, 5s);
    CHECK(r.how.how == ended::timed_out);
    CHECK(r.took < 2s);
}

TEST_CASE("a program may handle SIGTERM and its last words are heard", "[process]") {
    const auto r = run(sh("trap 'echo bye; exit 3' TERM; while :; do sleep 0.02; done"), 200ms);
    CHECK(r.how.how == ended::timed_out);
    CHECK(r.out == "bye\n");
}

TEST_CASE("a stop request ends the program within milliseconds", "[process]") {
    std::stop_source source;
    std::chrono::steady_clock::time_point asked;
    std::jthread other([&] {
        std::this_thread::sleep_for(150ms);
        asked = std::chrono::steady_clock::now();
        source.request_stop();
    });
    const auto r = run({{"sleep", "60"}}, 0ms, source.get_token());
    const auto late = std::chrono::steady_clock::now() - asked;
    CHECK(r.how.how == ended::cancelled);
    CHECK(late < 50ms);
}

TEST_CASE("after a stop request nothing is started", "[process]") {
    std::stop_source source;
    source.request_stop();
    const auto r = run(sh("echo started"), 0ms, source.get_token());
    CHECK(r.how.how == ended::cancelled);
    CHECK(r.out.empty());
}

TEST_CASE("a grandchild that keeps the output open does not hang the call and lives on", "[process]") {
    const scratch_file note;
    const auto r = run(sh("sleep 60 & echo $! >\"$1\"; echo out", {note.path}), 0ms, {}, 300ms);
    CHECK(r.how.how == ended::exited);
    CHECK(r.how.code == 0);
    CHECK(r.out == "out\n");
    CHECK(r.took >= 300ms);
    CHECK(r.took < 1s);
    CHECK_FALSE(gone(note.number()));
    ::kill(note.number(), SIGKILL);
}

TEST_CASE("what the outputs still hold after the end is read", "[process]") {
    const auto r = run(sh("(sleep 0.2; echo late) & exit 0"), 0ms, {}, 2s);
    CHECK(r.out == "late\n");
    CHECK(r.took < 1500ms);
}

TEST_CASE("the program leads a process group of its own", "[process]") {
    const auto r = run(sh("echo $$; cut -d ' ' -f 5 /proc/self/stat"));
    const auto newline = r.out.find('\n');
    CHECK(r.out.substr(0, newline) == r.out.substr(newline + 1, newline));
    CHECK(r.out.substr(0, newline) != std::to_string(::getpgrp()));
}

TEST_CASE("signal mask and dispositions of belay do not reach the program", "[process]") {
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const auto hup = std::signal(SIGHUP, SIG_IGN);
    const auto pipe = std::signal(SIGPIPE, SIG_IGN);
    const auto r = run({{"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}});
    std::signal(SIGHUP, hup);
    std::signal(SIGPIPE, pipe);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    CHECK(r.out == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("an ignored SIGCHLD, inherited from a careless parent, loses no exit status", "[process]") {
    const auto before = std::signal(SIGCHLD, SIG_IGN);
    const auto r = run(sh("exit 9"));
    std::signal(SIGCHLD, before);
    CHECK(r.how.how == ended::exited);
    CHECK(r.how.code == 9);
}

TEST_CASE("no file of belay is open in the program", "[process]") {
    const int careless = ::open("/dev/null", O_RDONLY);
    const auto r = run({{"ls", "/proc/self/fd"}});
    ::close(careless);
    CHECK(r.out == "0\n1\n2\n3\n"); // 3 is ls reading the folder
}

TEST_CASE("no zombie and no descriptor is left behind", "[process]") {
    const auto descriptors = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
    run({{"true"}});
    const auto before = descriptors();
    for (int i = 0; i < 20; ++i) {
        run(sh("cat"));
        CHECK_FALSE(process::run({{"/etc/passwd"}}, 0ms, {}, {}));
        run({{"sleep", "9"}}, 5ms);
    }
    CHECK(descriptors() == before);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("an exception of the sink ends the program and passes through", "[process]") {
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(process::run(sh("echo x; sleep 60"), 0ms,
                                 [](stream, std::string_view) { throw std::runtime_error("full"); }, {}),
                    std::runtime_error);
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("thirty-two threads at once do not disturb each other", "[process]") {
    std::atomic<int> good{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 32; ++i) {
            threads.emplace_back([&good, i] {
                for (int round = 0; round < 8; ++round) {
                    const std::string text = std::to_string(i) + "/" + std::to_string(round);
                    process::command what{{"sh", "-c", "cat; exit $1", "sh", std::to_string(i)}};
                    what.input = text;
                    std::string out;
                    const auto r = process::run(what, 20s, [&](stream, std::string_view bytes) { out += bytes; }, {});
                    good += r && r->how == ended::exited && r->code == i && out == text ? 1 : 0;
                }
            });
        }
    }
    CHECK(good == 32 * 8);
}

TEST_CASE("a long-lived program of one thread does not delay another thread", "[process]") {
    std::vector<std::jthread> threads;
    std::atomic<int> slow{0};
    for (int i = 0; i < 16; ++i) {
        threads.emplace_back([&slow, i] {
            const auto begin = std::chrono::steady_clock::now();
            process::command what{{"sleep", i % 2 == 0 ? "1" : "0"}};
            const auto r = process::run(what, 10s, {}, {});
            const auto took = std::chrono::steady_clock::now() - begin;
            slow += !r || (i % 2 == 1 && took > 900ms) ? 1 : 0;
        });
    }
    threads.clear();
    CHECK(slow == 0);
}

TEST_CASE("two hundred megabytes of output stream through flat memory", "[process]") {
    const auto peak = [] {
        rusage use{};
        ::getrusage(RUSAGE_SELF, &use);
        return use.ru_maxrss; // KiB
    };
    run({{"true"}});
    const auto before = peak();
    std::uint64_t bytes{};
    const auto begin = std::chrono::steady_clock::now();
    const auto r = process::run({{"head", "-c", "200000000", "/dev/zero"}}, 60s,
                                [&](stream, std::string_view piece) { bytes += piece.size(); }, {});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    REQUIRE(r);
    CHECK(bytes == 200'000'000);
    const auto grown = peak() - before;
    UNSCOPED_INFO("peak memory grew by " << grown << " KiB; " << 200 / took.count() << " MB/s");
    CHECK(grown < 4096);
}
