// SPDX-License-Identifier: Apache-2.0
#include "core/lock_rule.hpp"
#include "fake_daemon.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using namespace std::chrono_literals;
using core::reason;

namespace {

const std::string lock_key(core::lock_key_name);

struct setup {
    fakes::daemon daemon;
    incus::instance web1{daemon.server.socket(), "default", "web1"};

    bool asked(const std::string& what) const {
        const auto all = daemon.asked();
        return std::ranges::find(all, what) != all.end();
    }
};

std::string never(const fakes::daemon& d, const std::string& name) {
    return d.snapshots.at(name).expires;
}

} // namespace

TEST_CASE("examining reads the facts of the instance, its server and its pool", "[incus]") {
    setup s;
    s.daemon.config["user.belay.transaction"] = "t m b 1";
    const auto seen = s.web1.examine(5s);
    REQUIRE(seen);
    CHECK(seen->facts.uuid == "u-1");
    CHECK(seen->facts.server == "f00d");
    CHECK(seen->facts.type == "container");
    CHECK(seen->facts.pool == "p");
    CHECK(seen->facts.driver == "btrfs");
    CHECK(seen->facts.running);
    CHECK_FALSE(seen->facts.ephemeral);
    CHECK(seen->facts.disks == std::vector<core::disk>{{"root", "/", "p", true, false}});
    CHECK(seen->lock == "t m b 1");
    CHECK(seen->etag == "\"tag-1\"");
    REQUIRE(s.web1.examine(5s));
    CHECK(s.daemon.asked().size() == 8); // server and pool stay what they are
}

TEST_CASE("a pool is asked about as soon as the instance has named it", "[incus]") {
    setup s;
    s.daemon.pool_space = {{"total", 2}, {"used", 1}};
    s.daemon.after = {"/1.0/projects/default", "/1.0/storage-pools/p/resources"};
    const auto facts = s.web1.examine(20s)->facts;
    CHECK(facts.driver == "btrfs");
    CHECK(s.web1.check_restorable(facts, {}, 5s));
    CHECK(s.daemon.asked().size() == 7); // the project was not asked for again
}

TEST_CASE("a pool is asked what it is unless the server has one driver only, and that one no settings that matter",
          "[incus]") {
    struct server {
        const char* drivers;
        bool clustered;
        const char* driver;
        std::ptrdiff_t questions;
    };

    const auto one = GENERATE(server{"btrfs", false, "btrfs", 0}, server{"dir", false, "dir", 0},
                              server{"zfs", false, "zfs", 1}, server{"dir | btrfs", false, "btrfs", 1},
                              server{"", false, "btrfs", 1}, server{"btrfs", true, "btrfs", 1});
    CAPTURE(one.drivers, one.clustered);
    setup s;
    s.daemon.drivers = one.drivers;
    s.daemon.clustered = one.clustered;
    s.daemon.driver = one.driver;
    s.daemon.pool_space = {{"total", 2}, {"used", 1}};
    const auto seen = s.web1.examine(5s);
    REQUIRE(seen);
    CHECK(seen->facts.driver == one.driver);
    CHECK(s.web1.check_restorable(seen->facts, {}, 5s));
    const auto asked = s.daemon.asked();
    CHECK(std::ranges::count(asked, "GET /1.0/storage-pools/p") == one.questions);
    CHECK(std::ranges::count(asked, "GET /1.0/storage-pools/p/resources") == 1);
}

TEST_CASE("what the server has said about its drivers some time ago says nothing about a new pool", "[incus]") {
    setup s;
    s.daemon.drivers = "btrfs";
    REQUIRE(s.web1.examine(5s));
    s.daemon.pool = "q"; // of a driver that the server did not have
    s.daemon.driver = "zfs";
    s.daemon.devices["root"]["pool"] = "q";
    CHECK(s.web1.examine(5s)->facts.driver == "zfs");
}

