// SPDX-License-Identifier: Apache-2.0
#include "fakes/exec_daemon.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <csignal>

using namespace belay;
using namespace std::chrono_literals;
using fakes::exec_daemon;
using fakes::program_play;

namespace {

struct heard {
    core::expected<ports::guest_exit> end;
    std::string out;
    std::string err;
};

ports::output_sink into(heard& h) {
    return [&h](core::output::stream from, std::string_view bytes) {
        (from == core::output::stream::err ? h.err : h.out) += bytes;
    };
}

heard run(incus::instance& web1, const ports::guest_command& what, core::milliseconds limit = 10s,
          std::stop_token stop = {}) {
    heard h;
    h.end = web1.exec(what, limit, into(h), std::move(stop));
    return h;
}

heard run(const exec_daemon& daemon, const ports::guest_command& what, core::milliseconds limit = 10s,
          std::stop_token stop = {}) {
    incus::instance web1(daemon.socket(), "proj", "web1");
    return run(web1, what, limit, std::move(stop));
}

/// Of a program that was prepared, and accepted by then.
heard run_prepared(exec_daemon& daemon) {
    const ports::guest_command what{.argv = {"x"}};
    incus::instance web1(daemon.socket(), "proj", "web1");
    web1.prepare(what, ports::readiness::accepted);
    REQUIRE(daemon.await_streams(3));
    return run(web1, what);
}

/// Whether something was read once all streams of a program were asked for, which is when it begins.
bool asked_behind_the_streams(const exec_daemon& daemon, const std::string& path) {
    const auto all = daemon.seen();
    const auto is_stream = [](const fakes::http_request& r) { return r.path.find("/websocket?") != std::string::npos; };
    return std::ranges::count_if(std::ranges::find(all, path, &fakes::http_request::path), all.end(), is_stream) == 0 &&
           std::ranges::count(all, path, &fakes::http_request::path) == 1;
}

std::chrono::milliseconds since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

} // namespace

TEST_CASE("a program is asked for with all that decides how it runs", "[incus]") {
    exec_daemon daemon(program_play{});
    ports::guest_command what{.argv = {"apt-get", "", "--", "-y"}, .env = {{"A", "b=c d"}, {"E", ""}}};
    what.user = 0;
    what.group = 33;
    REQUIRE(run(daemon, what).end);
    const auto body = daemon.posted();
    CHECK(daemon.seen().at(0).path == "/1.0/instances/web1/exec?project=proj");
    CHECK(body["command"] == nlohmann::json({"apt-get", "", "--", "-y"}));
    CHECK(body["environment"] == nlohmann::json({{"A", "b=c d"}, {"E", ""}}));
    CHECK(body["user"] == 0);
    CHECK(body["group"] == 33);
    CHECK(body["interactive"] == false);
    CHECK(body["wait-for-websocket"] == true);
    CHECK_FALSE(body.contains("cwd"));
}

