// SPDX-License-Identifier: Apache-2.0
// What surrounds the snapshots: hooks, a stop of the instance, schedules; and what an upgrade that changed nothing
// leaves.
#include "fakes/world.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <utility>

using namespace belay;
using namespace std::chrono_literals;
using core::outcome;
using core::reason;
using fakes::fake_world;
using fakes::hook;
using fakes::trouble;

namespace {

std::ptrdiff_t times(const fake_world& w, const std::string& name) {
    return std::ranges::count(w.incus.calls, name);
}

std::ptrdiff_t place(const fake_world& w, const std::string& name) {
    return std::ranges::find(w.incus.calls, name) - w.incus.calls.begin();
}

void with_hooks(fake_world& w) {
    w.plan.quiesce = {hook("quiesce")};
    w.plan.resume = {hook("resume")};
}

void on_zfs_with_schedule(fake_world& w) {
    w.incus.facts.driver = "zfs";
    w.incus.config["snapshots.schedule"] = "@hourly";
}

int broken(fakes::fake_incus& incus) {
    incus.content = "broken";
    return 3;
}

bool warned_of(const core::report& r, const std::string& text) {
    return std::ranges::any_of(r.warnings, [&](const auto& w) { return w.find(text) != std::string::npos; });
}

} // namespace

TEST_CASE("an operation of somebody else is waited for, until it ends, for so long, or until a signal") {
    fake_world w;
    w.plan.limit.busy = 5s;
    w.incus.failures["check_restorable"] = {trouble::error, 1'000'000, reason::locked};
    const auto begin = w.clock.now;
    SECTION("it ends") {
        w.incus.failures["check_restorable"].times = 3;
        CHECK(w.run().how == outcome::committed);
    }
    SECTION("it does not") {
        const auto r = w.run();
        CHECK(r.how == outcome::refused);
        CHECK(r.why == reason::locked);
        CHECK(w.clock.now - begin >= 5s);
    }
    SECTION("a signal comes") {
        w.incus.on_call = [&](auto& incus) {
            if (std::ranges::count(incus.calls, "check_restorable") == 3) {
                w.inbox.interrupt();
            }
        };
        const auto r = w.run();
        CHECK(r.how == outcome::refused);
        CHECK(r.why == reason::interrupted);
        CHECK(w.clock.now - begin < 1s);
    }
    CHECK(times(w, "upgrade") == (w.incus.content == "new" ? 1 : 0));
}

TEST_CASE("hooks surround the snapshots") {
    fake_world w;
    with_hooks(w);
    CHECK(w.run().how == outcome::committed);
    CHECK(place(w, "quiesce") < place(w, "snapshot"));
    CHECK(place(w, "snapshot") < place(w, "resume"));
    CHECK(place(w, "resume") < place(w, "upgrade"));
    CHECK_FALSE(w.incus.quiesced);
}

TEST_CASE("what comes first can refuse the upgrade, and then nothing was touched") {
    fake_world w;
    with_hooks(w);
    w.plan.pre = {hook("pre")};
    SECTION("it agrees") {
        CHECK(w.run().how == outcome::committed);
        CHECK(place(w, "pre") < place(w, "quiesce"));
        CHECK(times(w, "pre") == 1);
    }
    SECTION("it refuses") {
        w.incus.pre_exit = 1;
        w.plan.pre.push_back(hook("pre"));
        const auto r = w.run();
        CHECK(r.how == outcome::refused);
        CHECK(r.why == reason::hook_failed);
        CHECK(r.message.find("the pre command of instance") != std::string::npos);
        CHECK(times(w, "pre") == 1); // the second one is not asked any more
        CHECK(times(w, "quiesce") + times(w, "snapshot") + times(w, "upgrade") + times(w, "resume") == 0);
        CHECK(w.incus.lock().empty());
    }
    SECTION("a signal meanwhile") {
        w.incus.on_call = [&](auto& incus) {
            if (incus.calls.back() == "pre") {
                w.inbox.interrupt();
            }
        };
        const auto r = w.run();
        CHECK(r.how == outcome::refused);
        CHECK(r.why == reason::interrupted);
        CHECK(times(w, "quiesce") + times(w, "upgrade") == 0);
    }
}

