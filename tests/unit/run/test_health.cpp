// SPDX-License-Identifier: Apache-2.0
// Verify, soak, the rollback's own phases, signals and a state directory that fails.
#include "fakes/world.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace belay;
using core::outcome;
using core::reason;
using fakes::fake_world;
using fakes::trouble;
using namespace std::chrono_literals;

namespace {

void require_old_and_clean(const fake_world& w) {
    CHECK(w.incus.content == "old");
    CHECK(w.incus.facts.running);
    CHECK(w.incus.lock().empty());
    CHECK(w.incus.snapshots.empty());
    CHECK(w.locks.taken.empty());
}

/// A check that passes while the old content is there, and with the new one in the given spans after the upgrade.
auto good_between(core::milliseconds& upgraded, core::milliseconds from, core::milliseconds to) {
    return [&upgraded, from, to](const core::check_spec& spec, fakes::fake_incus& incus, core::milliseconds now) {
        const bool good = incus.content == "old" || (now - upgraded >= from && now - upgraded < to);
        return core::reading{spec.name,
                             spec.where,
                             spec.required,
                             good ? core::health::pass : core::health::fail,
                             good ? "up" : "down",
                             {},
                             {},
                             0};
    };
}

} // namespace

TEST_CASE("a service that comes up two seconds late passes") {
    fake_world w;
    core::milliseconds upgraded{};
    w.incus.command = [&](auto& incus) {
        incus.content = "new";
        upgraded = w.clock.now + w.incus.command_takes;
        return 0;
    };
    w.checks.answer = good_between(upgraded, 2s, 24h);
    CHECK(w.run().how == outcome::committed);
}

TEST_CASE("a service that never comes up is undone when the retries end") {
    fake_world w;
    core::milliseconds upgraded{};
    w.incus.command = [&](auto& incus) {
        incus.content = "new";
        upgraded = w.clock.now;
        return 0;
    };
    w.checks.answer = good_between(upgraded, 24h, 48h);
    const auto report = w.run();
    CHECK(report.how == outcome::rolled_back);
    CHECK(report.why == reason::check_failed);
    CHECK(report.command_exit == 0);
    CHECK(w.clock.now - upgraded >= 60s);
    CHECK(w.clock.now - upgraded < 65s);
    CHECK(w.chain() ==
          "preflight lock baseline snapshot upgrade verify:failed undo! stop restore start reverify discard unlock");
    require_old_and_clean(w);
}

TEST_CASE("an instance that boots after a rollback is waited for, however short the time for retries is") {
    fake_world w;
    w.plan.limit.retry_for = 1s;
    w.incus.command = [](auto&) { return 3; };
    std::optional<core::milliseconds> started;
    w.checks.answer = [&](const core::check_spec& spec, auto& incus, core::milliseconds now) {
        core::reading r{spec.name, spec.where, spec.required, core::health::pass, "", {}, {}, 0};
        if (std::ranges::find(incus.calls, "start") != incus.calls.end()) {
            started = started.value_or(now);
            r.how = now - *started < 20s ? core::health::not_yet : core::health::pass;
        }
        return r;
    };
    SECTION("until it has booted") {
        CHECK(w.run().how == outcome::rolled_back);
    }
    SECTION("but not for ever") {
        const auto answer = w.checks.answer;
        w.checks.answer = [&](const core::check_spec& spec, auto& incus, core::milliseconds now) {
            auto r = answer(spec, incus, now);
            r.how = started ? core::health::not_yet : r.how;
            return r;
        };
        CHECK(w.run().how == outcome::rolled_back_unhealthy);
        CHECK(w.clock.now - *started < 65s);
    }
}

TEST_CASE("a service that dies five seconds after the upgrade fails within the soak") {
    fake_world w;
    core::milliseconds upgraded{};
    w.incus.command = [&](auto& incus) {
        incus.content = "new";
        upgraded = w.clock.now;
        return 0;
    };
    w.checks.answer = good_between(upgraded, 0s, 6s);
    SECTION("and is undone") {
        const auto report = w.run();
        CHECK(report.why == reason::check_failed);
        CHECK(report.message.find("soak") != std::string::npos);
        require_old_and_clean(w);
    }
    SECTION("and is missed without one") {
        w.plan.limit.soak = 0s;
        CHECK(w.run().how == outcome::committed);
    }
}

TEST_CASE("without checks the instance must still run, and execute something") {
    fake_world w;
    w.plan.checks.clear();
    SECTION("it does") {
        CHECK(w.run().how == outcome::committed);
        CHECK(w.checks.rounds == 0);
    }
    SECTION("nothing can be executed") {
        w.incus.command = [](auto& incus) {
            incus.program_runs = false;
            return 0;
        };
        w.incus.on_call = [](auto& incus) {
            incus.program_runs = incus.program_runs || incus.calls.back() == "restore";
        };
        const auto report = w.run();
        CHECK(report.how == outcome::rolled_back);
        CHECK(report.why == reason::instance_went_down);
    }
}