TEST_CASE("both outputs arrive whole, and the exit status", "[incus]") {
    const std::string much(300'000, 'x');
    exec_daemon daemon(program_play{
        .out = {"a", "", "line\n", much, std::string("\0\xff", 2)}, .err = {std::string(200, 'e')}, .exit_status = 75});
    const auto h = run(daemon, {.argv = {"x"}});
    REQUIRE(h.end);
    CHECK(h.end->how == ports::ended::exited);
    CHECK(h.end->exit_code == 75);
    CHECK(h.out == "aline\n" + much + std::string("\0\xff", 2));
    CHECK(h.err == std::string(200, 'e'));
}

TEST_CASE("the stream that starts the program is connected last", "[incus]") {
    exec_daemon daemon(program_play{});
    REQUIRE(run(daemon, {.argv = {"x"}}).end);
    std::vector<std::string> secrets;
    for (const auto& r : daemon.seen()) {
        if (const auto at = r.path.find("secret="); at != std::string::npos) {
            secrets.push_back(r.path.substr(at));
        }
    }
    REQUIRE(secrets.size() == 4);
    CHECK(secrets.back() == "secret=s0");
}

TEST_CASE("a message may come in several frames, with others between them", "[incus]") {
    const auto f = [](unsigned char first, const std::string& payload) { return exec_daemon::frame(first, payload); };
    exec_daemon daemon(program_play{.raw_out = f(0x02, "one ") + f(0x89, "ping") + f(0x00, "two ") + f(0x80, "three")});
    CHECK(run(daemon, {.argv = {"x"}}).out == "one two three");
}

TEST_CASE("input is passed on to its end", "[incus]") {
    const std::string much = std::string(500'000, 'i') + "\n";
    exec_daemon daemon(program_play{.reads_input = true});
    const auto h = run(daemon, {.argv = {"cat"}, .input = much});
    CHECK(daemon.input() == much);
    CHECK(h.out == much);

    exec_daemon other(program_play{.reads_input = true});
    CHECK(run(other, {.argv = {"cat"}}).end); // no input is an input that has ended
    CHECK(other.input().empty());
}

TEST_CASE("a program that is not there has its exit status from the operation", "[incus]") {
    exec_daemon daemon(program_play{.exit_status = 127, .failure = "Command not found"});
    const auto h = run(daemon, {.argv = {"x"}});
    REQUIRE(h.end);
    CHECK(h.end->how == ports::ended::exited);
    CHECK(h.end->exit_code == 127);
}

TEST_CASE("what the daemon cannot tell of the end is not made up", "[incus]") {
    exec_daemon daemon(program_play{.failure = "Failed to attach", .tells_status = false});
    const auto h = run(daemon, {.argv = {"x"}});
    REQUIRE(h.end);
    CHECK(h.end->how == ports::ended::lost);
    CHECK(h.end->why == "Failed to attach");

    exec_daemon silent(program_play{.tells_status = false});
    CHECK(run(silent, {.argv = {"x"}}).end->how == ports::ended::lost);
}

TEST_CASE("a program that is refused was not started", "[incus]") {
    exec_daemon daemon(program_play{.refusal = "Instance is not running"});
    const auto h = run(daemon, {.argv = {"x"}});
    REQUIRE_FALSE(h.end);
    CHECK(h.end.error().code == core::reason::io_error);
    CHECK(h.end.error().message == "no program can be run in instance web1");
    CHECK(h.end.error().cause == "Instance is not running");

    incus::instance nowhere("/tmp/there-is-no-such/unix.socket", "proj", "web1");
    const auto away = nowhere.exec({.argv = {"x"}}, 1s, {}, {});
    REQUIRE_FALSE(away);
    CHECK(away.error().code == core::reason::no_daemon);
}

TEST_CASE("a daemon that dies meanwhile leaves an end that nobody knows", "[incus]") {
    exec_daemon daemon(program_play{.out = {"begun"}, .runs_on = true, .dies_of = 99});
    std::jthread killer([&] {
        daemon.await_start();
        std::this_thread::sleep_for(50ms);
        daemon.die();
    });
    const auto begin = std::chrono::steady_clock::now();
    const auto h = run(daemon, {.argv = {"x"}});
    REQUIRE(h.end);
    CHECK(h.end->how == ports::ended::lost);
    CHECK(h.end->why.starts_with("the connection to the Incus daemon was lost"));
    CHECK(h.out == "begun");
    CHECK(since(begin) < 5s);
}

TEST_CASE("at the limit a program is asked to end, and then made to", "[incus]") {
    exec_daemon gentle(program_play{.out = {"begun"}, .runs_on = true});
    auto begin = std::chrono::steady_clock::now();
    const auto h = run(gentle, {.argv = {"x"}}, 200ms);
    CHECK(h.end->how == ports::ended::timed_out);
    CHECK(h.out == "begun");
    CHECK(since(begin) >= 200ms);
    CHECK(since(begin) < 900ms);
    CHECK(gentle.signals() == std::vector<int>{15});

    exec_daemon stubborn(program_play{.runs_on = true, .dies_of = 9});
    begin = std::chrono::steady_clock::now();
    CHECK(run(stubborn, {.argv = {"x"}}, 100ms).end->how == ports::ended::timed_out);
    CHECK(stubborn.signals() == std::vector<int>{15, 9});
    CHECK(since(begin) < 3s);

    exec_daemon immortal(program_play{.runs_on = true, .dies_of = 99});
    begin = std::chrono::steady_clock::now();
    CHECK(run(immortal, {.argv = {"x"}}, 100ms).end->how == ports::ended::timed_out);
    CHECK(since(begin) < 4s);
}

TEST_CASE("a stop request ends a program, or keeps it from being started", "[incus]") {
    exec_daemon daemon(program_play{.runs_on = true});
    std::stop_source source;
    std::jthread stopper([&] {
        daemon.await_start();
        source.request_stop();
    });
    CHECK(run(daemon, {.argv = {"x"}}, 0ms, source.get_token()).end->how == ports::ended::cancelled);
    CHECK(daemon.signals() == std::vector<int>{15});

    exec_daemon untouched(program_play{});
    CHECK(run(untouched, {.argv = {"x"}}, 5s, source.get_token()).end->how == ports::ended::cancelled);
    CHECK(untouched.seen().size() <= 1); // never connected, so never started
}

TEST_CASE("a daemon that takes its time to accept a program uses up the limit", "[incus]") {
    exec_daemon slow(program_play{.accepts_after = 2s});
    const auto begin = std::chrono::steady_clock::now();
    CHECK(run(slow, {.argv = {"x"}}, 150ms).end->how == ports::ended::timed_out);
    CHECK(since(begin) < 1s);
}

TEST_CASE("an output that stays open is not waited for without end", "[incus]") {
    exec_daemon daemon(program_play{.out = {"said"}, .exit_status = 3, .keeps_output = true});
    const auto begin = std::chrono::steady_clock::now();
    const auto h = run(daemon, {.argv = {"x"}});
    CHECK(h.end->exit_code == 3);
    CHECK(h.out == "said");
    CHECK(since(begin) < 3s);
}

TEST_CASE("a working directory is checked before the command is run", "[incus]") {
    exec_daemon daemon(program_play{});
    REQUIRE(run(daemon, {.argv = {"x"}, .cwd = "/opt/app"}).end);
    const auto body = daemon.posted();
    CHECK(body["command"] == nlohmann::json({"x"}));
    CHECK(body["cwd"] == "/opt/app");
    CHECK(daemon.posts() == 2);

    exec_daemon missing(program_play{.exit_status = 121});
    const auto h = run(missing, {.argv = {"x"}, .cwd = "/opt/app"});
    REQUIRE_FALSE(h.end);
    CHECK(h.end.error().code == core::reason::command_failed);
    CHECK(h.end.error().message == "directory /opt/app does not exist in instance web1");
    CHECK(missing.posts() == 1);
}

TEST_CASE("whoever observes is told of a program once", "[incus]") {
    exec_daemon daemon(program_play{});
    incus::instance web1(daemon.socket(), "proj", "web1");
    std::vector<incus::observed_time> seen;
    web1.observe([&](const incus::observed_time& t) { seen.push_back(t); });
    REQUIRE(web1.exec({.argv = {"echo", "a\nb"}}, 5s, {}, {}));
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].program);
    CHECK(seen[0].what.starts_with("echo a"));
    CHECK(seen[0].begin <= seen[0].end);
}