TEST_CASE("every resume hook is run, also when one of them fails") {
    fake_world w;
    with_hooks(w);
    w.plan.resume.push_back(hook("resume"));
    w.plan.limit.rollback_retry = {};
    bool first = true;
    w.incus.hook = [&](auto&, bool quiesces) { return quiesces || !std::exchange(first, false) ? 0 : 1; };
    CHECK(w.run().how == outcome::rolled_back);
    CHECK_FALSE(w.incus.quiesced);
}

TEST_CASE("what was quiesced is resumed, whatever fails") {
    fake_world w;
    with_hooks(w);
    SECTION("quiesce itself") {
        w.incus.hook = [](auto&, bool quiesces) { return quiesces ? 3 : 0; };
        const auto r = w.run();
        CHECK(r.how == outcome::refused);
        CHECK(r.why == reason::snapshot_failed);
        CHECK(r.message.find("quiesce command") != std::string::npos);
        CHECK(times(w, "snapshot") == 0);
    }
    SECTION("the snapshot") {
        w.incus.failures["snapshot"] = {};
        CHECK(w.run().how == outcome::refused);
        CHECK(w.incus.snapshots.empty());
    }
    SECTION("a signal in the snapshot") {
        w.incus.on_call = [&](auto& incus) {
            if (incus.calls.back() == "snapshot") {
                w.inbox.interrupt();
            }
        };
        CHECK(w.run().how == outcome::refused);
    }
    CHECK(times(w, "resume") == 1);
    CHECK_FALSE(w.incus.quiesced);
    CHECK(times(w, "upgrade") == 0);
}

TEST_CASE("an instance that stays quiesced is not said to be as it was") {
    fake_world w;
    with_hooks(w);
    w.plan.limit.rollback_retry = {};
    w.incus.failures["snapshot"] = {};
    w.incus.hook = [](auto&, bool quiesces) { return quiesces ? 0 : 1; };
    const auto r = w.run();
    CHECK(r.how == outcome::stuck);
    REQUIRE_FALSE(r.manual.empty());
    CHECK(r.manual.front() == "incus exec web1 -- sh -c resume");
}

TEST_CASE("a resume that fails before the upgrade goes back to the snapshot") {
    fake_world w;
    with_hooks(w);
    w.plan.limit.rollback_retry = {};
    w.incus.hook = [](auto&, bool quiesces) { return quiesces ? 0 : 1; };
    const auto r = w.run();
    CHECK(r.how == outcome::rolled_back);
    CHECK(times(w, "upgrade") == 0);
    CHECK(warned_of(r, "resume command"));
}

TEST_CASE("what quiesce left in the snapshot is resumed after a rollback") {
    fake_world w;
    with_hooks(w);
    w.incus.command = broken;
    CHECK(w.run().how == outcome::rolled_back);
    CHECK(times(w, "resume") == 2);
}

TEST_CASE("stopped for the snapshots") {
    fake_world w;
    w.plan.mode = core::snapshot_mode::stopped;
    SECTION("it runs again, and its new start is not taken for the command's doing") {
        w.incus.command = [](auto& incus) {
            incus.content = "broken";
            return 7;
        };
        const auto r = w.run();
        CHECK(r.how == outcome::rolled_back);
        CHECK(r.why == reason::command_failed);
        CHECK(times(w, "pause") == 0);
        CHECK(place(w, "stop") < place(w, "snapshot"));
        CHECK(place(w, "snapshot") < place(w, "start"));
    }
    SECTION("the time it was down counts") {
        const auto r = w.run();
        CHECK(r.how == outcome::committed);
        CHECK(r.downtime_seconds > 0);
    }
    SECTION("a snapshot that fails leaves it running") {
        w.incus.failures["snapshot"] = {};
        CHECK(w.run().how == outcome::refused);
        CHECK(w.incus.facts.running);
    }
    SECTION("an instance that does not come up goes back") {
        w.incus.failures["start"] = {trouble::error, 1};
        w.plan.limit.rollback_retry = {};
        CHECK(w.run().how == outcome::rolled_back);
        CHECK(times(w, "upgrade") == 0);
        CHECK(w.incus.facts.running);
    }
    SECTION("one that boots for ever is told") {
        w.incus.boots = false;
        w.plan.limit.restart = 1s;
        CHECK(warned_of(w.run(), "has not booted within 1s"));
    }
}

