// SPDX-License-Identifier: Apache-2.0
// The table of phases: each row with success, error and time-out; the end state and the whole chain of steps.
#include "fakes/world.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace belay;
using core::outcome;
using core::reason;
using fakes::fake_world;
using fakes::trouble;

namespace {

/// The old state, running, nothing left behind.
void require_old_and_clean(const fake_world& w) {
    CHECK(w.incus.content == "old");
    CHECK(w.incus.facts.running);
    CHECK_FALSE(w.incus.frozen);
    CHECK(w.incus.lock().empty());
    CHECK(w.incus.snapshots.empty());
    CHECK(w.locks.taken.empty());
    CHECK(w.incus.facts.description == "what people wrote");
}

bool called(const fake_world& w, const std::string& name) {
    return std::ranges::count(w.incus.calls, name) > 0;
}

} // namespace

TEST_CASE("a good upgrade is kept, and its snapshot with it") {
    fake_world w;
    const auto report = w.run();
    CHECK(report.how == outcome::committed);
    CHECK(report.why == reason::ok);
    CHECK(report.exit_code == 0);
    CHECK(report.command_exit == 0);
    CHECK(w.chain() == "preflight lock baseline snapshot upgrade verify commit! unlock");
    CHECK(w.incus.content == "new");
    CHECK(w.incus.lock().empty());
    CHECK(w.incus.snapshots.size() == 1);
    CHECK(report.snapshot == "belay-20261123t224000z-0001");
    CHECK(report.downtime_seconds == 0);
    CHECK(w.journal.logged == "output\n");
    CHECK(report.phases.back().name == "commit");
    CHECK_FALSE(called(w, "stop"));
}

TEST_CASE("a command that fails is undone") {
    fake_world w;
    w.incus.command = [](auto& incus) {
        incus.content = "broken";
        return 100;
    };
    const auto report = w.run();
    CHECK(report.how == outcome::rolled_back);
    CHECK(report.why == reason::command_failed);
    CHECK(report.exit_code == 1);
    CHECK(report.command_exit == 100);
    CHECK(report.downtime_seconds > 0);
    CHECK(report.snapshot.empty());
    CHECK(w.chain() ==
          "preflight lock baseline snapshot upgrade:failed undo! stop restore start reverify discard unlock");
    require_old_and_clean(w);
}

TEST_CASE("a description that a restore brings back is left as it is") {
    fake_world w;
    w.incus.command = [](auto&) { return 100; };
    w.incus.on_call = [](auto& incus) {
        if (incus.facts.description.empty()) {
            incus.facts.description = "of the snapshot"; // later releases
        }
    };
    CHECK(w.run().how == outcome::rolled_back);
    CHECK(w.incus.facts.description == "of the snapshot");
}

TEST_CASE("a command that takes too long is undone") {
    fake_world w;
    w.plan.limit.upgrade = std::chrono::seconds(5);
    w.incus.command_takes = std::chrono::seconds(6);
    const auto report = w.run();
    CHECK(report.how == outcome::rolled_back);
    CHECK(report.why == reason::timeout);
    CHECK_FALSE(report.command_exit);
    CHECK(w.chain() ==
          "preflight lock baseline snapshot upgrade:timed-out undo! stop restore start reverify discard unlock");
    require_old_and_clean(w);
}

TEST_CASE("an instance that goes down under the command is restored and started") {
    fake_world w;
    w.incus.command = [](auto& incus) {
        incus.content = "broken";
        incus.facts.running = false;
        return 137;
    };
    const auto report = w.run();
    CHECK(report.why == reason::instance_went_down);
    CHECK_FALSE(report.command_exit);
    require_old_and_clean(w);
}

TEST_CASE("an instance that restarted under the command is not taken for a command that failed") {
    fake_world w;
    w.incus.command = [](auto& incus) {
        incus.facts.last_used_at = "later";
        return 137;
    };
    CHECK(w.run().why == reason::instance_went_down);
}

TEST_CASE("a daemon that is lost during the command is waited for, and the upgrade is undone") {
    fake_world w;
    w.incus.command = [](auto& incus) {
        incus.content = "new";
        incus.daemon_up = false;
        return 1;
    };
    w.incus.on_call = [&](auto& incus) { incus.daemon_up = incus.daemon_up || w.clock.now > std::chrono::seconds(20); };
    const auto report = w.run();
    CHECK(report.how == outcome::rolled_back);
    CHECK(report.why == reason::daemon_lost);
    CHECK_FALSE(report.command_exit);
    require_old_and_clean(w);
}

TEST_CASE("a daemon that never comes back leaves the transaction stuck, with lock and snapshot") {
    fake_world w;
    w.incus.command = [](auto& incus) {
        incus.daemon_up = false;
        return 255;
    };
    const auto report = w.run();
    CHECK(report.how == outcome::stuck);
    CHECK(report.exit_code == 5);
    CHECK(w.incus.snapshots.size() == 1);
    CHECK_FALSE(w.incus.lock().empty());
    REQUIRE(report.manual.size() == 4);
    CHECK(report.manual[1] == "incus snapshot restore web1 belay-20261123t224000z-0001");
}

