// SPDX-License-Identifier: Apache-2.0
// Every call of the host fails: once, from then on, and with its effect done, as a real daemon fails. The run must tell
// the truth about it, and a recovery when all is well again must end it.
#include "crash/tally.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using namespace belay::crash;
using fakes::trouble;

namespace {

enum class extent { once, same_call, every_call };

struct fault {
    trouble how;
    extent how_long;
    std::string_view name;
};

constexpr std::array faults{
    fault{trouble::error, extent::once, "is refused once"},
    fault{trouble::error, extent::same_call, "is refused from then on"},
    fault{trouble::error, extent::every_call, "and all later ones are refused"},
    fault{trouble::transient, extent::once, "does not reach the daemon once"},
    fault{trouble::transient, extent::same_call, "does not reach the daemon from then on"},
    fault{trouble::transient, extent::every_call, "and all later ones do not reach the daemon"},
    fault{trouble::lost, extent::once, "loses its connection midway once"},
    fault{trouble::lost, extent::same_call, "loses its connection midway from then on"},
    fault{trouble::error_after, extent::once, "is done once and not answered"},
    fault{trouble::error_after, extent::same_call, "is done from then on and not answered"},
};

preparation failing(std::size_t number, const fault& f) {
    return [number, f](fakes::fake_world& w) {
        w.incus.goes_wrong = [number, f, name = std::string{}](const fakes::fake_incus& incus) mutable {
            const auto now = incus.calls.size();
            if (now == number) {
                name = incus.calls.back();
            }
            const bool hit = now == number || (now > number && f.how_long == extent::every_call) ||
                             (now > number && f.how_long == extent::same_call && incus.calls.back() == name);
            return hit ? std::optional(f.how) : std::nullopt;
        };
    };
}

void fail_call(std::size_t number, const fault& f, const scenario& s, tally& t) {
    auto at = s.begin();
    const auto first = run_belay(at, s, {}, failing(number, f));
    const auto story = [&] {
        return s.name + " on " + s.driver + ": call " + std::to_string(number) + " " + std::string(f.name);
    };
    at.calm_down();
    t.take(of_report(*first.report, at, s), at, story);
    t.count();
    t.take(ended_at_last(at, s), at, [&] { return story() + "; recovered"; });
}

/// belay dies, and then a call of its recovery fails.
void fail_call_of_recovery(std::size_t death, const scenario& s, std::optional<site>& before, tally& t) {
    auto left = s.begin();
    const auto first = run_belay(left, s, kill_at(death));
    left.pass(milliseconds{left.known().waits_for_confirmation() ? 60'000 : 0});
    if (before && same_place(*before, left)) {
        return;
    }
    auto undisturbed = left;
    const auto calls = recover(undisturbed, s).calls;
    for (std::size_t number = 1; number <= calls; number += stride()) {
        for (const auto& f : faults) {
            auto at = left;
            const auto l = recover(at, s, {}, failing(number, f));
            const auto story = [&] {
                return s.name + " on " + s.driver + ": died at " + first.last + ", call " + std::to_string(number) +
                       " of the recovery " + std::string(f.name);
            };
            at.calm_down();
            t.take(of_report(*l.report, at, s), at, story);
            t.count();
            t.take(ended_at_last(at, s), at, [&] { return story() + "; recovered"; });
        }
    }
    before = std::move(left);
}

/// A check that fails though nothing is wrong, once or from then on.
preparation failing_check(int round, bool for_good) {
    return [round, for_good](fakes::fake_world& w) {
        w.checks.answer = [&w, round, for_good, before = w.checks.answer](const auto& spec, auto& incus, auto now) {
            auto r = before(spec, incus, now);
            if (w.checks.rounds == round || (for_good && w.checks.rounds > round)) {
                r.how = core::health::fail;
            }
            return r;
        };
    };
}

void fail_check(int round, bool for_good, const scenario& s, tally& t) {
    auto at = s.begin();
    auto unlucky = s;
    unlucky.heals = s.heals && !for_good;
    const auto first = run_belay(at, unlucky, {}, failing_check(round, for_good));
    const auto story = [&] {
        return s.name + " on " + s.driver + ": check fails in round " + std::to_string(round) +
               (for_good ? " and all later ones" : "");
    };
    at.calm_down();
    t.take(of_report(*first.report, at, s), at, story);
    t.count();
    t.take(ended_at_last(at, s), at, [&] { return story() + "; recovered"; });
}

} // namespace

TEST_CASE("every call of the host may fail") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    tally t("calls fail, on " + driver);
    for (const auto& s : scenarios(driver)) {
        auto undisturbed = s.begin();
        const auto calls = run_belay(undisturbed, s).calls;
        for (std::size_t number = 1; number <= calls; number += stride()) {
            for (const auto& f : faults) {
                fail_call(number, f, s, t);
            }
        }
    }
    t.conclude();
}

TEST_CASE("every call of a recovery may fail") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    tally t("calls of a recovery fail, on " + driver);
    for (const auto& s : scenarios(driver)) {
        auto undisturbed = s.begin();
        const auto points = run_belay(undisturbed, s).points;
        std::optional<site> before;
        for (std::size_t death = 1; death <= points; death += stride()) {
            fail_call_of_recovery(death, s, before, t);
        }
    }
    t.conclude();
}

TEST_CASE("every round of checks may fail") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    tally t("checks fail, on " + driver);
    for (const auto& s : scenarios(driver)) {
        for (int round = 1; round <= 8; ++round) {
            fail_check(round, false, s, t);
            fail_check(round, true, s, t);
        }
    }
    t.conclude();
}
