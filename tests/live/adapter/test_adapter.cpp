// SPDX-License-Identifier: Apache-2.0
// The adapter against a real daemon. Makes and deletes instances of its own names only.
#include "core/lock_rule.hpp"
#include "incus/instance.hpp"
#include "incus/socket.hpp"
#include "process/child.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;
using core::reason;

namespace {

const std::string lock_key(core::lock_key_name);

/// As in live.py: of the daemons that tests/run has started the one that ctest gave to this test.
void use_own_daemon() {
    const char* given = std::getenv("CTEST_RESOURCE_GROUP_0_INCUS"); // id:2,slots:1
    const char* all = std::getenv("BELAY_TEST_INCUS_DIR");
    if (given == nullptr || all == nullptr) {
        return;
    }
    const std::string id = given;
    const auto begin = id.find(':') + 1;
    const auto folder = std::string(all) + "/" + id.substr(begin, id.find(',') - begin);
    setenv("INCUS_DIR", (folder + "/incus").c_str(), 1);
    setenv("INCUS_CONF", (folder + "/conf").c_str(), 1);
    setenv("INCUS_LXC_TEMPLATE_CONFIG", (folder + "/lxc").c_str(), 1);
}

int cli(std::vector<std::string> words) {
    words.insert(words.begin(), "incus");
    const auto r = process::run({words}, 60s, {}, {});
    return r && r->how == process::ended::exited ? r->code : -1;
}

std::string live_socket() {
    use_own_daemon();
    const char* wanted = std::getenv("BELAY_TEST_LIVE");
    if (wanted == nullptr || std::string_view(wanted) != "1") {
        SKIP("needs a real Incus: BELAY_TEST_LIVE=1");
    }
    auto socket = incus::find_socket(incus::real_surroundings());
    REQUIRE(socket);
    return *socket;
}

/// An instance that exists for one test.
class guest {
public:
    explicit guest(const std::string& pool, std::vector<std::string> options = {})
        : name("adapter-" + pool + "-" + std::to_string(::getpid())), host(live_socket(), "default", name) {
        std::vector<std::string> words{"launch", "tiny", name, "-s", pool};
        words.insert(words.end(), options.begin(), options.end());
        REQUIRE(cli(words) == 0);
    }

    ~guest() { cli({"delete", "-f", name}); }

    guest(const guest&) = delete;
    guest& operator=(const guest&) = delete;

    std::string sh(const std::string& script) {
        std::string out;
        const auto end = host.exec({.argv = {"sh", "-c", script}}, 30s,
                                   [&](core::output::stream, std::string_view b) { out += b; }, {});
        REQUIRE(end);
        return out + "[" + std::to_string(end->exit_code) + "]";
    }

    const std::string name;
    incus::instance host;
};

template <class Call>
auto timed(const std::string& what, Call call) {
    const auto begin = std::chrono::steady_clock::now();
    auto result = call();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    std::printf("  %-28s %8.1f ms\n", what.c_str(), took.count());
    return result;
}

/// Whether a shell waits in it for a word.
bool has_waiting_shell(guest& g) {
    return g.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | grep -c 'read -r word [|][|]' || :") != "0\n[0]";
}

bool comes_true(const std::function<bool()>& what) {
    for (const auto until = std::chrono::steady_clock::now() + 10s; std::chrono::steady_clock::now() < until;) {
        if (what()) {
            return true;
        }
        std::this_thread::sleep_for(20ms);
    }
    return false;
}

} // namespace

