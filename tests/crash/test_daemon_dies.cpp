// SPDX-License-Identifier: Apache-2.0
// The Incus daemon dies at every point of a transaction, and of the recovery of one that belay left. It comes back as
// another process after a while, or never while that belay lives.
#include "crash/tally.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using namespace belay::crash;
using fakes::fake_world;
using namespace std::chrono_literals;

namespace {

struct death {
    bool comes_back;
    bool lucky; ///< what it was doing has had its effect
};

constexpr std::array deaths{death{true, false}, death{true, true}, death{false, false}, death{false, true}};

std::string name_of(const death& d) {
    return std::string(d.comes_back ? "for 5 s" : "for good") + (d.lucky ? ", just done" : "");
}

intervention daemon_dies_at(std::size_t number, const death& d) {
    return [number, d](fake_world& w, const point& p) {
        if (p.number == number) {
            w.incus.lucky = d.lucky;
            w.incus.die(w.clock.now, d.comes_back ? std::optional(w.clock.now + 5s) : std::nullopt);
        }
    };
}

void bring_daemon_back(site& at) {
    if (!at.daemon.daemon_up) {
        at.daemon.back_at = at.clock.now;
        at.pass(1s);
    }
}

/// What came of it, and that a recovery with a living daemon ends it.
template <class Story>
void judge(site& at, const scenario& s, const life& l, tally& t, Story story) {
    if (l.report) {
        auto settled = at;
        settled.calm_down();
        t.take(of_report(*l.report, settled, s), settled, story);
    }
    bring_daemon_back(at);
    t.count();
    t.take(ended_at_last(at, s), at, [&] { return story() + "; recovered"; });
}

void die_in_run(std::size_t number, const scenario& s, tally& t) {
    for (const auto& d : deaths) {
        auto at = s.begin();
        const auto l = run_belay(at, s, daemon_dies_at(number, d));
        judge(at, s, l, t, [&] {
            return s.name + " on " + s.driver + ": daemon died at " + std::to_string(number) + " " + name_of(d);
        });
    }
}

/// belay dies, and then the daemon under its recovery.
void die_in_recovery(std::size_t number, const scenario& s, std::optional<site>& before, tally& t) {
    auto left = s.begin();
    const auto first = run_belay(left, s, kill_at(number));
    left.pass(left.known().waits_for_confirmation() ? 60s : 0s);
    if (before && same_place(*before, left)) {
        return;
    }
    auto undisturbed = left;
    const auto points = recover(undisturbed, s).points;
    for (std::size_t again = 1; again <= points; ++again) {
        for (const auto& d : deaths) {
            auto at = left;
            const auto l = recover(at, s, daemon_dies_at(again, d));
            judge(at, s, l, t, [&] {
                return s.name + " on " + s.driver + ": belay died at " + first.last +
                       ", the daemon in the recovery at " + std::to_string(again) + " " + name_of(d);
            });
        }
    }
    before = std::move(left);
}

/// First the daemon dies and then belay, at each later point.
void die_both(std::size_t number, const death& d, const scenario& s, tally& t) {
    auto undisturbed = s.begin();
    const auto points = run_belay(undisturbed, s, daemon_dies_at(number, d)).points;
    std::optional<site> before;
    for (auto second = number + 1; second <= points; ++second) {
        auto dying = s.begin();
        const auto l = run_belay(dying, s, [=](fake_world& w, const point& p) {
            daemon_dies_at(number, d)(w, p);
            kill_at(second)(w, p);
        });
        if (before && same_place(*before, dying)) {
            continue;
        }
        for (const auto& lost : main_losses(dying)) {
            auto at = after(dying, lost);
            at.pass(at.known().waits_for_confirmation() ? 60s : 0s);
            judge(at, s, {}, t, [&] {
                return s.name + " on " + s.driver + ": daemon died at " + std::to_string(number) + " " + name_of(d) +
                       ", belay at " + l.last + " (" + lost.name() + ")";
            });
        }
        before = std::move(dying);
    }
}

template <class Each>
void for_each_point(const scenario& s, Each each) {
    auto undisturbed = s.begin();
    const auto points = run_belay(undisturbed, s).points;
    for (std::size_t number = 1; number <= points; number += stride()) {
        each(number);
    }
}

} // namespace

TEST_CASE("the daemon may die at every point of an upgrade") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    tally t("daemon dies, on " + driver);
    for (const auto& s : scenarios(driver)) {
        for_each_point(s, [&](std::size_t number) { die_in_run(number, s, t); });
    }
    t.conclude();
}

TEST_CASE("the daemon may die at every point of a recovery") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    tally t("daemon dies in a recovery, on " + driver);
    for (const auto& s : scenarios(driver)) {
        std::optional<site> before;
        for_each_point(s, [&](std::size_t number) { die_in_recovery(number, s, before, t); });
    }
    t.conclude();
}

TEST_CASE("the daemon may die, and belay after it") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    tally t("daemon and belay die, on " + driver);
    for (const auto* name : {"good", "bad command", "two disks, bad command", "undo of a kept upgrade"}) {
        const auto s = scenario_named(name, driver);
        for_each_point(s, [&](std::size_t number) {
            for (const auto& d : deaths) {
                die_both(number, d, s, t);
            }
        });
    }
    t.conclude();
}

TEST_CASE("what a cut restore leaves in a btrfs pool is told, and when it is gone a recovery goes on") {
    const auto s = scenario_named("bad command", "btrfs");
    tally t("daemon dies in a restore and leaves its leftovers");
    for_each_point(s, [&](std::size_t number) {
        auto at = s.begin();
        at.daemon.leaves_leftovers = true;
        const auto l = run_belay(at, s, daemon_dies_at(number, {true, false}));
        const auto story = [&] { return "daemon died at " + std::to_string(number); };
        auto found = of_report(*l.report, at, s);
        if (at.daemon.leftover && (l.report->how != core::outcome::stuck ||
                                   l.report->manual.front().find("btrfs subvolume delete") == std::string::npos)) {
            found.emplace_back("what stands in the way is not told");
        }
        t.take(found, at, story);
        t.count();
        at.daemon.leftover = at.daemon.leaves_leftovers = false;
        t.take(ended_at_last(at, s), at, [&] { return story() + "; recovered"; });
    });
    t.conclude();
}
