// SPDX-License-Identifier: Apache-2.0
#include "core/retention.hpp"

#include "core/lock_rule.hpp"
#include "core/names.hpp"
#include "core/state.hpp"

#include <algorithm>

namespace belay::core {

namespace {

/// Daemon and belay share a clock, but what the daemon writes down may be whole seconds.
constexpr milliseconds clock_grain{2'000};

standing standing_of(const state& s) {
    if (!s.end || *s.end == outcome::stuck) {
        return standing::open;
    }
    return *s.end == outcome::committed ? standing::kept : standing::failed;
}

taken_snapshot& snapshot_of(past_run& run, const std::string& target, wall_time now) {
    const auto known = std::ranges::find(run.taken, target, &taken_snapshot::target);
    return known != run.taken.end() ? *known : run.taken.emplace_back(taken_snapshot{target, now, now});
}

/// From the first try to the last end: a schedule that came in between makes `schedule_off` take it again.
void note_snapshot(past_run& run, const record& r) {
    if (const auto* begin = std::get_if<started>(&r.what); begin != nullptr && begin->what.what == act::snapshot) {
        snapshot_of(run, begin->what.target, r.time);
    }
    const auto* end = std::get_if<finished>(&r.what);
    if (end != nullptr && (end->what.what == act::snapshot || end->what.what == act::schedule_off)) {
        snapshot_of(run, end->what.target, r.time).to = r.time;
    }
}

bool has(const candidate& c, const std::string& target) {
    return std::ranges::find(c.targets, target) != c.targets.end();
}

/// An undo takes back the upgrade that it names and all that were kept between that one and itself.
bool was_taken_back(const past_run& upgrade, const std::vector<candidate>& all) {
    const auto is_since = [&](const std::string& undone) {
        const auto first = std::ranges::find(all, undone, [](const candidate& c) { return c.run.txn; });
        return first == all.end() ? upgrade.txn >= undone : upgrade.begun >= first->run.begun;
    };
    return std::ranges::any_of(all, [&](const candidate& other) {
        const auto& undo = other.run;
        return !undo.undoes.empty() && undo.begun > upgrade.begun && is_since(undo.undoes);
    });
}

} // namespace

past_run past_of(const std::vector<record>& journal) {
    past_run run;
    state s;
    for (const auto& r : journal) {
        fold(s, r.what);
        note_snapshot(run, r);
    }
    if (!journal.empty()) {
        run.txn = journal.front().txn;
        run.begun = journal.front().time;
    }
    run.uuid = s.facts ? s.facts->uuid : std::string{};
    run.how = standing_of(s);
    run.keep = s.how.keep;
    const bool restored = s.end == outcome::rolled_back || s.end == outcome::rolled_back_unhealthy;
    run.undoes = restored ? s.how.undoes : std::string{};
    return run;
}

bool took(const past_run& run, const std::string& uuid, const std::string& target, const snapshot_entry& s) {
    const auto known = std::ranges::find(run.taken, target, &taken_snapshot::target);
    if (uuid.empty() || run.uuid != uuid || s.name != snapshot_name(run.txn) || known == run.taken.end()) {
        return false;
    }
    if (target == "root") {
        const auto holder = parse_lock(s.lock);
        return holder && holder->txn == run.txn;
    }
    return s.created >= known->from - clock_grain && s.created <= known->to + clock_grain;
}

std::vector<candidate> outdated(std::vector<candidate> all, int keep) {
    std::vector<candidate> old;
    if (keep <= 0) {
        return old;
    }
    std::ranges::sort(all, [](const candidate& a, const candidate& b) {
        return a.run.begun != b.run.begun ? a.run.begun > b.run.begun : a.run.txn > b.run.txn;
    });
    int kept = 0;
    for (const auto& c : all) {
        if (kept >= keep && c.run.how != standing::open && !c.targets.empty()) {
            old.push_back(c);
        } else if (c.run.how == standing::kept && has(c, "root") && !was_taken_back(c.run, all)) {
            ++kept;
        }
    }
    std::ranges::reverse(old);
    return old;
}

} // namespace belay::core