TEST_CASE("an examination that was prepared asks for nothing twice", "[incus]") {
    setup s;
    s.daemon.pool_space = {{"total", 2}, {"used", 1}};
    s.web1.prepare_examination();
    const auto seen = s.web1.examine(5s);
    REQUIRE(seen);
    CHECK(seen->facts.uuid == "u-1");
    CHECK(seen->facts.driver == "btrfs");
    CHECK(s.web1.check_restorable(seen->facts, {}, 5s));
    CHECK(s.daemon.asked().size() == 7);
    s.daemon.config["user.belay.transaction"] = "t m b 1";
    CHECK(s.web1.examine(5s)->lock == "t m b 1");
}

TEST_CASE("an instance is not examined when its own answer, its server's or its pool's does not come in time",
          "[incus]") {
    setup s;
    s.daemon.hangs = GENERATE("/1.0/instances/web1", "/1.0", "/1.0/storage-pools/p");
    const auto late = s.web1.examine(200ms);
    REQUIRE_FALSE(late);
    CHECK(late.error().code == reason::no_daemon);
    CHECK(late.error().message.find("did not answer within") != std::string::npos);
}

TEST_CASE("a preflight asks for seven things", "[incus]") {
    setup s;
    s.daemon.pool_space = {{"total", 2}, {"used", 1}};
    const auto facts = s.web1.examine(5s)->facts;
    CHECK(s.daemon.asked().size() == 7); // instance, its snapshots, server, project, operations; pool, room in it
    CHECK(s.web1.check_restorable(facts, {}, 5s));
    CHECK(s.daemon.asked().size() == 7);
}

TEST_CASE("keeping a snapshot reads along what is wanted next", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-older"] = {};
    REQUIRE(s.web1.examine(5s));
    int begun = 0;
    REQUIRE(s.web1.snapshot("root", "belay-t", 5s, [&] { ++begun; }));
    CHECK(begun == 1);
    const auto before = s.daemon.asked().size();
    const auto done = s.web1.keep("belay-t", core::wall_time{std::chrono::hours{24}}, 5s);
    CHECK(done.expiry);
    REQUIRE(done.snapshots);
    CHECK(done.snapshots->size() == 2);
    REQUIRE(done.now);
    CHECK(done.now->etag == s.web1.examine(5s)->etag);
    CHECK(s.daemon.asked().size() <= before + 5); // with the wait for the operation, and that examine

    const auto gone = s.web1.keep("belay-x", std::nullopt, 5s);
    REQUIRE_FALSE(gone.expiry);
    CHECK(gone.expiry.error().code == reason::not_found);
    CHECK(gone.snapshots);
}

TEST_CASE("what the instance said when it was proved to run serves the unlock, once", "[incus]") {
    setup s;
    REQUIRE(s.web1.examine(5s));
    REQUIRE(s.web1.snapshot("root", "belay-t", 5s));
    const auto read = [&] { return std::ranges::count(s.daemon.asked(), "GET /1.0/instances/web1"); };
    REQUIRE(s.web1.prove_status(5s));
    const auto before = read();
    const auto seen = s.web1.keep("belay-t", std::nullopt, 5s).now;
    CHECK(read() == before);
    REQUIRE(seen);
    CHECK(s.web1.change({{{"user.a", "1"}}}, seen->etag, 5s) == ports::swapped::done);
    CHECK(s.web1.keep("belay-t", std::nullopt, 5s).now->etag != seen->etag);
    CHECK(read() == before + 1);
}

TEST_CASE("snapshots are not listed for what went before when nothing did", "[incus]") {
    setup s;
    s.daemon.snapshots["by-hand"] = {};
    REQUIRE(s.web1.examine(5s));
    REQUIRE(s.web1.snapshot("root", "belay-t", 5s));
    const auto listed = [&] { return std::ranges::count(s.daemon.asked(), "GET /1.0/instances/web1/snapshots"); };
    const auto before = listed();
    const auto done = s.web1.keep("belay-t", core::wall_time{std::chrono::hours{24}}, 5s);
    CHECK(done.expiry);
    REQUIRE(done.snapshots);
    CHECK(done.snapshots->empty());
    CHECK(listed() == before);

    incus::instance undecided(s.daemon.server.socket(), "default", "web1"); // one that has not looked
    CHECK(undecided.keep("belay-t", std::nullopt, 5s).snapshots->size() == 2);
}