TEST_CASE("a wanted check only warns") {
    fake_world w;
    w.plan.checks[0].required = false;
    w.checks.answer = [](const auto& spec, auto& incus, auto) {
        return core::reading{spec.name,
                             spec.where,
                             spec.required,
                             incus.content == "old" ? core::health::pass : core::health::fail,
                             "slow",
                             {},
                             {},
                             0};
    };
    const auto report = w.run();
    CHECK(report.how == outcome::committed);
    CHECK(report.checks[0].final == core::health::fail);
}

TEST_CASE("a loss that is expected is accepted, any other is not") {
    fake_world w;
    w.checks.answer = [](const auto& spec, auto& incus, auto) {
        core::reading r{
            spec.name, spec.where, spec.required, core::health::pass, "", {"unit cron.service", "unit ssh.service"},
            {},        0};
        if (incus.content == "new") {
            r.good.erase("unit cron.service");
        }
        return r;
    };
    SECTION("expected") {
        w.plan.expect_lost = {"unit cron.*"};
        CHECK(w.run().how == outcome::committed);
    }
    SECTION("not expected: the message holds what to paste") {
        const auto report = w.run();
        CHECK(report.how == outcome::rolled_back);
        CHECK(report.message.find("--expect-lost 'unit cron.service'") != std::string::npos);
    }
}

TEST_CASE("the rollback's own phases fail") {
    fake_world w;
    w.incus.command = [](auto& incus) {
        incus.content = "broken";
        return 1;
    };
    SECTION("a stop that fails once is forced") {
        w.incus.failures["stop"] = {trouble::error, 1};
        CHECK(w.run().how == outcome::rolled_back);
        require_old_and_clean(w);
    }
    SECTION("a restore that fails for a while is repeated, and nothing is started before it succeeded") {
        w.incus.failures["restore"] = {trouble::error, 5};
        bool early = false;
        w.incus.on_call = [&](auto& incus) {
            early = early || (incus.calls.back() == "start" && incus.content == "broken");
        };
        CHECK(w.run().how == outcome::rolled_back);
        CHECK_FALSE(early);
        require_old_and_clean(w);
    }
    SECTION("a restore that took effect though its answer was lost is repeated before the start") {
        w.incus.failures["restore"] = {trouble::error_after, 1, reason::no_daemon};
        CHECK(w.run().how == outcome::rolled_back);
        require_old_and_clean(w);
    }
    SECTION("a restore that never succeeds is stuck: not started, lock and snapshot stay") {
        w.incus.failures["restore"] = {};
        const auto report = w.run();
        CHECK(report.how == outcome::stuck);
        CHECK(report.why == reason::command_failed);
        CHECK(report.message.find("restore failed") != std::string::npos);
        CHECK_FALSE(std::ranges::count(w.incus.calls, "start"));
        CHECK(w.incus.snapshots.size() == 1);
        CHECK_FALSE(w.incus.lock().empty());
    }
    SECTION("a start that never succeeds is stuck") {
        w.incus.failures["start"] = {};
        const auto report = w.run();
        CHECK(report.how == outcome::stuck);
        CHECK(w.incus.content == "old");
        CHECK(w.incus.snapshots.size() == 1);
    }
    SECTION("a discard that fails warns") {
        w.incus.failures["discard"] = {};
        const auto report = w.run();
        CHECK(report.how == outcome::rolled_back);
        CHECK_FALSE(report.warnings.empty());
        CHECK(report.snapshot == "belay-20261123t224000z-0001");
    }
    SECTION("an unlock that fails warns") {
        w.incus.failures["unlock"] = {};
        const auto report = w.run();
        CHECK(report.how == outcome::rolled_back);
        CHECK_FALSE(report.warnings.empty());
    }
}

TEST_CASE("an old state that is not as healthy as before keeps the snapshot") {
    fake_world w;
    w.checks.answer = [](const auto& spec, auto& incus, auto) {
        const bool touched = std::ranges::count(incus.calls, "upgrade") > 0;
        return core::reading{
            spec.name, spec.where, spec.required, touched ? core::health::fail : core::health::pass, "", {}, {}, 0};
    };
    const auto report = w.run();
    CHECK(report.how == outcome::rolled_back_unhealthy);
    CHECK(report.exit_code == 4);
    CHECK(w.incus.content == "old");
    CHECK(w.incus.snapshots.size() == 1);
    CHECK(report.snapshot == "belay-20261123t224000z-0001");
    CHECK(w.incus.lock().empty());
}

TEST_CASE("a signal at any call is never lost and never does harm") {
    // The number of calls of an undisturbed run bounds the table.
    fake_world undisturbed;
    undisturbed.plan.limit.soak = 2s;
    undisturbed.run();
    for (std::size_t at = 1; at <= undisturbed.incus.calls.size(); ++at) {
        fake_world w;
        w.plan.limit.soak = 2s;
        w.incus.on_call = [&](auto& incus) {
            if (incus.calls.size() == at) {
                w.inbox.interrupt();
            }
        };
        const auto report = w.run();
        INFO("signal at call " << at << " (" << w.incus.calls[at - 1] << "): " << w.chain());
        const bool begun = std::ranges::count(w.incus.calls, "upgrade") > 0;
        const bool decided = w.incus.calls[at - 1] == "unlock" ||
                             (begun && w.incus.calls[at - 1] == "examine" && report.how == outcome::committed);
        if (decided) {
            CHECK(report.how == outcome::committed);
            continue;
        }
        const auto upgrade = std::ranges::find(undisturbed.incus.calls, "upgrade") - undisturbed.incus.calls.begin();
        CHECK(begun ==
              (static_cast<std::ptrdiff_t>(at) > upgrade)); // a signal before the upgrade keeps it from beginning
        CHECK(report.why == reason::interrupted);
        CHECK(report.how == (begun ? outcome::rolled_back : outcome::refused));
        require_old_and_clean(w);
    }
}