TEST_CASE("an upgrade is undone by the adapter alone", "[live]") {
    const std::string pool = GENERATE("btrfs", "dir");
    std::printf("%s\n", pool.c_str());
    guest g(pool);
    auto seen = timed("examine, first", [&] { return g.host.examine(10s); });
    REQUIRE(seen);
    CHECK(seen->facts.driver == pool);
    CHECK(seen->facts.pool == pool);
    CHECK(seen->facts.running);
    CHECK(seen->facts.uuid.size() == 36);
    CHECK(seen->facts.server.size() == 64);
    CHECK(timed("examine", [&] { return g.host.examine(10s); }));
    CHECK(timed("check_restorable", [&] { return g.host.check_restorable(seen->facts, {}, 10s); }));
    const auto swapped = timed("change", [&] { return g.host.change({{{lock_key, "mine"}}}, seen->etag, 10s); });
    CHECK(swapped == ports::swapped::done);
    CHECK(*g.host.change({{{lock_key, "theirs"}}}, seen->etag, 10s) == ports::swapped::lost);
    CHECK(g.host.examine(10s)->lock == "mine");

    REQUIRE(timed("snapshot", [&] { return g.host.snapshot("root", "belay-t", 30s); }));
    CHECK(g.host.snapshot("root", "belay-t", 30s).error().code == reason::snapshot_failed);
    CHECK(g.sh("echo new >/etc/version; sync; exit 3") == "[3]");
    REQUIRE(timed("stop, graceful", [&] { return g.host.stop(5s, 30s); }));
    REQUIRE(timed("restore", [&] { return g.host.restore("root", "belay-t", 30s); }));
    CHECK(g.host.examine(10s)->lock == "mine"); // set before the snapshot, so it came back with it
    REQUIRE(timed("start", [&] { return g.host.start(30s); }));
    CHECK(g.sh("cat /etc/version 2>/dev/null") == "[1]");
    CHECK(timed("prove_running", [&] { return g.host.prove_running(10s); }));
    CHECK(timed("exec true", [&] { return g.host.exec({.argv = {"true"}}, 10s, {}, {}); })->exit_code == 0);
    CHECK(timed("discard", [&] { return g.host.discard("root", "belay-t", 30s); }));
    CHECK(g.host.discard("root", "belay-t", 30s));
    CHECK(timed("pause", [&] { return g.host.pause(30s); }));
    CHECK(g.host.pause(30s));
    CHECK(g.host.prove_running(5s).error().code == reason::not_running);
    CHECK(timed("unpause", [&] { return g.host.unpause(30s); }));
    CHECK(g.host.unpause(30s));
    CHECK(timed("stop, forced", [&] { return g.host.stop(0ms, 30s); }));
    CHECK(g.host.stop(5s, 30s));
}

TEST_CASE("a guest that ignores its shutdown is forced, also when it is frozen", "[live]") {
    guest g("btrfs");
    g.sh("printf '#!/bin/sh\\ntrap \"\" PWR TERM\\nwhile :; do sleep 1; done\\n' >/etc/rc; chmod +x /etc/rc");
    REQUIRE(g.host.stop(0ms, 30s));
    REQUIRE(g.host.start(30s));
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(g.host.stop(400ms, 30s));
    CHECK(std::chrono::steady_clock::now() - begin < 3s);
    REQUIRE(g.host.start(30s));
    REQUIRE(g.host.pause(30s));
    REQUIRE(g.host.stop(300ms, 30s));
    REQUIRE(g.host.start(30s));
    REQUIRE(g.host.pause(30s));
    REQUIRE(g.host.start(30s)); // thaws
    CHECK(g.host.prove_running(10s));
}

TEST_CASE("what does not exist is told apart", "[live]") {
    const auto socket = live_socket();
    incus::instance nobody(socket, "default", "adapter-nobody");
    CHECK(nobody.examine(10s).error().code == reason::not_found);
    CHECK(nobody.stop(0ms, 10s).error().code == reason::not_found);
    incus::instance nowhere(socket, "adapter-no-project", "adapter-nobody");
    CHECK(nowhere.examine(10s).error().message.find("project adapter-no-project does not exist") == 0);
    CHECK(nobody.exec({.argv = {"true"}}, 10s, {}, {}).error().code == reason::not_found);
}