TEST_CASE("the project that was read when the instance was examined serves one check", "[incus]") {
    setup s;
    const auto times_read = [&] { return std::ranges::count(s.daemon.asked(), "GET /1.0/projects/default"); };
    REQUIRE(s.web1.examine(5s));
    CHECK(s.web1.check_restorable({}, {}, 5s));
    CHECK(times_read() == 1);
    s.daemon.project_config = {{"restricted", "true"}};
    CHECK_FALSE(s.web1.check_restorable({}, {}, 5s));
    CHECK(times_read() == 2);
}

TEST_CASE("what was read before an instance was examined again does not count", "[incus]") {
    setup s;
    REQUIRE(s.web1.examine(5s));
    s.daemon.project_config = {{"restricted", "true"}};
    REQUIRE(s.web1.examine(5s));
    CHECK_FALSE(s.web1.check_restorable({}, {}, 5s));
}

TEST_CASE("a project whose answer was lost is asked again by the check", "[incus]") {
    setup s;
    s.daemon.cut_once = "/1.0/projects/default";
    s.daemon.project_config = {{"restricted", "true"}};
    REQUIRE(s.web1.examine(5s));
    CHECK(s.web1.check_restorable({}, {}, 5s).error().code == reason::not_restorable);
}

TEST_CASE("an instance is not examined when the answer of its server or its pool was lost", "[incus]") {
    setup s;
    s.daemon.cut_once = GENERATE("/1.0", "/1.0/storage-pools/p", "/1.0/instances/web1");
    const auto lost = s.web1.examine(5s);
    REQUIRE_FALSE(lost);
    CHECK(lost.error().code == reason::no_daemon);
    CHECK(lost.error().transient);
    s.daemon.process = 8; // it had died
    const auto seen = s.web1.examine(5s);
    CHECK(seen->facts.driver == "btrfs"); // nothing of that was remembered
    CHECK(seen->daemon == s.web1.daemon(5s));
}

TEST_CASE("a pool that one may not read has no known driver", "[incus]") {
    setup s;
    s.daemon.forbids_pools = true;
    REQUIRE(s.web1.examine(5s));
    CHECK(s.web1.examine(5s)->facts.driver.empty());
}

TEST_CASE("an instance that does not exist is told from missing rights and a daemon that is away", "[incus]") {
    setup s;
    incus::instance other(s.daemon.server.socket(), "default", "other");
    CHECK(other.examine(5s).error().code == reason::not_found);
    CHECK(other.examine(5s).error().message.find("instance other does not exist in project default: `incus list") == 0);
    s.daemon.forbids = true;
    CHECK(s.web1.examine(5s).error().code == reason::no_permission);
    CHECK(s.web1.examine(5s).error().message.find("incus-admin") != std::string::npos);
    s.daemon.server.stop();
    CHECK(s.web1.examine(5s).error().code == reason::no_daemon);
}

TEST_CASE("garbage instead of JSON is an error of every call", "[incus]") {
    setup s;
    s.daemon.garbage = true;
    CHECK_FALSE(s.web1.examine(5s));
    CHECK_FALSE(s.web1.check_restorable({}, {}, 5s));
    CHECK_FALSE(s.web1.change({{{lock_key, "x"}}}, "\"tag-1\"", 5s));
    CHECK_FALSE(s.web1.snapshot("root", "s", 1s));
    CHECK_FALSE(s.web1.stop(0ms, 1s));
    CHECK_FALSE(s.web1.restore("root", "s", 1s));
    CHECK_FALSE(s.web1.start(1s));
    CHECK_FALSE(s.web1.discard("root", "s", 1s));
}

TEST_CASE("a restricted project that blocks snapshots is refused with the command that allows them", "[incus]") {
    setup s;
    CHECK(s.web1.check_restorable({}, {}, 5s));
    s.daemon.project_config = {{"restricted", "true"}};
    const auto blocked = s.web1.check_restorable({}, {}, 5s);
    REQUIRE_FALSE(blocked);
    CHECK(blocked.error().code == reason::not_restorable);
    CHECK(blocked.error().message.find("incus project set default restricted.snapshots=allow") != std::string::npos);
    s.daemon.project_config = {{"restricted", "true"}, {"restricted.snapshots", "allow"}};
    CHECK(s.web1.check_restorable({}, {}, 5s));
    s.daemon.project_config = {{"restricted", "false"}, {"restricted.snapshots", "block"}};
    CHECK(s.web1.check_restorable({}, {}, 5s));
}

