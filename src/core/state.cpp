// SPDX-License-Identifier: Apache-2.0
#include "core/state.hpp"

#include "core/coverage.hpp"

#include <algorithm>

namespace belay::core {

namespace {

/// How far a transaction had come whose process died before the verdict.
std::string death_before_verdict(const state& s) {
    if (s.how.undoes_kept) {
        return "belay died before the undo began";
    }
    return s.tried(act::upgrade) ? "belay died before the upgrade was decided" : "belay died before the upgrade began";
}

bool any_waits(const state& s) {
    return s.pending ? s.pending->what == act::confirm : s.tried(act::confirm);
}

/// Folds one event into the state. Overloads for every alternative: a new event does not compile until it is here.
struct folder {
    state& s;

    void operator()(const opened& e) const {
        s.open = true;
        s.how = e.how;
        s.baseline = e.baseline;
    }

    void operator()(const started& e) const {
        s.pending = e.what;
        ++s.done[e.what].attempts;
        if (e.until) {
            s.until = e.until;
        }
    }

    void operator()(const finished& e) const {
        s.pending.reset();
        s.done[e.what].last = e.how;
        s.not_resumed = s.not_resumed || failed_to_resume(s, e);
        if (e.facts) {
            s.facts = e.facts;
            settle(s.how, *e.facts);
        }
        if (e.packages) {
            s.packages = e.packages;
        }
        if (e.what.what == act::baseline) {
            s.baseline = e.checks;
        }
        if (e.how != result::ok && e.how != result::again) {
            s.why.push_back(e.why);
        }
    }

    void operator()(const decided& e) const { s.decision = e.what; }

    void operator()(const interrupted& e) const { s.why.push_back(e.why); }

    void operator()(const warned&) const {}

    void operator()(const resumed&) const {
        // A confirmation is waited out by whoever comes next; anything else that is undecided is undone.
        if (!s.decision && !any_waits(s)) {
            s.why.push_back({reason::interrupted, death_before_verdict(s), "", false});
        }
        s.pending.reset();
        s.end.reset();
        s.stale = true;
        s.unsettled = false;
        for (auto& [what, progress] : s.done) {
            // What failed for the dead process is tried again, and before an upgrade is kept its health is looked at by
            // whoever keeps it: the dead process may have begun to undo what it could not write down as kept.
            const bool confirmed_before = what.what == act::confirm && !s.decision;
            if (progress.last != result::ok || confirmed_before) {
                progress.last.reset();
            }
        }
    }

    void operator()(const observed& e) const {
        s.stale = s.unsettled = !e.settled;
        s.lock = e.lock;
        s.by_hand = e.by_hand;
        if (!e.settled) {
            s.why.push_back(e.why);
            return;
        }
        if (e.restored) {
            take_for_restored(e.volumes);
        } else if (!s.decision && e.lock != lock_owner::ours && s.ok(act::lock) && s.why.empty()) {
            s.why.push_back(
                {reason::interrupted, "the lock of this transaction was taken off the instance", "", false});
        }
    }

    void operator()(const closed& e) const { s.end = e.summary.how; }

    void operator()(const output&) const {}

    void operator()(const checked&) const {}

    void operator()(const soaking&) const {}

private:
    /// The journal ends before the restore, and the instance knows better: it could not be written any more.
    void take_for_restored(bool volumes) const {
        for (const auto& target : s.how.targets) {
            if (target != "root" && !volumes) {
                continue;
            }
            auto& known = s.done[{act::restore, target}];
            known.attempts = std::max(known.attempts, 1);
            known.last = result::ok;
        }
        if (s.decision != verdict::undo) {
            s.decision.reset();
            if (s.why.empty()) {
                s.why.push_back({reason::io_error,
                                 "the upgrade was undone while the journal could not be written: its reason is lost",
                                 "", false});
            }
        }
    }
};

} // namespace

bool state::tried(act what, const std::string& target) const {
    auto found = done.find({what, target});
    return found != done.end() && found->second.attempts > 0;
}

bool state::ok(act what, const std::string& target) const {
    auto found = done.find({what, target});
    return found != done.end() && found->second.last == result::ok;
}

bool state::snapshots_complete() const {
    return std::ranges::all_of(how.targets, [&](const auto& target) { return ok(act::snapshot, target); });
}

bool state::restored() const {
    return std::ranges::all_of(how.targets, [&](const auto& target) { return ok(act::restore, target); });
}

bool state::unchanged() const {
    return how.drops_unchanged && packages && packages->empty();
}

bool state::goes_back() const {
    return decision ? decision == verdict::undo : snapshots_complete() && (tried(act::upgrade) || not_resumed);
}

bool failed_to_resume(const state& s, const finished& e) {
    return !s.decision && (e.what.what == act::unpause || e.what.what == act::resume) && e.how != result::ok &&
           e.how != result::again;
}

bool state::waits_for_confirmation() const {
    return open && !end && !decision && why.empty() && any_waits(*this) && !ok(act::confirm);
}

void fold(state& s, const event& e) {
    std::visit(folder{s}, e);
}

state apply(state s, const event& e) {
    fold(s, e);
    return s;
}

} // namespace belay::core