TEST_CASE("a snapshot with an expiry is made eternal before its restore", "[live]") {
    guest g("btrfs");
    REQUIRE(cli({"config", "set", g.name, "snapshots.expiry=1H"}) == 0);
    REQUIRE(cli({"snapshot", "create", g.name, "soon"}) == 0);
    REQUIRE(g.host.stop(0ms, 30s));
    REQUIRE(g.host.restore("root", "soon", 30s));
    std::string shown;
    process::run({{"incus", "query", "/1.0/instances/" + g.name + "/snapshots/soon"}}, 10s,
                 [&](core::output::stream, std::string_view b) { shown += b; }, {});
    CHECK(shown.find("\"expires_at\": \"0001-01-01T00:00:00Z\"") != std::string::npos);
    const auto none = g.host.restore("root", "none", 30s);
    CHECK(none.error().code == reason::restore_failed);
}

TEST_CASE("a restricted project is recognised", "[live]") {
    const auto socket = live_socket();
    const std::string project = "adapter-restricted";
    REQUIRE(cli({"project", "create", project, "-c", "restricted=true"}) == 0);
    incus::instance any(socket, project, "any");
    CHECK(any.check_restorable({}, {}, 10s).error().code == reason::not_restorable);
    cli({"project", "set", project, "restricted.snapshots=allow"});
    CHECK(any.check_restorable({}, {}, 10s));
    cli({"project", "delete", project});
}

TEST_CASE("programs in a guest get their arguments, input, environment and directory", "[live]") {
    guest g("btrfs");
    std::string out;
    const auto collect = [&](core::output::stream, std::string_view b) { out += b; };
    ports::guest_command what{.argv = {"sh", "-c", "printf '%s|' \"$@\" \"$K\" \"$PWD\"; cat", "sh", "", "a\nb", "--"},
                              .env = {{"K", "v=w x"}},
                              .cwd = "/tmp"};
    what.input = "in";
    REQUIRE(g.host.exec(what, 10s, collect, {}));
    CHECK(out == "|a\nb|--|v=w x|/tmp|in");
    what.cwd = "/no/such";
    CHECK(g.host.exec(what, 10s, collect, {}).error().message.find("directory /no/such does not exist") == 0);
    CHECK(g.host.exec({.argv = {"no-such-program"}}, 10s, {}, {})->exit_code == 127);
    CHECK(g.host.exec({.argv = {"sh", "-c", "kill -9 $$"}}, 10s, {}, {})->exit_code == 137);
    CHECK(g.host.exec({.argv = {"sleep", "30"}}, 300ms, {}, {})->how == ports::ended::timed_out);
    std::size_t bytes = 0;
    REQUIRE(g.host.exec({.argv = {"head", "-c", "50000000", "/dev/zero"}}, 60s,
                        [&](core::output::stream, std::string_view b) { bytes += b.size(); }, {}));
    CHECK(bytes == 50'000'000);
}

TEST_CASE("many programs run in a guest at once", "[live]") {
    guest g("btrfs");
    std::atomic<int> good{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i) {
            threads.emplace_back([&, i] {
                const auto end = g.host.exec({.argv = {"sh", "-c", "exit " + std::to_string(i)}}, 30s, {}, {});
                good += end && end->exit_code == i ? 1 : 0;
            });
        }
    }
    CHECK(good == 8);
}

TEST_CASE("a prepared program begins when it is run, and one that waits does nothing before", "[live]") {
    guest g("btrfs");
    const ports::guest_command touches{.argv = {"sh", "-c", "echo ran >/ran"}};
    g.host.prepare(touches, ports::readiness::accepted);
    const ports::guest_command waits{.argv = {"sh", "-c", "read -r word || exit; echo $word"}, .input = "go\n"};
    g.host.prepare(waits, ports::readiness::waiting);
    REQUIRE(comes_true([&] { return has_waiting_shell(g); }));
    CHECK(g.sh("[ -e /ran ] || echo not yet") == "not yet\n[0]");
    std::string said;
    const auto sink = [&](core::output::stream, std::string_view b) { said += b; };
    REQUIRE(g.host.exec(waits, 10s, sink, {}));
    CHECK(said == "go\n");
    REQUIRE(g.host.exec(touches, 10s, {}, {}));
    CHECK(g.sh("cat /ran") == "ran\n[0]");
}