TEST_CASE("a snapshot never expires", "[incus]") {
    setup s;
    REQUIRE(s.web1.snapshot("root", "belay-1", 5s));
    CHECK(never(s.daemon, "belay-1") == "0001-01-01T00:00:00Z");
}

TEST_CASE("a busy instance is waited for, and no longer than the limit", "[incus]") {
    setup s;
    s.daemon.busy = 3;
    CHECK(s.web1.snapshot("root", "belay-1", 5s));
    s.daemon.busy = 1'000;
    const auto begin = std::chrono::steady_clock::now();
    const auto r = s.web1.stop(0ms, 300ms);
    REQUIRE_FALSE(r);
    CHECK(r.error().transient);
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
}

TEST_CASE("an operation that failed is a failure although the answer is 200", "[incus]") {
    setup s;
    s.daemon.next_error = "Failed to run: btrfs subvolume snapshot";
    const auto r = s.web1.snapshot("root", "belay-1", 5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::snapshot_failed);
    CHECK(r.error().cause == "Failed to run: btrfs subvolume snapshot");
    CHECK_FALSE(r.error().transient);
}

TEST_CASE("a storage that is full is told from other failures", "[incus]") {
    setup s;
    s.daemon.next_error = GENERATE("write /x: no space left on device", "Disk quota exceeded",
                                   "cannot create: out of space", "Insufficient free space for LV");
    CHECK(s.web1.snapshot("root", "belay-1", 5s).error().code == reason::no_space);
}

TEST_CASE("a wait that is cut off is never taken for a success", "[incus]") {
    setup s;
    s.daemon.cut_waits = 1;
    const auto r = s.web1.snapshot("root", "belay-1", 5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_daemon);
    CHECK(r.error().transient);
}

TEST_CASE("an operation that the daemon forgot is never taken for a success", "[incus]") {
    setup s;
    s.daemon.forgets = true;
    const auto r = s.web1.snapshot("root", "belay-1", 5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_daemon);
}

TEST_CASE("an operation that outlasts the limit is an error", "[incus]") {
    setup s;
    s.daemon.operations_take = 3s;
    const auto begin = std::chrono::steady_clock::now();
    const auto r = s.web1.snapshot("root", "belay-1", 250ms);
    CHECK_FALSE(r);
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
}

TEST_CASE("an operation that outlasts one wait of the daemon is waited for again", "[incus]") {
    setup s;
    s.daemon.operations_take = 100ms;
    s.daemon.early_timeouts = 3;
    CHECK(s.web1.snapshot("root", "belay-1", 4s));
    CHECK(s.daemon.early_timeouts == 0);
}

TEST_CASE("an operation that failed with the words of a wait's end is a failure", "[incus]") {
    setup s;
    s.daemon.next_error = "context deadline exceeded";
    const auto r = s.web1.snapshot("root", "belay-1", 4s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::snapshot_failed);
}

TEST_CASE("a restore waits for what an earlier request may have left under way", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {};
    s.daemon.operations_take = 400ms;
    CHECK_FALSE(s.web1.restore("root", "belay-1", 100ms)); // goes on in the daemon
    s.daemon.operations_take = 0ms;
    const auto begin = std::chrono::steady_clock::now();
    CHECK(s.web1.restore("root", "belay-1", 5s));
    CHECK(std::chrono::steady_clock::now() - begin >= 200ms);
}

TEST_CASE("the first restore of a new process waits for what another one left under way", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {};
    s.daemon.begin_foreign("Restoring snapshot", 300ms);
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(s.web1.restore("root", "belay-1", 5s));
    CHECK(std::chrono::steady_clock::now() - begin >= 250ms);
    s.web1.restore("root", "belay-1", 5s);
    const auto all = s.daemon.asked();
    // Listed, and read since there was one, and listed until nothing was left; the second restore knows that it is
    // alone.
    CHECK(std::ranges::count(all, "GET /1.0/operations") == 3);
}