TEST_CASE("a restart that hangs is a failure") {
    fake_world w;
    w.plan.restart = core::restart_policy::always;
    w.plan.limit.restart = 1s;
    w.incus.boots = false;
    const auto r = w.run();
    CHECK(r.how == outcome::rolled_back);
    CHECK(r.why == reason::restart_failed);
    CHECK(r.message.find("has not booted within 1s") != std::string::npos);
}

TEST_CASE("a schedule on storage that restores only its newest snapshot is off while that may be needed") {
    fake_world w;
    on_zfs_with_schedule(w);
    std::string during;
    w.incus.command = [&](fakes::fake_incus& incus) {
        during = incus.config["snapshots.schedule"];
        incus.content = "new";
        return 0;
    };
    CHECK(w.run().how == outcome::committed);
    CHECK(during == "@never");
    CHECK(w.incus.config["snapshots.schedule"] == "@hourly");
    CHECK(place(w, "snapshot") < place(w, "schedule_off"));
}

TEST_CASE("a schedule is left alone where every snapshot can be restored") {
    fake_world w;
    w.incus.config["snapshots.schedule"] = "@hourly";
    CHECK(w.run().how == outcome::committed);
    CHECK(times(w, "schedule_off") == 0);
}

TEST_CASE("a schedule comes back with a rollback, and when the upgrade was not begun") {
    fake_world w;
    on_zfs_with_schedule(w);
    SECTION("undone") {
        w.incus.command = broken;
        CHECK(w.run().how == outcome::rolled_back);
    }
    SECTION("refused") {
        w.incus.failures["list_snapshots"] = {};
        CHECK(w.run().how == outcome::refused);
    }
    CHECK(w.incus.config["snapshots.schedule"] == "@hourly");
}

TEST_CASE("a scheduled snapshot that was quicker: belay's own is taken again") {
    fake_world w;
    on_zfs_with_schedule(w);
    int intruders = 1;
    w.incus.on_call = [&](fakes::fake_incus& incus) {
        if (incus.calls.back() == "schedule_off" && intruders > 0) {
            --intruders;
            incus.take_by_schedule("scheduled");
        }
    };
    SECTION("alone") {
        CHECK(w.run().how == outcome::committed);
        CHECK(times(w, "snapshot") == 2);
        CHECK(w.incus.snapshots.size() == 2);
    }
    SECTION("with volumes it would be of another moment: refused") {
        w.incus.facts.disks.push_back({"data", "/data", "pool/data", false, false, "pool", "data", "zfs"});
        const auto r = w.run();
        CHECK(r.how == outcome::refused);
        CHECK(r.why == reason::not_restorable);
        CHECK_FALSE(w.incus.snapshots.contains("belay-20261123t224000z-0001"));
        CHECK(w.incus.snapshots.contains("scheduled"));
    }
}

TEST_CASE("an upgrade that changed no package leaves no snapshot, if that is wanted") {
    fake_world w;
    w.plan.lists_packages = w.plan.drops_unchanged = w.plan.retains = true;
    SECTION("nothing changed") {
        const auto r = w.run();
        CHECK(r.how == outcome::unchanged);
        CHECK(r.exit_code == 0);
        CHECK(r.snapshot.empty());
        CHECK(w.incus.snapshots.empty());
        CHECK(times(w, "set_expiry") == 0);
    }
    SECTION("something changed") {
        w.incus.command = [](fakes::fake_incus& incus) {
            incus.content = "new";
            incus.packages = "app\t2\n";
            return 0;
        };
        const auto r = w.run();
        CHECK(r.how == outcome::committed);
        CHECK(r.packages == core::package_diff{{{"app", "1", "2"}}, {}, {}});
        CHECK(w.incus.snapshots.size() == 1);
    }
    SECTION("whether something changed is not known") {
        w.incus.failures["packages"] = {};
        CHECK(w.run().how == outcome::committed);
        CHECK(w.incus.snapshots.size() == 1);
    }
    SECTION("a failed one is undone as ever") {
        w.incus.command = broken;
        CHECK(w.run().how == outcome::rolled_back);
    }
}

TEST_CASE("an expiry that has nothing to expire any more does not keep the journal open") {
    fake_world w;
    w.plan.retains = true;
    w.plan.keep_for = 24h;
    w.incus.failures["set_expiry"] = {trouble::error, 1, reason::not_found};
    const auto r = w.run();
    CHECK(r.how == outcome::committed);
    CHECK(w.chain().ends_with("keep unlock"));
}
