// SPDX-License-Identifier: Apache-2.0
// What a recovery asks: what is under way, which process the daemon is, and what a snapshot would take back.
#include "core/lock_rule.hpp"
#include "core/time_text.hpp"
#include "fake_daemon.hpp"
#include "fakes/temporary_directory.hpp"
#include "incus/copies.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <csignal>
#include <fstream>
#include <sys/wait.h>

using namespace belay;
using namespace std::chrono_literals;
using core::reason;
using list = std::vector<std::string>;
namespace fs = std::filesystem;

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

std::chrono::milliseconds since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

/// A /proc of processes that the test makes up.
class fake_proc : public fakes::temporary_directory {
public:
    void add(const std::string& pid, const list& arguments) const {
        fs::create_directory(path() / pid);
        std::ofstream out(path() / pid / "cmdline", std::ios::binary);
        for (const auto& one : arguments) {
            out << one << '\0';
        }
    }

    /// A process that copies to a place.
    void copies_to(const std::string& pid, const std::string& place) const {
        add(pid, {"rsync", "-a", "-HAX", "--delete", "/from/", place});
    }

    std::vector<long> copies(const std::string& project = "default", const std::string& instance = "web1") const {
        auto found = incus::copies_under_way(path(), "p", project, instance);
        std::ranges::sort(found);
        return found;
    }
};

/// A daemon whose instance is on a pool of driver dir, and a process that looks like a copy to the instance and ends by
/// itself. Tests that run at the same time have other pools.
struct copying : setup {
    const std::string pool = "pool-" + std::to_string(::getpid());

    copying() {
        daemon.driver = "dir";
        daemon.pool = pool;
        daemon.devices["root"]["pool"] = pool;
    }

    ~copying() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }

    copying(const copying&) = delete;
    copying& operator=(const copying&) = delete;

    bool under_way() const { return !incus::copies_under_way("/proc", pool, "default", "web1").empty(); }

    void begin() {
        const auto place = "/var/lib/incus/storage-pools/" + pool + "/containers/web1/";
        pid_ = ::fork();
        if (pid_ == 0) {
            ::execl("/bin/sh", "rsync", "-c", "sleep 0.4; :", "x", place.c_str(), nullptr);
            ::_exit(1);
        }
        const auto give_up = std::chrono::steady_clock::now() + 5s;
        while (!under_way() && std::chrono::steady_clock::now() < give_up) {
            std::this_thread::sleep_for(1ms);
        }
        REQUIRE(under_way());
    }

private:
    pid_t pid_{-1};
};

} // namespace

TEST_CASE("examining reads the keys, the generation and the daemon's process", "[incus]") {
    setup s;
    s.daemon.config[std::string(core::restored_key_name)] = "20261123t224000z-3f9c";
    s.daemon.config["volatile.uuid.generation"] = "g-1";
    const auto seen = s.web1.examine(5s);
    REQUIRE(seen);
    CHECK(seen->restored == "20261123t224000z-3f9c");
    CHECK(seen->facts.generation == "g-1");
    CHECK(seen->daemon == "7");
}

TEST_CASE("a daemon that was restarted is another process, and one that is away none", "[incus]") {
    setup s;
    CHECK(s.web1.daemon(5s) == "7");
    s.daemon.server.stop();
    const auto away = s.web1.daemon(1s);
    REQUIRE_FALSE(away);
    CHECK(away.error().code == reason::no_daemon);
    CHECK(away.error().transient);
    s.daemon.process = 8;
    s.daemon.server.restart();
    CHECK(s.web1.daemon(5s) == "8");
    CHECK(s.daemon.asked() == list{"GET /1.0", "GET /1.0"});
}

TEST_CASE("an instance settles when the tasks on it have ended, whoever began them", "[incus]") {
    setup s;
    s.daemon.begin_foreign("Restoring snapshot", 300ms);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(s.web1.settle(5s));
    CHECK(since(begin) >= 250ms);
    SECTION("and not before the limit is over, if they do not end") {
        incus::instance other(s.daemon.server.socket(), "default", "web1");
        s.daemon.begin_foreign("Restoring snapshot", 60s);
        const auto failed = other.settle(200ms);
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == reason::no_daemon);
    }
}