TEST_CASE("a prepared program is accepted, and does not begin before it is run", "[incus]") {
    exec_daemon daemon(program_play{.out = {"hello"}, .exit_status = 3});
    incus::instance web1(daemon.socket(), "proj", "web1");
    const ports::guest_command what{.argv = {"apt-get", "upgrade"}, .env = {{"A", "b"}}, .user = 33};
    web1.prepare(what, ports::readiness::accepted);
    REQUIRE(daemon.await_streams(3));
    CHECK(std::ranges::none_of(daemon.seen(), [](const auto& r) { return r.path.ends_with("secret=s0"); }));
    const auto h = run(web1, what);
    REQUIRE(h.end);
    CHECK(h.end->exit_code == 3);
    CHECK(h.out == "hello");
    CHECK(daemon.posts() == 1);
    CHECK(daemon.posted()["user"] == 33);
}

TEST_CASE("a program that waits runs, and has no input before its turn", "[incus]") {
    exec_daemon daemon(program_play{.reads_input = true});
    incus::instance web1(daemon.socket(), "proj", "web1");
    const ports::guest_command what{.argv = {"sh"}, .input = "go\n"};
    web1.prepare(what, ports::readiness::waiting);
    REQUIRE(daemon.await_streams(4));
    CHECK(daemon.input().empty());
    CHECK(run(web1, what).out == "go\n");
    CHECK(daemon.posts() == 1);
}