TEST_CASE("a signal ends a soak at once") {
    fake_world w;
    w.plan.limit.soak = 1h;
    w.inbox.signal_at = w.clock.now + 10s;
    const auto begin = w.clock.now;
    CHECK(w.run().why == reason::interrupted);
    CHECK(w.clock.now - begin < 20s);
    require_old_and_clean(w);
}

TEST_CASE("what the upgrade may lose must be there again after a rollback") {
    fake_world w;
    w.plan.expect_lost = {"unit cron.service"};
    w.incus.command = [](auto&) { return 1; };
    w.checks.answer = [](const auto& spec, auto& incus, auto) {
        core::reading r{spec.name, spec.where, spec.required, core::health::pass, "", {"unit cron.service"}, {}, 0};
        if (std::ranges::count(incus.calls, "upgrade") > 0) {
            r.good.clear();
        }
        return r;
    };
    CHECK(w.run().how == outcome::rolled_back_unhealthy);
    CHECK(w.incus.snapshots.size() == 1);
}

TEST_CASE("a second signal does not cut the rollback short") {
    fake_world w;
    w.incus.on_call = [&](auto& incus) {
        if (incus.calls.back() == "upgrade" || incus.calls.back() == "stop" || incus.calls.back() == "restore") {
            w.inbox.interrupt();
        }
    };
    CHECK(w.run().how == outcome::rolled_back);
    require_old_and_clean(w);
}

TEST_CASE("a state directory that fails at any event never keeps an upgrade unwritten") {
    fake_world undisturbed;
    undisturbed.plan.limit.soak = 1s;
    undisturbed.run();
    const auto total = undisturbed.journal.records.size();
    for (const bool for_good : {false, true}) {
        for (std::size_t at = 0; at < total; ++at) {
            fake_world w;
            w.plan.limit.soak = 1s;
            std::size_t seen = 0;
            w.journal.fails = [&](const core::record&) {
                const auto number = seen++;
                return number == at || (for_good && number > at);
            };
            const auto report = w.run();
            INFO("write " << at << (for_good ? " and all later ones fail: " : " fails: ") << w.chain());
            const auto& lost = undisturbed.journal.records[at].what;
            const auto* begin = std::get_if<core::started>(&lost);
            const bool after_decision =
                (begin && begin->what.what == core::act::unlock) ||
                (std::get_if<core::finished>(&lost) && std::get<core::finished>(lost).what.what == core::act::unlock) ||
                std::holds_alternative<core::closed>(lost);
            if (after_decision) {
                CHECK(report.how == outcome::committed);
                CHECK(w.incus.content == "new");
                continue;
            }
            CHECK(report.why == reason::io_error);
            CHECK((report.how == outcome::refused || report.how == outcome::rolled_back));
            // A snapshot is deleted only with the outcome on disk, and then the instance is the witness.
            if (for_good && report.how == outcome::rolled_back) {
                CHECK(w.incus.snapshots.size() == 1);
                CHECK(w.incus.key(core::restored_key_name) == report.transaction);
                w.incus.snapshots.clear();
            }
            require_old_and_clean(w);
        }
    }
}

TEST_CASE("the intent of every act that recovery must know of is on disk before the act") {
    fake_world w;
    w.incus.command = [](auto&) { return 1; };
    std::set<std::string> unsynced;
    w.incus.on_call = [&](auto& incus) {
        static const std::set<std::string> matter{"lock", "snapshot", "upgrade", "discard", "stop", "start"};
        if (matter.contains(incus.calls.back()) && incus.calls.back() != "stop" && incus.calls.back() != "start" &&
            w.journal.synced != w.journal.records.size()) {
            unsynced.insert(incus.calls.back());
        }
        // A rollback begins only with its decision on disk, a start only with the restore's success on disk.
        const auto synced_has = [&](auto predicate) {
            return std::any_of(w.journal.records.begin(),
                               w.journal.records.begin() + static_cast<long>(w.journal.synced), predicate);
        };
        if (incus.calls.back() == "stop" &&
            !synced_has([](const auto& r) { return std::holds_alternative<core::decided>(r.what); })) {
            unsynced.insert("decision");
        }
        if (incus.calls.back() == "start" && !synced_has([](const auto& r) {
                const auto* end = std::get_if<core::finished>(&r.what);
                return end && end->what.what == core::act::restore && end->how == core::result::ok;
            })) {
            unsynced.insert("restore result");
        }
    };
    CHECK(w.run().how == outcome::rolled_back);
    CHECK(unsynced.empty());
}