TEST_CASE("an instance does not settle while the daemon is away", "[incus]") {
    setup s;
    s.daemon.server.stop();
    const auto failed = s.web1.settle(1s);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == reason::no_daemon);
    CHECK(failed.error().transient);
}

TEST_CASE("an instance settles when the copies of a dead daemon have ended, for a process that is new to it too",
          "[incus]") {
    copying s;
    if (GENERATE(true, false)) {
        REQUIRE(s.web1.examine(5s));
    }
    s.begin();
    const auto hurried = s.web1.settle(100ms);
    REQUIRE_FALSE(hurried);
    CHECK(hurried.error().code == reason::io_error);
    CHECK(hurried.error().message.find("still writes to instance web1 (rsync, pid ") != std::string::npos);
    CHECK(s.web1.settle(5s));
    CHECK_FALSE(s.under_way());
}

TEST_CASE("nobody waits for copies on a storage that does not copy", "[incus]") {
    copying s;
    s.daemon.driver = "btrfs";
    REQUIRE(s.web1.examine(5s));
    s.begin();
    CHECK(s.web1.settle(100ms));
    CHECK(s.under_way());
}

TEST_CASE("what changes the instance waits for a copy of a dead daemon first", "[incus]") {
    copying s;
    s.daemon.snapshots["belay-1"] = {};
    REQUIRE(s.web1.examine(5s));
    s.begin();
    const auto which = GENERATE(0, 1, 2, 3);
    const auto r = which == 0   ? s.web1.restore("root", "belay-1", 100ms)
                   : which == 1 ? s.web1.start(100ms)
                   : which == 2 ? s.web1.discard("root", "belay-1", 100ms)
                                : s.web1.unpause(100ms);
    REQUIRE_FALSE(r);
    CHECK(s.daemon.snapshots.contains("belay-1"));
    CHECK_FALSE(s.daemon.config.contains("restored"));
    CHECK_FALSE(s.asked("PUT /1.0/instances/web1/state"));
}

TEST_CASE("a copy to an instance or to one of its snapshots is under way, one of another instance is not", "[incus]") {
    const fake_proc proc;
    const std::string pools = "/var/lib/incus/storage-pools/";
    proc.copies_to("101", pools + "p/containers/web1");
    proc.copies_to("102", pools + "p/containers/web1/");
    proc.copies_to("103", pools + "p/virtual-machines/web1//");
    proc.copies_to("104", pools + "p/containers-snapshots/web1/belay-1/");
    proc.copies_to("105", pools + "p/virtual-machines-snapshots/web1/belay-1");
    proc.add("106", {"/usr/bin/rsync", "-a", "/from", "/elsewhere/storage-pools/p/containers/web1"});
    // What cannot be read, as of a process that ends at that moment, is nobody's copy, and no reason to give up.
    fs::create_directories(proc.path() / "107" / "cmdline");
    CHECK(proc.copies() == std::vector<long>{101, 102, 103, 104, 105, 106});
    CHECK(proc.copies("default", "web10").empty());
    CHECK(proc.copies("lab", "web1").empty());

    const fake_proc others;
    others.copies_to("201", pools + "p/containers/web10");
    others.copies_to("202", pools + "p/containers/xweb1");
    others.copies_to("203", pools + "p/containers-snapshots/web10/belay-1");
    others.copies_to("204", pools + "q/containers/web1");
    others.copies_to("205", pools + "pp/containers/web1");
    others.copies_to("206", pools + "p/containers/lab_web1");
    others.copies_to("207", pools + "p/custom/web1");
    others.copies_to("208", pools + "p/containers/web1/rootfs/srv"); // of a program within it
    CHECK(others.copies().empty());
    CHECK(others.copies("lab", "web1") == std::vector<long>{206});
    CHECK(others.copies("default", "web10") == std::vector<long>{201, 203});
}