TEST_CASE("only the very program that was prepared is taken for it, and only once", "[incus]") {
    exec_daemon daemon(program_play{});
    incus::standby standby;
    const incus::guest_program one(daemon.socket(), "/1.0/instances/web1/exec", {.argv = {"x"}, .env = {{"A", "1"}}});
    const incus::guest_program other(daemon.socket(), "/1.0/instances/web1/exec", {.argv = {"x"}, .env = {{"A", "2"}}});
    const auto takes = [&](const incus::guest_program& which) {
        return standby.take({daemon.socket(), "/1.0/instances/web1/exec", which.command()}, {}, {}).is_prepared();
    };
    standby.prepare({daemon.socket(), "/1.0/instances/web1/exec", one.command()}, ports::readiness::accepted);
    CHECK_FALSE(takes(other));
    CHECK(takes(one));
    CHECK_FALSE(takes(one));
    CHECK(daemon.posts() == 1);
}

TEST_CASE("a prepared program that the daemon has given up is asked for once more", "[incus]") {
    exec_daemon daemon(program_play{.out = {"hello"}, .gives_up = true});
    const auto h = run_prepared(daemon);
    REQUIRE(h.end);
    CHECK(h.end->how == ports::ended::exited);
    CHECK(h.out == "hello");
    CHECK(daemon.posts() == 2);
}

TEST_CASE("a program whose daemon is gone is not even asked for its input, and begun anew", "[incus]") {
    exec_daemon daemon(program_play{.out = {"hello"}, .reads_input = true, .loses_streams = true});
    const ports::guest_command what{.argv = {"x"}, .input = "go\n"};
    incus::instance web1(daemon.socket(), "proj", "web1");
    web1.prepare(what, ports::readiness::accepted);
    REQUIRE(daemon.await_loss());
    const auto h = run(web1, what);
    REQUIRE(h.end);
    CHECK(h.end->how == ports::ended::exited);
    CHECK(h.out == "hellogo\n");
    CHECK(daemon.posts() == 2);
    CHECK(std::ranges::count_if(daemon.seen(), [](const auto& r) { return r.path.ends_with("secret=s0"); }) == 1);
}

TEST_CASE("a connection that the daemon has closed meanwhile is not asked how the program ends", "[incus]") {
    exec_daemon daemon(program_play{.exit_status = 3, .hangs_up = true});
    const auto h = run_prepared(daemon);
    REQUIRE(h.end);
    CHECK(h.end->how == ports::ended::exited);
    CHECK(h.end->exit_code == 3);
    CHECK(daemon.posts() == 1);
}

TEST_CASE("what was prepared too long ago is not run", "[incus]") {
    exec_daemon daemon(program_play{});
    incus::standby standby(20ms);
    const ports::guest_command what{.argv = {"x"}};
    standby.prepare({daemon.socket(), "/1.0/instances/web1/exec", what}, ports::readiness::accepted);
    REQUIRE(daemon.await_streams(3));
    const auto begin = std::chrono::steady_clock::now();
    while (since(begin) < 30ms) {
        std::this_thread::yield();
    }
    CHECK_FALSE(standby.take({daemon.socket(), "/1.0/instances/web1/exec", what}, {}, {}).is_prepared());
}

TEST_CASE("one that waits for nothing is told so when its time is over") {
    exec_daemon daemon(program_play{.reads_input = true});
    incus::standby standby(20ms);
    const ports::guest_command what{.argv = {"x"}, .input = "go\n"};
    standby.prepare({daemon.socket(), "/1.0/instances/web1/exec", what}, ports::readiness::waiting);
    REQUIRE(daemon.await_streams(4));
    REQUIRE(daemon.await_end_of_input());
    CHECK(daemon.input().empty());
    CHECK_FALSE(standby.take({daemon.socket(), "/1.0/instances/web1/exec", what}, {}, {}).is_prepared());
}

