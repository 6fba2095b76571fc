// SPDX-License-Identifier: Apache-2.0
#include "core/state.hpp"

#include <algorithm>

namespace belay::core {

namespace {

bool serves_verdict(act what) {
    return what > act::confirm;
}

/// Folds one event into the state. Overloads for every alternative: a new event does not compile until it is here.
struct folder {
    state& s;

    void operator()(const opened& e) const {
        s.open = true;
        s.how = e.how;
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
        if (e.facts) {
            s.facts = e.facts;
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
        const bool confirming = s.pending ? s.pending->what == act::confirm : s.tried(act::confirm);
        if (!s.decision && !confirming) {
            s.why.push_back({reason::interrupted, "belay died before the upgrade was decided", "", false});
        }
        s.pending.reset();
        s.end.reset();
        s.stale = true;
        for (auto& [what, progress] : s.done) {
            if (serves_verdict(what.what) && progress.last != result::ok) {
                progress.last.reset(); // a rollback that got stuck is tried again
            }
        }
    }

    void operator()(const observed& e) const { s.stale = !e.settled; }

    void operator()(const closed& e) const { s.end = e.summary.how; }

    void operator()(const output&) const {}

    void operator()(const checked&) const {}

    void operator()(const soaking&) const {}
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

void fold(state& s, const event& e) {
    std::visit(folder{s}, e);
}

state apply(state s, const event& e) {
    fold(s, e);
    return s;
}

} // namespace belay::core