TEST_CASE("who only reads an instance does not write to it", "[incus]") {
    const fake_proc proc;
    const std::string web1 = "/var/lib/incus/storage-pools/p/containers/web1";
    proc.add("1", {"rsync", "-a", web1 + "/", "/backup/web1"});
    proc.add("2", {"rsync", "-a", web1 + "/", "/var/lib/incus/storage-pools/p/containers/copy-of-web1/"});
    proc.add("3", {"tar", "-cf", "-", web1});
    proc.add("4", {"grep", "-r", "rsync", web1});
    proc.add("5", {"notrsync", "-a", "/from", web1});
    proc.add("6", {"rsync"});
    proc.add("7", {web1});
    CHECK(proc.copies().empty());
}

TEST_CASE("what is no process, or vanishes while it is looked at, is passed over", "[incus]") {
    const fake_proc proc;
    const std::string web1 = "/var/lib/incus/storage-pools/p/containers/web1";
    proc.copies_to("self", web1);
    proc.copies_to("12x", web1);
    proc.add("20", {});                       // a kernel thread
    fs::create_directory(proc.path() / "21"); // gone already
    std::ofstream(proc.path() / "uptime") << "1";
    std::ofstream(proc.path() / "22") << "no directory";
    CHECK(proc.copies().empty());
    proc.copies_to("30", web1);
    CHECK(proc.copies() == std::vector<long>{30});
    CHECK(incus::copies_under_way(proc.path() / "nowhere", "p", "default", "web1").empty());
}

TEST_CASE("a snapshot that does not exist is told from an instance that does not", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {};
    CHECK(s.web1.has_snapshot("root", "belay-1", 5s) == true);
    CHECK(s.web1.has_snapshot("root", "belay-2", 5s) == false);
    for (const auto* name : {"gone", "snapshots", "the-snapshot"}) {
        INFO(name);
        incus::instance other(s.daemon.server.socket(), "default", name);
        const auto missing = other.has_snapshot("root", "belay-1", 5s);
        REQUIRE_FALSE(missing);
        CHECK(missing.error().code == reason::not_found);
        CHECK(missing.error().message.starts_with(std::string("instance ") + name + " does not exist"));
    }
    s.daemon.forbids = true;
    CHECK(s.web1.has_snapshot("root", "belay-2", 5s).error().code == reason::no_permission);
    s.daemon.server.stop();
    CHECK(s.web1.has_snapshot("root", "belay-2", 1s).error().code == reason::no_daemon);
}

TEST_CASE("a snapshot is examined: its moment, its lock, what would go back and what is newer", "[incus]") {
    setup s;
    s.daemon.config["limits.memory"] = "2GiB";
    s.daemon.config["user.belay.transaction"] = "now m b 1";
    s.daemon.local_devices = {{"eth1", {{"type", "nic"}, {"network", "br0"}}}};
    s.daemon.snapshots["belay-1"] = {.created = "2026-01-02T10:00:00.123456789Z",
                                     .config = {{"limits.memory", "1GiB"},
                                                {"volatile.uuid", "u-1"},
                                                {"user.belay.transaction", "20260102t095959z-0001 m b 1"}}};
    s.daemon.snapshots["auto-2"] = {.created = "2026-01-03T10:00:00Z"};
    s.daemon.snapshots["a-newest"] = {.created = "2026-01-04T10:00:00Z"};
    s.daemon.snapshots["z-oldest"] = {.created = "2026-01-01T10:00:00Z"};
    const auto seen = s.web1.examine_snapshot("belay-1", 5s);
    REQUIRE(seen);
    CHECK(core::to_rfc3339(seen->created) == "2026-01-02T10:00:00.123Z");
    CHECK(seen->lock == "20260102t095959z-0001 m b 1");
    CHECK(seen->changes == list{"config limits.memory: 2GiB -> 1GiB", "device eth1: goes away"});
    const auto all = s.web1.list_snapshots("root", 5s);
    REQUIRE(all);
    list names;
    std::ranges::transform(*all, std::back_inserter(names), &core::snapshot_entry::name);
    CHECK(names == list{"z-oldest", "belay-1", "auto-2", "a-newest"});
    CHECK((*all)[1].lock == "20260102t095959z-0001 m b 1");
    CHECK(seen->missing.empty());
    CHECK(s.web1.examine_snapshot("a-newest", 5s)->lock.empty());
    for (const auto& what : s.daemon.asked()) {
        CHECK(what.starts_with("GET ")); // nothing was changed
    }
}