TEST_CASE("deleting a snapshot waits for a restore of it that is under way", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {};
    s.daemon.begin_foreign("Restoring snapshot", 300ms);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(s.web1.discard("root", "belay-1", 5s));
    CHECK(std::chrono::steady_clock::now() - begin >= 250ms);
}

TEST_CASE("a snapshot that would expire is made eternal before it is restored", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {"2026-01-01T00:00:00Z"};
    CHECK(s.web1.restore("root", "belay-1", 5s));
    CHECK(never(s.daemon, "belay-1") == "0001-01-01T00:00:00Z");
}

TEST_CASE("the expiry counts that a snapshot has when nothing is under way any more", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {};
    s.daemon.operations["op-1"] = {.takes = 200ms,
                                   .effect = [&] { s.daemon.snapshots["belay-1"] = {"2026-01-01T00:00:00Z"}; }};
    REQUIRE(s.web1.restore("root", "belay-1", 5s));
    CHECK(never(s.daemon, "belay-1") == "0001-01-01T00:00:00Z");
}

TEST_CASE("a snapshot that was just looked for is not read again before it is restored", "[incus]") {
    setup s;
    const auto times_read = [&] {
        return std::ranges::count(s.daemon.asked(), "GET /1.0/instances/web1/snapshots/belay-1");
    };
    s.daemon.snapshots["belay-1"] = {};
    REQUIRE(s.web1.has_snapshot("root", "belay-1", 5s) == true);
    REQUIRE(s.web1.has_snapshot("root", "belay-1", 5s) == true);
    REQUIRE(s.web1.restore("root", "belay-1", 5s));
    CHECK(times_read() == 1);

    SECTION("unless it would have expired") {
        s.daemon.snapshots["belay-2"] = {"2026-01-01T00:00:00Z"};
        REQUIRE(s.web1.has_snapshot("root", "belay-2", 5s) == true);
        REQUIRE(s.web1.restore("root", "belay-2", 5s));
        CHECK(never(s.daemon, "belay-2") == "0001-01-01T00:00:00Z");
    }
    SECTION("unless something was under way since") {
        incus::instance other(s.daemon.server.socket(), "default", "web1");
        REQUIRE(other.has_snapshot("root", "belay-1", 5s) == true);
        s.daemon.operations["op-1"] = {.takes = 200ms,
                                       .effect = [&] { s.daemon.snapshots["belay-1"] = {"2026-01-01T00:00:00Z"}; }};
        REQUIRE(other.restore("root", "belay-1", 5s));
        CHECK(never(s.daemon, "belay-1") == "0001-01-01T00:00:00Z");
    }
    SECTION("unless belay itself has given it an end") {
        REQUIRE(s.web1.set_expiry("root", "belay-1", core::wall_time{std::chrono::hours{24}}, 5s));
        REQUIRE(s.web1.restore("root", "belay-1", 5s));
        CHECK(never(s.daemon, "belay-1") == "0001-01-01T00:00:00Z");
    }
    SECTION("unless it was deleted") {
        REQUIRE(s.web1.discard("root", "belay-1", 5s));
        CHECK(s.web1.has_snapshot("root", "belay-1", 5s) == false);
    }
    SECTION("unless that was a second ago") {
        std::this_thread::sleep_for(1'050ms);
        s.daemon.snapshots["belay-1"] = {"2026-01-01T00:00:00Z"};
        REQUIRE(s.web1.restore("root", "belay-1", 5s));
        CHECK(never(s.daemon, "belay-1") == "0001-01-01T00:00:00Z");
    }
}

TEST_CASE("nothing is restored while it is not known what is under way", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {};
    s.daemon.cut_once = GENERATE("/1.0/operations", "/1.0/instances/web1/snapshots/belay-1");
    const auto r = s.web1.restore("root", "belay-1", 5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_daemon);
    CHECK_FALSE(s.daemon.config.contains("restored"));
    CHECK(s.web1.restore("root", "belay-1", 5s));
}

TEST_CASE("a snapshot whose expiry stays is not restored", "[incus]") {
    setup s;
    s.daemon.stubborn_expiry = true;
    s.daemon.snapshots["belay-1"] = {"2026-01-01T00:00:00Z"};
    const auto r = s.web1.restore("root", "belay-1", 5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::restore_failed);
    CHECK_FALSE(s.daemon.config.contains("restored"));
}

TEST_CASE("a restore that fails says what is known to help, and nothing is started", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {};
    s.daemon.status = "Stopped";
    s.daemon.next_error = "Failed to rename /x/web1.incustmp: file exists";
    const auto r = s.web1.restore("root", "belay-1", 5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::restore_failed);
    CHECK(r.error().message.find("btrfs subvolume delete") != std::string::npos);
    CHECK(r.error().cause.find("incustmp") != std::string::npos);
    CHECK(s.daemon.status == "Stopped");
    CHECK_FALSE(s.asked("PUT /1.0/instances/web1/state"));
}

TEST_CASE("a snapshot that does not exist cannot be restored", "[incus]") {
    setup s;
    const auto r = s.web1.restore("root", "belay-1", 5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::restore_failed);
    CHECK_FALSE(s.asked("PUT /1.0/instances/web1"));
}

TEST_CASE("deleting a snapshot that is gone is fine", "[incus]") {
    setup s;
    CHECK(s.web1.discard("root", "belay-1", 5s));
    s.daemon.snapshots["belay-1"] = {};
    CHECK(s.web1.discard("root", "belay-1", 5s));
    CHECK(s.daemon.snapshots.empty());
}

TEST_CASE("a stop is graceful first and then forced", "[incus]") {
    setup s;
    s.daemon.shutdown_takes = 60s;
    const auto begin = std::chrono::steady_clock::now();
    CHECK(s.web1.stop(300ms, 5s)); // below the daemon's whole seconds
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(s.daemon.status == "Stopped");
    CHECK(took >= 300ms);
    CHECK(took < 900ms);
}

TEST_CASE("a stop without grace forces at once", "[incus]") {
    setup s;
    s.daemon.shutdown_takes = 60s;
    CHECK(s.web1.stop(0ms, 5s));
    CHECK(s.daemon.status == "Stopped");
    CHECK(s.daemon.asked().size() == 2);
}

TEST_CASE("what is already so is a success", "[incus]") {
    setup s;
    CHECK(s.web1.start(5s));
    CHECK(s.web1.unpause(5s));
    CHECK(s.web1.pause(5s));
    CHECK(s.web1.pause(5s));
    CHECK(s.daemon.status == "Frozen");
    CHECK(s.web1.start(5s)); // the daemon says that it runs
    CHECK(s.daemon.status == "Running");
    CHECK(s.web1.pause(5s));
    CHECK(s.web1.stop(100ms, 5s));
    CHECK(s.web1.stop(100ms, 5s));
    CHECK(s.web1.stop(0ms, 5s));
    CHECK(s.web1.unpause(5s));
    CHECK(s.daemon.status == "Stopped");
}

TEST_CASE("a start that fails says so", "[incus]") {
    setup s;
    s.daemon.status = "Stopped";
    s.daemon.next_error = "Failed to setup device mount";
    const auto r = s.web1.start(5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::start_failed);
    CHECK(r.error().message.find("incus info web1 --show-log") != std::string::npos);
}

TEST_CASE("an ephemeral instance is never stopped", "[incus]") {
    setup s;
    s.daemon.ephemeral = true;
    REQUIRE(s.web1.examine(5s));
    CHECK(s.web1.stop(0ms, 5s).error().code == reason::ephemeral);
    CHECK(s.daemon.status == "Running");
}

TEST_CASE("a daemon that is away is a transient error of every change", "[incus]") {
    setup s;
    s.daemon.server.stop();
    for (const auto& r : {s.web1.snapshot("root", "x", 1s), s.web1.stop(100ms, 1s), s.web1.restore("root", "x", 1s),
                          s.web1.start(1s), s.web1.discard("root", "x", 1s), s.web1.pause(1s), s.web1.unpause(1s)}) {
        REQUIRE_FALSE(r);
        CHECK(r.error().code == reason::no_daemon);
        CHECK(r.error().transient);
    }
}
