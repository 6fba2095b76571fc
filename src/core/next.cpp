// SPDX-License-Identifier: Apache-2.0
#include "core/next.hpp"

#include "core/coverage.hpp"

#include <algorithm>

namespace belay::core {

namespace {

/// A list of acts in their order, the table of phases for one verdict.
class path {
public:
    void add(act what, bool wanted = true) {
        if (wanted) {
            keys_.push_back({what, {}});
        }
    }

    template <class Wanted>
    void add_each(act what, const std::vector<std::string>& targets, Wanted wanted) {
        for (const auto& target : targets) {
            if (wanted(target)) {
                keys_.push_back({what, target});
            }
        }
    }

    auto begin() const { return keys_.begin(); }

    auto end() const { return keys_.end(); }

private:
    std::vector<key> keys_;
};

path undecided_path(const state& s) {
    const auto& how = s.how;
    const auto is_guarded = [&](const auto& target) {
        return how.guards_schedule && s.facts && guarded(target, *s.facts);
    };
    path acts;
    acts.add(act::preflight);
    acts.add(act::lock);
    if (how.undoes_kept) {
        const bool pauses = how.takes_present && how.pauses;
        acts.add(act::pause, pauses);
        acts.add_each(act::snapshot, how.targets, [&](const auto&) { return how.takes_present; });
        acts.add(act::unpause, pauses);
        return acts;
    }
    acts.add(act::baseline);
    acts.add(act::pre, !how.pre.empty());
    acts.add(act::quiesce, how.quiesces());
    acts.add(act::pause, how.pauses);
    acts.add_each(act::snapshot, how.targets, [](const auto&) { return true; });
    acts.add(act::unpause, how.pauses);
    acts.add(act::resume, how.quiesces());
    acts.add_each(act::schedule_off, how.targets, is_guarded);
    acts.add(act::upgrade);
    acts.add(act::restart, how.restart != restart_policy::never);
    acts.add(act::verify);
    acts.add(act::confirm, how.confirms);
    return acts;
}

/// Schedules that were switched off, or may be.
auto switched_off(const state& s) {
    return [&s](const std::string& target) { return s.tried(act::schedule_off, target); };
}

path commit_path(const state& s) {
    path acts;
    acts.add_each(act::discard, s.how.targets, [&](const auto&) { return s.unchanged(); });
    acts.add(act::keep, s.how.retains && !s.unchanged());
    acts.add_each(act::schedule_on, s.how.targets, switched_off(s));
    acts.add(act::unlock);
    return acts;
}

path undo_path(const state& s) {
    path acts;
    acts.add(act::evidence, s.how.saves_evidence);
    acts.add_each(act::discard, s.how.discards, [](const auto&) { return true; });
    acts.add(act::stop, !s.restored());
    acts.add(act::keep_failed, s.how.keeps_failed && !s.restored());
    // The instance itself comes last: its restore makes a daemon that comes up start it again, and says by the
    // generation that everything was restored.
    const std::vector<std::string> root_last(s.how.targets.rbegin(), s.how.targets.rend());
    acts.add_each(act::restore, root_last, [](const auto&) { return true; });
    acts.add(act::start);
    acts.add(act::reverify);
    // Only a healthy rollback throws its snapshot away: after any other a person may still need it.
    // What a person has restored, a person may still want to look into.
    const bool healthy = s.ok(act::reverify) && !s.by_hand;
    acts.add_each(act::discard, s.how.targets, [&](const auto&) { return healthy && !s.how.undoes_kept; });
    acts.add_each(act::schedule_on, s.how.targets, switched_off(s));
    acts.add(act::unlock);
    return acts;
}

/// Whether a snapshot was begun and not seen to succeed.
bool has_half_made_snapshot(const state& s) {
    return std::ranges::any_of(s.how.targets, [&](const auto& target) {
        return s.tried(act::snapshot, target) && !s.ok(act::snapshot, target);
    });
}

/// What was begun before the upgrade is taken back. A daemon that dies while it takes a snapshot may leave the instance
/// frozen (driver dir).
path refuse_path(const state& s) {
    path acts;
    acts.add(act::unpause, s.tried(act::pause) || has_half_made_snapshot(s));
    acts.add(act::resume, s.tried(act::quiesce));
    acts.add_each(act::schedule_on, s.how.targets, switched_off(s));
    acts.add_each(act::discard, s.how.targets, [&](const auto& target) { return s.tried(act::snapshot, target); });
    acts.add(act::unlock, s.tried(act::lock));
    return acts;
}

path path_of(const state& s) {
    if (!s.decision) {
        return undecided_path(s);
    }
    switch (*s.decision) {
    case verdict::commit:
        return commit_path(s);
    case verdict::undo:
        return undo_path(s);
    case verdict::refuse:
        return refuse_path(s);
    }
    return {};
}

/// Without these the instance is not in a known state: when one fails for good, the transaction is stuck.
bool indispensable(act what) {
    return what == act::stop || what == act::restore || what == act::start || what == act::unpause ||
           what == act::resume;
}

/// What is still there when one of these has failed must go some day.
bool leaves_something(act what) {
    return what == act::unlock || what == act::discard || what == act::keep || what == act::schedule_on;
}

/// A failure before the verdict is undone, or given up.
verdict verdict_on_failure(const state& s) {
    return s.goes_back() ? verdict::undo : verdict::refuse;
}

verdict verdict_on_success(const state& s) {
    return s.how.undoes_kept ? verdict::undo : verdict::commit;
}

/// Whether the instance is not this transaction's any more: its lock is gone, and not because this transaction took it
/// off at its end. Somebody ended it by hand, or went on with the instance; nothing on it may be changed.
bool was_taken_away(const state& s) {
    const bool unlocked_at_the_end = s.lock == lock_owner::nobody && s.restored();
    return s.decision == verdict::undo && s.lock != lock_owner::ours && !unlocked_at_the_end;
}

outcome outcome_of(const state& s) {
    switch (*s.decision) {
    case verdict::commit:
        return s.unchanged() ? outcome::unchanged : outcome::committed;
    case verdict::refuse:
        return outcome::refused;
    case verdict::undo:
        return s.ok(act::reverify) ? outcome::rolled_back : outcome::rolled_back_unhealthy;
    }
    return outcome::stuck;
}

/// Cleaning up repeats, once, an act of the undecided part that failed there: `unpause` must have been tried twice
/// before it counts as failed.
bool worth_another_attempt(const state& s, const key& what, const progress& known) {
    return s.decision && undecided(what.what) && known.attempts < 2;
}

bool may_be_cancelled(const state& s, act what) {
    return !s.decision && what != act::snapshot && what != act::lock && what != act::unpause && what != act::resume;
}

} // namespace

step next(const state& s) {
    if (!s.open || s.end) {
        return nothing{};
    }
    // Before the lock nothing on the host is this transaction's, and there is nothing to ask.
    if (s.stale && s.tried(act::lock)) {
        return s.unsettled ? step{close{outcome::stuck}} : step{observe{}};
    }
    if (!s.decision && !s.why.empty()) {
        return decide{verdict_on_failure(s)};
    }
    if (was_taken_away(s)) {
        return close{s.restored() ? outcome_of(s) : outcome::stuck};
    }
    bool leftover = false;
    for (const auto& what : path_of(s)) {
        const auto found = s.done.find(what);
        const auto known = found == s.done.end() ? progress{} : found->second;
        if (known.last == result::ok) {
            continue;
        }
        if (!known.last || known.last == result::again || worth_another_attempt(s, what, known)) {
            return perform{what, known.attempts + 1, may_be_cancelled(s, what.what),
                           what.what == act::confirm ? s.until : std::nullopt};
        }
        if (indispensable(what.what)) {
            return close{outcome::stuck};
        }
        leftover = leftover || leaves_something(what.what);
    }
    if (!s.decision) {
        return decide{verdict_on_success(s)};
    }
    return leftover ? step{leave{outcome_of(s)}} : step{close{outcome_of(s)}};
}

std::string_view phase_name(act what, std::optional<verdict> decision) {
    return decision == verdict::commit ? std::string_view{"commit"} : to_word(what);
}

} // namespace belay::core
