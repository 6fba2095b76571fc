// SPDX-License-Identifier: Apache-2.0
// The time of day jumps by hours, back and forth: no limit of time ends earlier or later for it. Only a confirmation
// has a deadline of the day.
#include "crash/tally.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using namespace belay::crash;
using fakes::fake_world;
using fakes::moment;
using namespace std::chrono_literals;

namespace {

/// Another time of day at every point: hours ahead, hours behind, ahead.
void jump_everywhere(fake_world& w, const point& p) {
    constexpr std::array<milliseconds, 4> jumps{5h, -7h, 11h, -3h};
    w.clock.jumped = jumps[p.number % jumps.size()];
}

/// Once, for good.
intervention jump_at(std::size_t number, milliseconds by) {
    return [number, by](fake_world& w, const point& p) {
        if (p.number == number) {
            w.clock.jumped = by;
        }
    };
}

problems differences(const site& at, const core::report& r, const site& as_at, const core::report& as) {
    problems found;
    if (r.how != as.how || r.why != as.why || r.exit_code != as.exit_code) {
        found.push_back("another outcome: " + std::string(core::to_word(r.how)) + " " +
                        std::string(core::to_word(r.why)));
    }
    if (chain(at.journal) != chain(as_at.journal)) {
        found.push_back("another way, not: " + chain(as_at.journal));
    }
    if (at.clock.now != as_at.clock.now || r.seconds != as.seconds || r.downtime_seconds != as.downtime_seconds) {
        found.emplace_back("it took another time");
    }
    return found;
}

void compare(const scenario& s, const intervention& jumps, const std::string& how, tally& t) {
    auto undisturbed = s.begin();
    const auto as = run_belay(undisturbed, s);
    auto at = s.begin();
    const auto l = run_belay(at, s, jumps);
    t.count();
    t.take(differences(at, *l.report, undisturbed, *as.report), at,
           [&] { return s.name + " on " + s.driver + ": " + how; });
}

/// belay dies, and whoever recovers has another time of day.
void jump_between(std::size_t number, const scenario& s, tally& t) {
    auto left = s.begin();
    const auto first = run_belay(left, s, kill_at(number));
    auto undisturbed = left;
    const auto as = recover(undisturbed, s);
    for (const milliseconds by : {milliseconds(9h), milliseconds(-9h)}) {
        auto at = left;
        at.clock.jumped = by;
        const auto l = recover(at, s, jump_everywhere);
        problems found;
        if (l.report.has_value() != as.report.has_value() || (l.report && l.report->how != as.report->how)) {
            found.emplace_back("another outcome");
        }
        t.count();
        t.take(found, at, [&] { return s.name + " on " + s.driver + ": died at " + first.last + ", then a jump"; });
    }
}

/// The first point at which a confirmation is waited for, at a check.
intervention jump_in_confirmation(milliseconds by) {
    return [by](fake_world& w, const point& p) {
        const auto* begin =
            w.journal.records.empty() ? nullptr : std::get_if<core::started>(&w.journal.records.back().what);
        if (begin && begin->what.what == core::act::confirm && p.what == "checks") {
            w.clock.jumped = by;
        }
    };
}

} // namespace

TEST_CASE("jumps of the time of day end nothing and extend nothing") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    tally t("clock jumps, on " + driver);
    for (const auto& s : scenarios(driver)) {
        if (s.confirms) {
            continue;
        }
        compare(s, jump_everywhere, "jumps everywhere", t);
        auto undisturbed = s.begin();
        const auto points = run_belay(undisturbed, s).points;
        for (std::size_t number = 1; number <= points; number += stride()) {
            compare(s, jump_at(number, 5h), "jumps ahead at " + std::to_string(number), t);
            compare(s, jump_at(number, -5h), "jumps back at " + std::to_string(number), t);
            jump_between(number, s, t);
        }
    }
    t.conclude();
}

TEST_CASE("the deadline of a confirmation is a time of day") {
    const auto s = scenario_named("confirm: nobody", "btrfs");
    auto undisturbed = s.begin();
    const auto as = run_belay(undisturbed, s);
    auto at = s.begin();
    SECTION("a jump ahead ends it") {
        const auto l = run_belay(at, s, jump_in_confirmation(5h));
        CHECK(l.report->how == core::outcome::rolled_back);
        CHECK(l.report->why == core::reason::no_confirm);
        CHECK(at.clock.now < undisturbed.clock.now);
    }
    SECTION("a jump back extends it") {
        const auto l = run_belay(at, s, jump_in_confirmation(-10min));
        CHECK(l.report->how == core::outcome::rolled_back);
        CHECK(at.clock.now >= undisturbed.clock.now + 9min);
    }
    SECTION("jumps before it change nothing") {
        const auto confirmed = scenario_named("confirmed", "btrfs");
        const auto l = run_belay(at, confirmed, jump_at(20, 5h));
        CHECK(l.report->how == core::outcome::committed);
    }
    at.calm_down();
    CHECK(after_the_end(at, s).empty());
}