TEST_CASE("what a snapshot needs and what is gone is named", "[incus]") {
    setup s;
    s.daemon.others = {"/1.0/storage-pools/p/volumes/custom/kept", "/1.0/networks/br0"};
    s.daemon.snapshots["belay-1"] = {
        .devices = {{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "p"}}},
                    {"a", {{"type", "disk"}, {"path", "/a"}, {"pool", "p"}, {"source", "kept/below"}}},
                    {"b", {{"type", "disk"}, {"path", "/b"}, {"pool", "p"}, {"source", "gone/below"}}},
                    {"c", {{"type", "disk"}, {"path", "/c"}, {"pool", "lost"}, {"source", "data"}}},
                    {"d", {{"type", "disk"}, {"path", "/d"}, {"source", "/nowhere/at/all"}}},
                    {"e", {{"type", "disk"}, {"path", "/e"}, {"source", "/"}}},
                    {"f", {{"type", "unix-char"}, {"path", "/dev/belay-none"}}},
                    {"g", {{"type", "unix-char"}, {"path", "/dev/inside"}, {"source", "/dev/null"}}},
                    {"h", {{"type", "nic"}, {"network", "br0"}}},
                    {"i", {{"type", "nic"}, {"network", "br9"}}},
                    {"j", {{"type", "nic"}, {"nictype", "bridged"}, {"parent", "belay-none"}}},
                    {"k", {{"type", "nic"}, {"nictype", "bridged"}, {"parent", "lo"}}},
                    {"l", {{"type", "none"}}},
                    {"m", {{"type", "disk"}, {"source", "cloud-init:config"}}}}};
    const auto seen = s.web1.examine_snapshot("belay-1", 5s);
    REQUIRE(seen);
    CHECK(seen->missing == list{"volume p/gone/below (device b)", "storage pool lost (device c)",
                                "volume lost/data (device c)", "/nowhere/at/all on the host (device d)",
                                "/dev/belay-none on the host (device f)", "network br9 (device i)",
                                "network belay-none (device j)"});
}

TEST_CASE("a device that need not be there is not missed", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {
        .devices = {{"a", {{"type", "disk"}, {"source", "/nowhere"}, {"path", "/a"}, {"required", "false"}}},
                    {"b", {{"type", "disk"}, {"source", "/nowhere"}, {"path", "/b"}, {"optional", "true"}}},
                    {"c", {{"type", "unix-block"}, {"path", "/dev/belay-none"}, {"required", "false"}}}}};
    CHECK(s.web1.examine_snapshot("belay-1", 5s)->missing.empty());
}

TEST_CASE("what this user may not see counts as there", "[incus]") {
    setup s;
    s.daemon.snapshots["belay-1"] = {.devices = {{"eth0", {{"type", "nic"}, {"network", "secret"}}}}};
    CHECK(s.web1.examine_snapshot("belay-1", 5s)->missing == list{"network secret (device eth0)"});
    s.daemon.forbids_one = "/1.0/networks/secret";
    CHECK(s.web1.examine_snapshot("belay-1", 5s)->missing.empty());
}