TEST_CASE("a shell that waits is for any script, also when it is prepared once more") {
    exec_daemon daemon(program_play{.reads_input = true});
    incus::instance web1(daemon.socket(), "proj", "web1");
    web1.prepare(ports::waiting_shell(), ports::readiness::waiting);
    REQUIRE(daemon.await_streams(4));
    web1.prepare(ports::waiting_shell(), GENERATE(ports::readiness::accepted, ports::readiness::waiting));
    CHECK(run(web1, ports::waiting_shell("some script\n")).out == "some script\n");
    CHECK(daemon.posts() == 1);
    CHECK(run(web1, ports::waiting_shell("another one\n")).end);
    CHECK(daemon.posts() == 2);
}

TEST_CASE("what was prepared is not for an instance that was stopped since", "[incus]") {
    exec_daemon daemon(program_play{.exit_status = 3});
    incus::instance web1(daemon.socket(), "proj", "web1");
    web1.prepare({.argv = {"x"}}, ports::readiness::accepted);
    REQUIRE(daemon.await_streams(3));
    REQUIRE(web1.stop(0ms, 5s));
    CHECK(run(web1, {.argv = {"x"}}).end->exit_code == 3);
    CHECK(daemon.posts() == 2);
}

TEST_CASE("an instance runs when a program can be run in it and its status says so", "[incus]") {
    const auto proof = [](program_play play) {
        exec_daemon daemon(std::move(play));
        incus::instance web1(daemon.socket(), "proj", "web1");
        auto proved = web1.prove_running(5s);
        CHECK(daemon.posts() == 1);
        CHECK(daemon.posted()["command"] == nlohmann::json({"true"}));
        CHECK(asked_behind_the_streams(daemon, "/1.0/instances/web1?project=proj"));
        return proved;
    };
    CHECK(proof({}));
    const auto broken = proof({.exit_status = 127});
    REQUIRE_FALSE(broken);
    CHECK(broken.error().code == core::reason::not_running);
    CHECK(broken.error().message ==
          "no program can be run in instance web1: `incus exec web1 -- true` exited with 127");
    const auto frozen = proof({.status = "Frozen"});
    REQUIRE_FALSE(frozen);
    CHECK(frozen.error().message == "instance web1 is not running");
    const auto silent = proof({.tells_status = false});
    REQUIRE_FALSE(silent);
    CHECK(silent.error().message.ends_with("`incus exec web1 -- true` ended, and nobody knows how"));
}

namespace {

/// What became of the proof when a shell waited that says so.
core::expected<void> prove_in_shell(exec_daemon& daemon) {
    incus::instance web1(daemon.socket(), "proj", "web1");
    web1.prepare(ports::waiting_shell(), ports::readiness::waiting);
    REQUIRE(daemon.await_streams(4));
    return web1.prove_running(5s);
}

} // namespace