TEST_CASE("refused before anything is touched") {
    fake_world w;
    reason why{};
    SECTION("stopped") {
        w.incus.facts.running = false;
        why = reason::not_running;
    }
    SECTION("ephemeral") {
        w.incus.facts.ephemeral = true;
        why = reason::ephemeral;
    }
    SECTION("unknown") {
        w.incus.exists = false;
        why = reason::not_found;
    }
    SECTION("no daemon") {
        w.incus.daemon_up = false;
        why = reason::no_daemon;
    }
    SECTION("snapshots forbidden") {
        w.incus.failures["check_restorable"] = {};
        why = reason::not_restorable;
    }
    SECTION("a writable disk that the snapshot does not cover") {
        w.incus.facts.disks.push_back({"data", "/data", "default/data", false, false});
        why = reason::uncovered;
    }
    const auto report = w.run();
    CHECK(report.how == outcome::refused);
    CHECK(report.why == why);
    CHECK(report.exit_code == 3);
    CHECK_FALSE(report.message.empty());
    CHECK(w.chain() == "preflight:failed refuse!");
    CHECK_FALSE(called(w, "lock"));
    CHECK_FALSE(called(w, "snapshot"));
    CHECK_FALSE(called(w, "stop"));
    CHECK(w.incus.content == "old");
    CHECK(w.locks.taken.empty());
}

TEST_CASE("disks outside the snapshot that were accepted or cannot be written do not refuse the run") {
    fake_world w;
    w.incus.facts.disks.push_back({"data", "/data", "default/data", false, false});
    w.incus.facts.disks.push_back({"block", "", "default/block", false, false});
    w.incus.facts.disks.push_back({"media", "/media", "/srv/media", false, true});
    w.plan.uncovered = {"/data", "block"};
    CHECK(w.run().how == outcome::committed);
}

TEST_CASE("another belay of this host is not disturbed") {
    fake_world w;
    w.locks.taken.insert("web1");
    w.incus.config[std::string(core::lock_key_name)] = "20261123t220000z-aaaa machine boot 7";
    const auto report = w.run();
    CHECK(report.why == reason::locked);
    CHECK(report.exit_code == 3);
    CHECK(w.incus.lock() == "20261123t220000z-aaaa machine boot 7");
    CHECK(w.locks.taken.contains("web1"));
    CHECK_FALSE(called(w, "snapshot"));
}

TEST_CASE("a lock of another machine refuses, one of an ended transaction is replaced with a warning") {
    fake_world w;
    SECTION("another machine") {
        w.incus.config[std::string(core::lock_key_name)] = "20261123t220000z-aaaa other boot 7";
        CHECK(w.run().why == reason::locked);
        CHECK(w.incus.lock() == "20261123t220000z-aaaa other boot 7");
    }
    SECTION("ended") {
        w.incus.config[std::string(core::lock_key_name)] = "20261123t220000z-aaaa machine boot 7";
        w.locks.journals["20261123t220000z-aaaa"] = core::journal_knowledge::closed;
        const auto report = w.run();
        CHECK(report.how == outcome::committed);
        REQUIRE(report.warnings.size() == 1);
        CHECK(report.warnings[0].find("20261123t220000z-aaaa") != std::string::npos);
    }
}

TEST_CASE("a configuration that changes between look and lock is looked at again") {
    fake_world w;
    int changes = 2;
    w.incus.on_call = [&](auto& incus) {
        if (incus.calls.back() == "lock" && changes-- > 0) {
            incus.config["user.other"] = std::to_string(changes);
        }
    };
    SECTION("and locked when it is still right") {
        CHECK(w.run().how == outcome::committed);
        CHECK(std::ranges::count(w.incus.calls, "lock") == 3);
    }
    SECTION("and refused when it was stopped meanwhile") {
        w.incus.on_call = [&](auto& incus) {
            if (incus.calls.back() == "lock") {
                incus.facts.running = false;
            }
        };
        CHECK(w.run().why == reason::not_running);
        CHECK_FALSE(called(w, "snapshot"));
    }
}

TEST_CASE("a lock whose answer was lost is looked at again") {
    fake_world w;
    w.incus.failures["lock"] = {trouble::error_after, 1, reason::no_daemon};
    SECTION("and is held when it is ours") {
        CHECK(w.run().how == outcome::committed);
        CHECK(w.chain() == "preflight lock:again lock baseline snapshot upgrade verify commit! unlock");
    }
    SECTION("and taken off when the daemon does not come back") {
        w.plan.limit.daemon_wait = {};
        CHECK(w.run().how == outcome::refused);
        require_old_and_clean(w);
    }
}

