// SPDX-License-Identifier: Apache-2.0
// Every append to the journal fails, with and without belay dying later, and a recovery that can write ends it.
#include "crash/tally.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <memory>

using namespace belay;
using namespace belay::crash;
using fakes::fake_world;

namespace {

enum class breakage { once, for_good, sync };

constexpr std::array breakages{breakage::once, breakage::for_good, breakage::sync};

std::string name_of(breakage how) {
    constexpr std::array<std::string_view, 3> names{"once", "from then on",
                                                    "to be synced, and nothing is written after"};
    return std::string(names[static_cast<std::size_t>(how)]);
}

preparation failing(std::size_t number, breakage how) {
    return [number, how](fake_world& w) {
        auto appends = std::make_shared<std::size_t>(0);
        w.journal.fails = [=](const core::record&) {
            const auto now = ++*appends;
            return how == breakage::sync ? false : now == number || (how == breakage::for_good && now > number);
        };
        w.journal.sync_fails = [=](const core::record&) { return how == breakage::sync && *appends == number; };
    };
}

std::string story_of(const scenario& s, std::size_t number, breakage how) {
    return s.name + " on " + s.driver + ": record " + std::to_string(number) + " fails " + name_of(how);
}

/// Without a crash. Returns how many points there are to die at.
std::size_t fail(std::size_t number, breakage how, const scenario& s, tally& t) {
    auto at = s.begin();
    at.journal_failed = true;
    const auto l = run_belay(at, s, {}, failing(number, how));
    const auto story = [&] { return story_of(s, number, how); };
    at.calm_down();
    t.take(of_report(*l.report, at, s), at, story);
    t.count();
    t.take(ended_at_last(at, s), at, [&] { return story() + "; recovered"; });
    return l.points;
}

void fail_and_die(std::size_t number, breakage how, std::size_t death, const scenario& s, std::optional<site>& before,
                  tally& t) {
    auto dying = s.begin();
    dying.journal_failed = true;
    const auto l = run_belay(dying, s, kill_at(death), failing(number, how));
    if (before && same_place(*before, dying)) {
        return;
    }
    for (const auto& lost : main_losses(dying)) {
        auto at = after(dying, lost);
        at.pass(at.known().waits_for_confirmation() ? milliseconds{60'000} : milliseconds{0});
        t.count();
        t.take(ended_at_last(at, s), at,
               [&] { return story_of(s, number, how) + "; died at " + l.last + " (" + lost.name() + ")"; });
    }
    before = std::move(dying);
}

} // namespace

TEST_CASE("every record of the journal may fail to be written") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    auto all = scenarios(driver);
    all.push_back(without_generations(driver));
    for (const auto& s : all) {
        tally t("journal fails, " + s.name + " on " + driver);
        auto undisturbed = s.begin();
        run_belay(undisturbed, s);
        for (std::size_t number = 1; number <= undisturbed.journal.size(); number += stride()) {
            for (const auto how : breakages) {
                const auto points = fail(number, how, s, t);
                std::optional<site> before;
                for (std::size_t death = 1; death <= points; ++death) {
                    fail_and_die(number, how, death, s, before, t);
                }
            }
        }
        t.conclude();
    }
}