TEST_CASE("a snapshot that cannot be examined says what is wrong", "[incus]") {
    setup s;
    const auto gone = s.web1.examine_snapshot("belay-1", 5s);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == reason::not_restorable);
    CHECK(gone.error().message ==
          "instance web1 has no snapshot belay-1: `incus snapshot list web1` shows those that it has");
    incus::instance other(s.daemon.server.socket(), "default", "other");
    CHECK(other.examine_snapshot("belay-1", 5s).error().code == reason::not_found);
    s.daemon.snapshots["belay-1"] = {.devices = {{"eth0", {{"type", "nic"}, {"network", "br0"}}}}};
    s.daemon.cut_once = GENERATE("/1.0/instances/web1", "/1.0/instances/web1/snapshots", "/1.0/networks/br0");
    CHECK(s.web1.examine_snapshot("belay-1", 5s).error().code == reason::no_daemon);
    s.daemon.forbids = true;
    CHECK(s.web1.examine_snapshot("belay-1", 5s).error().code == reason::no_permission);
}

TEST_CASE("only an instance that is frozen is unfrozen", "[incus]") {
    setup s;
    for (const auto* status : {"Running", "Stopped", "Ready", "Error"}) {
        s.daemon.status = status;
        CHECK(s.web1.unpause(5s));
        CHECK(s.daemon.status == status);
    }
    CHECK_FALSE(s.asked("PUT /1.0/instances/web1/state"));
    s.daemon.status = "Frozen";
    CHECK(s.web1.unpause(5s));
    CHECK(s.daemon.status == "Running");
    s.daemon.status = "Frozen";
    s.daemon.next_error = "Failed to thaw";
    const auto failed = s.web1.unpause(5s);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message.starts_with("instance web1 could not be unpaused (Frozen): `incus resume web1`, or"));
    CHECK(s.daemon.status == "Frozen");
}

TEST_CASE("an instance that a dead daemon froze half-way is frozen, and then unfrozen", "[incus]") {
    setup s;
    s.daemon.status = "Freezing";
    CHECK(s.web1.unpause(5s));
    CHECK(s.daemon.status == "Running");
    s.daemon.status = "Freezing";
    CHECK(s.web1.start(5s));
    CHECK(s.daemon.status == "Running");
    s.daemon.status = "Freezing";
    s.daemon.next_error = "Failed to freeze";
    const auto failed = s.web1.unpause(5s);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message.starts_with(
        "instance web1 could not be unpaused (Freezing): `incus pause web1; incus resume web1`, or"));
}

TEST_CASE("a pause that hangs is given up", "[incus]") {
    setup s;
    s.daemon.operations_take = 60s;
    const auto paused = s.web1.pause(300ms);
    REQUIRE_FALSE(paused);
    CHECK(paused.error().code == reason::io_error);
    CHECK(paused.error().message.starts_with("instance web1 could not be paused within 300ms, one of its processes"));
}

TEST_CASE("a freezing that does not end is not waited for as long as others", "[incus]") {
    setup s;
    incus::operations daemon(s.daemon.server.socket(), "default", 200ms);
    s.daemon.begin_foreign("Freezing instance", 60s);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(daemon.settle("web1", incus::deadline(20s)));
    CHECK(since(begin) >= 200ms);
    CHECK(since(begin) < 10s);
    CHECK(daemon.freezing_hangs());
    s.daemon.begin_foreign("Restoring snapshot", 60s);
    incus::operations another(s.daemon.server.socket(), "default", 200ms);
    CHECK_FALSE(another.settle("web1", incus::deadline(1s)));
    incus::operations in_a_hurry(s.daemon.server.socket(), "default", 20s);
    CHECK_FALSE(in_a_hurry.settle("web1", incus::deadline(300ms)));
    CHECK_FALSE(in_a_hurry.freezing_hangs());
}

TEST_CASE("an instance is looked at for a pause only when nothing is under way on it any more", "[incus]") {
    setup s;
    s.daemon.status = "Frozen"; // by a snapshot that copies
    s.daemon.operations["op-1"] = {.takes = 300ms, .effect = [&] { s.daemon.status = "Running"; }};
    CHECK(s.web1.unpause(5s));
    CHECK_FALSE(s.asked("PUT /1.0/instances/web1/state"));
}