TEST_CASE("a baseline that fails refuses, unless it is accepted") {
    fake_world w;
    w.checks.answer = [](const auto& spec, auto& incus, auto) {
        return core::reading{spec.name,
                             spec.where,
                             spec.required,
                             core::health::fail,
                             "http 502",
                             {"tcp/80 any"},
                             incus.content == "worse" ? std::set<std::string>{"unit x failed"}
                                                      : std::set<std::string>{},
                             0};
    };
    SECTION("refused") {
        const auto report = w.run();
        CHECK(report.why == reason::baseline_bad);
        CHECK(w.chain() == "preflight lock baseline:failed refuse! unlock");
        require_old_and_clean(w);
    }
    w.plan.accept_unhealthy = true;
    SECTION("accepted: it only reports") {
        CHECK(w.run().how == outcome::committed);
    }
    SECTION("accepted: its findings still count") {
        w.incus.command = [](auto& incus) {
            incus.content = "worse";
            return 0;
        };
        const auto report = w.run();
        CHECK(report.how == outcome::rolled_back);
        CHECK(report.why == reason::check_failed);
        require_old_and_clean(w);
    }
}

TEST_CASE("a check that is not ready is asked again, within the time for retries") {
    fake_world w;
    auto ready = std::chrono::seconds(5);
    w.checks.answer = [&](const auto& spec, auto&, core::milliseconds now) {
        const auto how = now < ready ? core::health::not_yet : core::health::pass;
        return core::reading{spec.name, spec.where, spec.required, how, "", {}, {}, 0};
    };
    SECTION("and then counts") {
        CHECK(w.run().how == outcome::committed);
    }
    SECTION("and refuses when it never is") {
        ready = std::chrono::hours(9);
        const auto report = w.run();
        CHECK(report.why == reason::baseline_bad);
        require_old_and_clean(w);
    }
}

TEST_CASE("a snapshot that fails leaves nothing half-made") {
    fake_world w;
    w.incus.failures["snapshot"] = {};
    SECTION("error") {
        const auto report = w.run();
        CHECK(report.why == reason::snapshot_failed);
        CHECK(w.chain() == "preflight lock baseline snapshot:failed refuse! unpause discard unlock");
    }
    SECTION("no room") {
        w.incus.failures["snapshot"].code = reason::no_space;
        CHECK(w.run().why == reason::no_space);
    }
    SECTION("the answer was lost: its existence proves nothing") {
        w.incus.failures["snapshot"].how = trouble::error_after;
        w.plan.limit.daemon_wait = {};
        CHECK(w.run().how == outcome::refused);
    }
    require_old_and_clean(w);
    CHECK_FALSE(called(w, "upgrade"));
}

TEST_CASE("several disks are paused for their snapshots, and always unpaused") {
    fake_world w;
    w.incus.facts.disks.push_back({"data", "/data", "pool/data", false, false, "pool", "data", "btrfs"});
    SECTION("all goes well") {
        CHECK(w.run().how == outcome::committed);
        CHECK(w.chain() == "preflight lock baseline pause snapshot snapshot unpause upgrade verify commit! unlock");
        CHECK_FALSE(w.incus.frozen);
    }
    SECTION("the pause fails") {
        w.incus.failures["pause"] = {};
        w.plan.limit.rollback_retry = {};
        CHECK(w.run().how == outcome::refused);
        require_old_and_clean(w);
    }
    SECTION("a snapshot fails") {
        w.incus.failures["snapshot"] = {};
        CHECK(w.run().how == outcome::refused);
        CHECK(called(w, "unpause"));
        require_old_and_clean(w);
    }
    SECTION("the unpause fails: roll back") {
        w.incus.failures["unpause"] = {};
        w.plan.limit.rollback_retry = {};
        CHECK(w.run().how == outcome::rolled_back);
        CHECK_FALSE(w.incus.frozen);
        CHECK_FALSE(called(w, "upgrade"));
    }
}

TEST_CASE("restarts: never, always, if needed") {
    fake_world w;
    SECTION("never") {
        w.run();
        CHECK_FALSE(called(w, "start"));
    }
    SECTION("always") {
        w.plan.restart = core::restart_policy::always;
        const auto report = w.run();
        CHECK(report.how == outcome::committed);
        CHECK(called(w, "start"));
        CHECK(report.downtime_seconds > 0);
    }
    SECTION("not needed") {
        w.plan.restart = core::restart_policy::if_needed;
        w.run();
        CHECK_FALSE(called(w, "stop"));
    }
    SECTION("needed") {
        w.plan.restart = core::restart_policy::if_needed;
        w.incus.restart_needed = true;
        w.run();
        CHECK(called(w, "start"));
    }
    SECTION("it does not come back") {
        w.plan.restart = core::restart_policy::always;
        w.incus.failures["start"] = {trouble::error, 1};
        const auto report = w.run();
        CHECK(report.how == outcome::rolled_back);
        CHECK(report.why == reason::restart_failed);
        require_old_and_clean(w);
    }
}
