// SPDX-License-Identifier: Apache-2.0
// belay dies at every point, is recovered, dies in the recovery at every point, and is recovered once more.
#include "crash/tally.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdlib>

using namespace belay;
using namespace belay::crash;

namespace {

/// What a site can go on as.
struct branch {
    site at;
    std::string story;
};

/// A transaction that waits is left alone, and then confirmed, undone or forgotten until its deadline.
std::vector<branch> branches_of_waiting(const site& at, const scenario& s, const std::string& story, tally& t) {
    auto looked = at;
    const auto seen = recover(looked, s);
    auto found = while_waiting(looked, s);
    if (seen.how != life::end::left_waiting) {
        found.emplace_back("it waits for a confirmation, and was not left alone");
    }
    t.count();
    t.take(found, looked, [&] { return story + "; waits"; });
    std::vector<branch> all;
    for (const auto what : {core::verdict::commit, core::verdict::undo}) {
        all.push_back({at, story + "; decided: " + std::string(core::to_word(what))});
        all.back().at.decision = core::decision{what, {core::reason::no_confirm, "asked for"}};
    }
    all.push_back({at, story + "; after the deadline"});
    all.back().at.pass(milliseconds{60'000});
    return all;
}

/// Whether the journal, read without core's help, says that a confirmation is waited for.
bool should_wait(const site& at, const scenario& s) {
    if (!s.confirms || at.decision) {
        return false;
    }
    std::optional<core::wall_time> until;
    for (const auto& r : at.journal) {
        const auto* begin = std::get_if<core::started>(&r.what);
        const auto* end = std::get_if<core::finished>(&r.what);
        if (begin && begin->what.what == core::act::confirm) {
            until = begin->until;
        }
        const bool over = (end && end->what.what == core::act::confirm) ||
                          std::holds_alternative<core::decided>(r.what) ||
                          std::holds_alternative<core::interrupted>(r.what);
        if (until && over) {
            return false;
        }
    }
    return until && at.clock.wall() < *until;
}

std::vector<branch> branches(site at, const scenario& s, const std::string& story, tally& t) {
    if (should_wait(at, s)) {
        return branches_of_waiting(at, s, story, t);
    }
    return {{std::move(at), story}};
}

/// The one recovery that must be enough.
life end_it(branch& b, const scenario& s, tally& t) {
    const auto last = recover(b.at, s);
    b.at.calm_down();
    auto found = after_the_end(b.at, s);
    if (last.report) {
        const auto lies = of_report(*last.report, b.at, s);
        found.insert(found.end(), lies.begin(), lies.end());
    }
    t.count();
    t.take(found, b.at, [&] { return b.story + "; recovered: " + std::string(name_of(last.how)); });
    return last;
}

/// Dies at each point of a recovery, and is recovered once more. Neighbours that leave the same behind count once.
void die_again(const branch& from, std::size_t points, const scenario& s, tally& t) {
    std::optional<site> before;
    for (std::size_t number = 1; number <= points; number += stride()) {
        auto dying = from.at;
        const auto second = recover(dying, s, kill_at(number));
        if (before && same_place(*before, dying)) {
            continue;
        }
        for (const auto& lost : main_losses(dying)) {
            const auto story = from.story + "; died again at " + second.last + " (" + lost.name() + ")";
            auto left = after(dying, lost);
            t.take(while_open(left, s), left, [&] { return story; });
            for (auto& b : branches(std::move(left), s, story, t)) {
                end_it(b, s, t);
            }
        }
        before = std::move(dying);
    }
}

void recover_from(const site& dying, const std::string& last, const scenario& s, tally& t) {
    for (const auto& lost : all_losses(dying)) {
        const auto story = s.name + " on " + s.driver + ": died at " + last + " (" + lost.name() + ")";
        auto left = after(dying, lost);
        t.take(while_open(left, s), left, [&] { return story; });
        for (auto& b : branches(std::move(left), s, story, t)) {
            const auto from = b;
            die_again(from, end_it(b, s, t).points, s, t);
        }
    }
}

void run_matrix(const scenario& s) {
    tally t("belay dies, " + s.name + " on " + s.driver);
    auto undisturbed = s.begin();
    const auto whole = run_belay(undisturbed, s);
    undisturbed.calm_down();
    t.count();
    t.take(after_the_end(undisturbed, s), undisturbed, [&] { return s.name + ": nothing happens"; });
    CHECK((whole.report && (core::exit_code(whole.report->how) == 0) == s.may_keep));
    std::optional<site> before;
    for (std::size_t number = 1; number <= whole.points; number += stride()) {
        auto dying = s.begin();
        const auto first = run_belay(dying, s, kill_at(number));
        if (!before || !same_place(*before, dying)) {
            recover_from(dying, first.last, s, t);
        }
        before = std::move(dying);
    }
    t.conclude();
}

} // namespace

TEST_CASE("belay may die at every point of an upgrade and of its recovery") {
    const auto driver = GENERATE(std::string("btrfs"), std::string("dir"));
    for (const auto& s : scenarios(driver)) {
        run_matrix(s);
    }
}