TEST_CASE("a shell that waits proves it, and only by what it says", "[incus]") {
    const std::string mark = "belay: a program has run\n";
    SECTION("it says so") {
        exec_daemon daemon(program_play{.out = {mark}, .reads_input = true});
        CHECK(prove_in_shell(daemon));
        CHECK(daemon.posts() == 1);
        CHECK(daemon.input().find("find_file true\n") != std::string::npos);
    }
    SECTION("it says so of an instance that does not run") {
        exec_daemon daemon(program_play{.out = {mark}, .reads_input = true, .status = "Frozen"});
        const auto frozen = prove_in_shell(daemon);
        REQUIRE_FALSE(frozen);
        CHECK(frozen.error().message == "instance web1 is not running");
        CHECK(daemon.posts() == 1);
    }
    SECTION("it ends without a word, and the daemon can begin a program") {
        exec_daemon daemon(program_play{});
        CHECK(prove_in_shell(daemon));
        CHECK(daemon.posts() == 2);
        CHECK(daemon.posted()["command"] == nlohmann::json({"true"}));
    }
    SECTION("it says that and more, and the daemon can begin a program") {
        exec_daemon daemon(program_play{.out = {mark + std::string(100'000, 'x')}, .reads_input = true});
        CHECK(prove_in_shell(daemon));
        CHECK(daemon.posts() == 2);
    }
    SECTION("it says something else, and the daemon cannot") {
        exec_daemon daemon(program_play{.out = {"x" + mark}, .exit_status = 127});
        const auto broken = prove_in_shell(daemon);
        REQUIRE_FALSE(broken);
        CHECK(broken.error().message.ends_with("`incus exec web1 -- true` exited with 127"));
        CHECK(daemon.posts() == 2);
    }
}

TEST_CASE("nothing can be run in an instance whose daemon refuses programs", "[incus]") {
    exec_daemon daemon(program_play{.refusal = "Instance is frozen", .status = "Frozen"});
    incus::instance web1(daemon.socket(), "proj", "web1");
    const auto proved = web1.prove_running(5s);
    REQUIRE_FALSE(proved);
    CHECK(proved.error().code == core::reason::not_running);
    CHECK(proved.error().cause == "Instance is frozen");
}

TEST_CASE("a program that could not be prepared is begun when it is run", "[incus]") {
    std::optional<exec_daemon> daemon(std::in_place, program_play{.refusal = "Instance is frozen"});
    incus::instance web1(daemon->socket(), "proj", "web1");
    web1.prepare({.argv = {"x"}}, ports::readiness::accepted);
    const auto h = run(web1, {.argv = {"x"}});
    REQUIRE_FALSE(h.end);
    CHECK(h.end.error().cause == "Instance is frozen");
    CHECK(daemon->posts() == 2);
}

TEST_CASE("nobody waits for a program that is being prepared longer than need be", "[incus]") {
    exec_daemon slow(program_play{.accepts_after = 2s});
    const auto begin = std::chrono::steady_clock::now();
    {
        incus::instance web1(slow.socket(), "proj", "web1");
        web1.prepare({.argv = {"x"}}, ports::readiness::accepted);
        std::stop_source source;
        source.request_stop();
        CHECK(run(web1, {.argv = {"x"}}, 0ms, source.get_token()).end->how == ports::ended::cancelled);
        web1.prepare({.argv = {"y"}}, ports::readiness::accepted); // and is never run
    }
    CHECK(since(begin) < 1s);
}

TEST_CASE("a stop request keeps a prepared program from being started", "[incus]") {
    exec_daemon daemon(program_play{});
    incus::instance web1(daemon.socket(), "proj", "web1");
    web1.prepare({.argv = {"x"}}, ports::readiness::accepted);
    REQUIRE(daemon.await_streams(3));
    std::stop_source source;
    source.request_stop();
    CHECK(run(web1, {.argv = {"x"}}, 0ms, source.get_token()).end->how == ports::ended::cancelled);
    CHECK(std::ranges::none_of(daemon.seen(), [](const auto& r) { return r.path.ends_with("secret=s0"); }));
}

TEST_CASE("of two preparations of a program the later one counts", "[incus]") {
    exec_daemon daemon(program_play{});
    incus::standby standby(1s);
    const auto program = [&] {
        return incus::guest_program(daemon.socket(), "/1.0/instances/web1/exec", {.argv = {"x"}});
    };
    standby.prepare(program(), ports::readiness::accepted);
    std::this_thread::sleep_for(700ms);
    standby.prepare(program(), ports::readiness::accepted);
    std::this_thread::sleep_for(400ms); // the first is too old now
    CHECK(standby.take(program(), {}, {}).is_prepared());
}

TEST_CASE("the time to prepare a program counts in its limit", "[incus]") {
    exec_daemon slow(program_play{.accepts_after = 2s});
    incus::instance web1(slow.socket(), "proj", "web1");
    web1.prepare({.argv = {"x"}}, ports::readiness::accepted);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(run(web1, {.argv = {"x"}}, 150ms).end->how == ports::ended::timed_out);
    CHECK(since(begin) < 1s);
}

namespace {

using progress = ports::begun_program::progress;

/// Says what it found, that it waits, and then what it was given.
program_play that_waits() {
    return {.out = {"found\n", "a lot\nbelay: ne", "xt\n"}, .exit_status = 3, .reads_input = true};
}

} // namespace

TEST_CASE("a program that waits for its input says so, and goes on with it", "[incus]") {
    exec_daemon daemon(that_waits());
    incus::instance web1(daemon.socket(), "proj", "web1");
    std::vector<incus::observed_time> seen;
    web1.observe([&](const incus::observed_time& t) { seen.push_back(t); });
    const bool prepared = GENERATE(false, true);
    if (prepared) {
        web1.prepare({.argv = {"x"}}, ports::readiness::accepted);
    }
    const auto program = web1.begin({.argv = {"x"}}, "belay: next", 10s, {});
    REQUIRE(program);
    CHECK(program->await(10s, {}) == progress::waits);
    CHECK(program->await(0s, {}) == progress::waits);
    CHECK(program->printed() == "found\na lot\n");
    CHECK(daemon.input().empty());
    std::string out;
    const auto end = program->go_on({"go\n"}, 10s, [&](auto, std::string_view piece) { out += piece; }, {});
    REQUIRE(end);
    CHECK(end->how == ports::ended::exited);
    CHECK(end->exit_code == 3);
    CHECK(out == "go\n");
    CHECK(daemon.posts() == 1);
    CHECK(std::ranges::count(seen, true, &incus::observed_time::program) == 1);
}

TEST_CASE("a program that has not said that it waits is read on later, or ended", "[incus]") {
    auto play = that_waits();
    play.out.pop_back();
    play.runs_on = true;
    exec_daemon daemon(play);
    incus::instance web1(daemon.socket(), "proj", "web1");
    std::vector<incus::observed_time> seen;
    web1.observe([&](const incus::observed_time& t) { seen.push_back(t); });
    {
        const auto program = web1.begin({.argv = {"x"}}, "belay: next", 10s, {});
        REQUIRE(program);
        CHECK(program->await(20ms, {}) == progress::runs);
        std::stop_source stopped;
        stopped.request_stop();
        CHECK(program->await(10s, stopped.get_token()) == progress::runs);
        CHECK(program->printed() == "found\na lot\nbelay: ne");
    }
    CHECK(daemon.signals().front() == SIGTERM);
    CHECK(daemon.input().empty());
    CHECK(seen.size() == 1); // it is told of all the same
}

TEST_CASE("a mark is a whole line", "[incus]") {
    exec_daemon daemon({.out = {"not belay: next\n"}, .runs_on = true});
    incus::instance web1(daemon.socket(), "proj", "web1");
    const auto program = web1.begin({.argv = {"x"}}, "belay: next", 10s, {});
    REQUIRE(program);
    CHECK(program->await(20ms, {}) == progress::runs);
}

TEST_CASE("a program that ends instead of waiting is over", "[incus]") {
    exec_daemon daemon({.out = {"found\n"}, .exit_status = 127});
    incus::instance web1(daemon.socket(), "proj", "web1");
    const auto program = web1.begin({.argv = {"x"}}, "belay: next", 10s, {});
    REQUIRE(program);
    CHECK(program->await(10s, {}) == progress::over);
    CHECK(program->printed() == "found\n");
}

TEST_CASE("a program that waits and whose daemon has died is over", "[incus]") {
    auto play = that_waits();
    play.runs_on = true;
    exec_daemon daemon(play);
    incus::instance web1(daemon.socket(), "proj", "web1");
    const auto program = web1.begin({.argv = {"x"}}, "belay: next", 10s, {});
    REQUIRE(program);
    REQUIRE(program->await(10s, {}) == progress::waits);
    daemon.die();
    CHECK(program->await(0s, {}) == progress::over);
}

TEST_CASE("a program that prints without end before it waits is ended", "[incus]") {
    exec_daemon daemon({.out = {std::string(3U << 20U, 'x')}, .runs_on = true});
    incus::instance web1(daemon.socket(), "proj", "web1");
    {
        const auto program = web1.begin({.argv = {"x"}}, "belay: next", 10s, {});
        REQUIRE(program);
        CHECK(program->await(10s, {}) == progress::over);
    }
    CHECK(daemon.signals().front() == SIGTERM);
}

TEST_CASE("a program that waits is given nothing behind a stop request, and its time counts from its input on",
          "[incus]") {
    auto play = that_waits();
    play.runs_on = true;
    exec_daemon daemon(play);
    incus::instance web1(daemon.socket(), "proj", "web1");
    auto program = web1.begin({.argv = {"x"}}, "belay: next", 10s, {});
    REQUIRE(program);
    REQUIRE(program->await(10s, {}) == progress::waits);
    SECTION("stop") {
        std::stop_source stopped;
        stopped.request_stop();
        const auto end = program->go_on({"go\n"}, 10s, {}, stopped.get_token());
        REQUIRE(end);
        CHECK(end->how == ports::ended::cancelled);
        program.reset();
        CHECK(daemon.input().empty());
        CHECK(daemon.signals().empty());
    }
    SECTION("limit") {
        const auto end = program->go_on({"go\n"}, 50ms, {}, {});
        REQUIRE(end);
        CHECK(end->how == ports::ended::timed_out);
        CHECK(daemon.signals().front() == SIGTERM);
        CHECK(daemon.input() == "go\n");
    }
}

namespace {

/// Of one that has a bystander.
heard go_on_beside(exec_daemon& daemon, core::milliseconds limit) {
    incus::instance web1(daemon.socket(), "proj", "web1");
    const auto program = web1.begin({.argv = {"x"}}, "belay: next", 10s, {});
    REQUIRE(program);
    REQUIRE(program->await(10s, {}) == progress::waits);
    heard h;
    h.end = program->go_on({"go\n", "never mind\n"}, limit, into(h), {});
    return h;
}

} // namespace

TEST_CASE("the proof of a bystander is none of the program's output", "[incus]") {
    exec_daemon daemon({.out = {"belay: next\n"},
                        .err = {"oops\nbelay", ": a program", " has run\n"},
                        .exit_status = 3,
                        .last_word = "go\n"});
    const auto seen = go_on_beside(daemon, 10s);
    REQUIRE(seen.end);
    CHECK(seen.end->how == ports::ended::exited);
    CHECK(seen.end->exit_code == 3);
    CHECK(seen.end->proved_running);
    CHECK(seen.err == "oops\n");
    CHECK(daemon.input() == "go\n");
}

TEST_CASE("what is no proof of a bystander is passed on", "[incus]") {
    const std::string text = GENERATE("oops\nbelay", "belay: a program has run\nand more\n", "");
    exec_daemon daemon({.out = {"belay: next\n"}, .err = {text}, .last_word = "go\n"});
    const auto seen = go_on_beside(daemon, 10s);
    REQUIRE(seen.end);
    CHECK_FALSE(seen.end->proved_running);
    CHECK(seen.err == text);
}

TEST_CASE("a bystander is dismissed when the program takes longer", "[incus]") {
    exec_daemon daemon({.out = {"belay: next\n"}, .last_word = "never mind\n"});
    const auto begin = std::chrono::steady_clock::now();
    const auto seen = go_on_beside(daemon, 20s);
    CHECK(since(begin) >= 3s);
    REQUIRE(seen.end);
    CHECK(seen.end->how == ports::ended::exited);
    CHECK(daemon.await_end_of_input());
    CHECK(daemon.input() == "go\nnever mind\n");
}

TEST_CASE("a bystander does not make the time of a program longer", "[incus]") {
    exec_daemon daemon({.out = {"belay: next\n"}, .runs_on = true});
    const auto begin = std::chrono::steady_clock::now();
    const auto seen = go_on_beside(daemon, 50ms);
    CHECK(since(begin) < 2s);
    REQUIRE(seen.end);
    CHECK(seen.end->how == ports::ended::timed_out);
    CHECK(daemon.signals().front() == SIGTERM);
}

TEST_CASE("what the daemon does not accept is not begun", "[incus]") {
    exec_daemon daemon({.refusal = "no"});
    incus::instance web1(daemon.socket(), "proj", "web1");
    CHECK(web1.begin({.argv = {"x"}}, "belay: next", 10s, {}) == nullptr);
    std::stop_source stopped;
    stopped.request_stop();
    CHECK(web1.begin({.argv = {"x"}}, "belay: next", 10s, stopped.get_token()) == nullptr);
}