TEST_CASE("of what was prepared for nothing nothing is left, and a late program is begun anew", "[live]") {
    guest g("btrfs");
    const ports::guest_command touches{.argv = {"sh", "-c", "echo ran >/ran"}};
    const ports::guest_command waits{.argv = {"sh", "-c", "read -r word || exit; echo $word >/ran"}};
    {
        incus::instance other(live_socket(), "default", g.name);
        other.prepare(touches, ports::readiness::accepted);
        other.prepare(waits, ports::readiness::waiting);
        REQUIRE(comes_true([&] { return has_waiting_shell(g); }));
    }
    CHECK(comes_true([&] { return !has_waiting_shell(g); }));
    g.host.prepare(touches, ports::readiness::accepted);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(g.sh("sleep 6; [ -e /ran ] || echo no") == "no\n[0]"); // the daemon has given them up
    REQUIRE(std::chrono::steady_clock::now() - begin > 5s);
    REQUIRE(g.host.exec(touches, 10s, {}, {}));
    CHECK(g.sh("cat /ran") == "ran\n[0]");
}

namespace {

/// How many shells of belay's own there are in it.
std::string shells(guest& g) {
    return g.sh(
        "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null | grep -c '^sh -s [b]elay' || :");
}

constexpr const char* one_shell = "1\n[0]";
constexpr const char* no_shell = "0\n[0]";

} // namespace

TEST_CASE("a shell that waits runs a script, proves that the instance runs, and goes with belay", "[live]") {
    guest g("btrfs");
    std::vector<std::string> programs;
    {
        incus::instance other(live_socket(), "default", g.name);
        other.observe([&](const incus::observed_time& t) {
            if (t.program) {
                programs.push_back(t.what);
            }
        });
        const auto prepare = [&] {
            other.prepare(ports::waiting_shell(), ports::readiness::waiting);
            REQUIRE(comes_true([&] { return shells(g) == one_shell; }));
        };
        prepare();
        std::string said;
        const auto sink = [&](core::output::stream, std::string_view b) { said += b; };
        REQUIRE(other.exec(ports::waiting_shell(core::script_for_shell("echo \"$$ ran\"")), 10s, sink, {}));
        CHECK(said.ends_with(" ran\n"));
        CHECK(comes_true([&] { return shells(g) == no_shell; }));
        prepare();
        CHECK(other.prove_running(10s));
        CHECK(programs == std::vector<std::string>{"sh -s belay", "sh -s belay"});
        CHECK(other.prove_running(10s)); // without one
        CHECK(programs.back() == "true");
        CHECK(comes_true([&] { return shells(g) == no_shell; }));
        prepare();
    }
    CHECK(comes_true([&] { return shells(g) == no_shell; }));
}

TEST_CASE("a shell that waits is no proof when no other program can be run", "[live]") {
    guest g("btrfs");
    g.host.prepare(ports::waiting_shell(), ports::readiness::waiting);
    REQUIRE(comes_true([&] { return shells(g) == one_shell; }));
    REQUIRE(g.sh("rm /bin/true") == "[0]");
    const auto proved = g.host.prove_running(10s);
    REQUIRE_FALSE(proved);
    CHECK(proved.error().message.find("`incus exec " + g.name + " -- true` exited with 127") != std::string::npos);
}

TEST_CASE("a shell that waits has ended when its time is over", "[live]") {
    guest g("btrfs");
    const auto begin = std::chrono::steady_clock::now();
    g.host.prepare(ports::waiting_shell(), ports::readiness::waiting);
    REQUIRE(comes_true([&] { return shells(g) == one_shell; }));
    REQUIRE(comes_true([&] { return shells(g) == no_shell; }));
    CHECK(std::chrono::steady_clock::now() - begin >= incus::longest_standby);
    CHECK(g.host.prove_running(10s));
}
