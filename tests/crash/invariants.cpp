// SPDX-License-Identifier: Apache-2.0
#include "crash/invariants.hpp"

#include <algorithm>
#include <span>

namespace belay::crash {

namespace {

using core::act;
using core::outcome;
using core::verdict;
using fakes::moment;

const core::started* intent(const core::record& r, act what) {
    const auto* begin = std::get_if<core::started>(&r.what);
    return begin && begin->what.what == what ? begin : nullptr;
}

const core::finished* success(const core::record& r, act what) {
    const auto* end = std::get_if<core::finished>(&r.what);
    return end && end->what.what == what && end->how == core::result::ok ? end : nullptr;
}

bool decision(const core::record& r, verdict what) {
    const auto* decided = std::get_if<core::decided>(&r.what);
    return decided && decided->what == what;
}

template <class Predicate>
bool any(std::span<const core::record> journal, Predicate p) {
    return std::ranges::any_of(journal, p);
}

/// The rule of the design, written down a second time and apart from core::durable.
bool must_be_on_disk(const core::record& r) {
    for (const auto what : {act::lock, act::pause, act::snapshot, act::upgrade, act::confirm, act::discard}) {
        if (intent(r, what)) {
            return true;
        }
    }
    return success(r, act::snapshot) || success(r, act::restore) || std::holds_alternative<core::decided>(r.what);
}

bool is_of_the_host(std::string_view what) {
    return what != "append" && what != "publish" && what != "checks" && what != "gather";
}

void check_paper(site& on, const fakes::fake_world& w, const point& p) {
    const auto& records = w.journal.records;
    for (auto i = w.journal.synced; i < records.size(); ++i) {
        if (must_be_on_disk(records[i])) {
            on.broken.push_back("before " + p.what + " not on disk: " + std::string(core::type_of(records[i].what)) +
                                " (" + chain({records[i]}) + ")");
        }
    }
}

void check_discard(site& on, const fakes::fake_world& w, const scenario& s) {
    const std::span<const core::record> synced(w.journal.records.data(), w.journal.synced);
    const bool undone = any(synced, [](const auto& r) { return decision(r, verdict::undo); }) &&
                        any(synced, [](const auto& r) { return success(r, act::reverify); });
    const bool announced = any(synced, [](const auto& r) { return intent(r, act::discard); });
    const bool nothing_to_undo = any(synced, [](const auto& r) { return decision(r, verdict::commit); });
    if (on.command_began && !(undone && announced) && !(nothing_to_undo && s.unchanged)) {
        on.broken.emplace_back("a snapshot is deleted before the outcome is on disk");
    }
}

bool whole(const fakes::disk& on, const std::string& name) {
    const auto found = on.snapshots.find(name);
    return found != on.snapshots.end() && found->second.complete;
}

bool way_back_is_whole(const site& at, const scenario& s) {
    return std::ranges::all_of(s.targets,
                               [&](const auto& target) { return whole(at.daemon.disk_of(target), way_back(s)); });
}

bool holds(const site& at, const scenario& s, std::string_view content) {
    return std::ranges::all_of(s.targets,
                               [&](const auto& target) { return at.daemon.disk_of(target).content == content; });
}

std::string contents(const site& at, const scenario& s) {
    std::string text;
    for (const auto& target : s.targets) {
        text += (text.empty() ? "" : " ") + target + "=" + at.daemon.disk_of(target).content;
    }
    return text;
}

std::string key(const site& at, std::string_view name) {
    const auto found = at.daemon.config.find(std::string(name));
    return found == at.daemon.config.end() ? std::string{} : found->second;
}

bool locked_by_us(const site& at) {
    return key(at, core::lock_key_name).starts_with(std::string(txn) + " ");
}

/// Running and not frozen.
bool runs(const site& at) {
    return at.daemon.facts.running && !at.daemon.frozen;
}

void demand(problems& found, bool true_, std::string otherwise) {
    if (!true_) {
        found.push_back(std::move(otherwise));
    }
}

/// What must never happen, whatever the outcome.
problems always(const site& at, const scenario& s) {
    problems found = at.daemon.harm;
    if (at.journal_failed) {
        // Nothing tells then that the volumes were restored, too, and a mix would be worse than to do it once more.
        std::erase(found, fakes::fake_daemon::volume_restored_again);
    }
    found.insert(found.end(), at.broken.begin(), at.broken.end());
    demand(found, at.daemon.exists, "the instance is gone");
    if (s.undoes) {
        demand(found, way_back_is_whole(at, s), "the snapshot of the kept upgrade is gone");
    }
    return found;
}

/// An upgrade that is kept was good, and that is on disk.
void demand_a_right_commit(problems& found, const site& at, const scenario& s) {
    demand(found, s.may_keep || s.confirms, "kept although its checks or its command failed");
    const auto& journal = at.journal;
    const auto commit = std::ranges::find_if(journal, [](const auto& r) { return decision(r, verdict::commit); });
    demand(found, commit != journal.end(), "kept without a commit in the journal");
    const std::span<const core::record> before(journal.begin(), commit);
    demand(found, any(before, [](const auto& r) { return success(r, act::verify); }),
           "kept without a verification that passed");
    demand(found, !s.confirms || any(before, [](const auto& r) { return success(r, act::confirm); }),
           "kept without a confirmation");
}

void demand_nothing_left(problems& found, const site& at, const scenario& s) {
    demand(found, at.daemon.under_way.empty(), "an operation is under way at the end");
    demand(found, !at.daemon.frozen, "the instance is left frozen");
    demand(found, key(at, core::lock_key_name).empty(), "a lock is left: " + key(at, core::lock_key_name));
    demand(found, key(at, core::restored_key_name).empty(), "the key of the restore is left");
    demand(found, !at.daemon.quiesced, "the instance is left quiesced");
    const auto before = s.begin();
    demand(found, at.daemon.facts.description == before.daemon.facts.description,
           "the description of the instance is left as '" + at.daemon.facts.description + "'");
    for (const auto& target : s.targets) {
        auto daemon = at.daemon;
        auto then = before.daemon;
        demand(found, daemon.schedule_of(target) == then.schedule_of(target),
               "the snapshot schedule of " + target + " is left as " + daemon.schedule_of(target));
    }
    for (const auto& target : s.targets) {
        for (const auto& [name, row] : at.daemon.disk_of(target).snapshots) {
            demand(found, row.complete, "a half-made snapshot is left: " + name);
        }
    }
}

/// Whether the transaction's own snapshots are as the outcome says.
void demand_snapshots(problems& found, const site& at, const scenario& s, outcome how) {
    const bool stays = how == outcome::committed || how == outcome::rolled_back_unhealthy || how == outcome::stuck ||
                       (s.undoes && how != outcome::refused);
    for (const auto& target : s.targets) {
        const auto& snapshots = at.daemon.disk_of(target).snapshots;
        if (stays) {
            demand(found, whole(at.daemon.disk_of(target), core::snapshot_name(txn)), "its snapshot is gone");
        } else {
            demand(found, !snapshots.contains(core::snapshot_name(txn)), "its snapshot is left");
        }
    }
}

void demand_content(problems& found, const site& at, const scenario& s, std::string_view content) {
    demand(found, holds(at, s, content), "the content should be " + std::string(content) + ": " + contents(at, s));
}

void demand_running(problems& found, const site& at) {
    demand(found, runs(at), at.daemon.frozen ? "the instance is frozen" : "the instance does not run");
}

/// Lock and snapshot stay, unless they were just being taken away, and the commands that are printed do no harm.
void demand_way_out(problems& found, const core::report& r, const site& at, const scenario& s) {
    const auto begun = [&](act what) { return any(at.journal, [&](const auto& one) { return intent(one, what); }); };
    demand(found, !at.command_began || begun(act::unlock) || locked_by_us(at), "stuck, and the lock is gone");
    demand(found, !at.command_began || begun(act::discard) || way_back_is_whole(at, s),
           "stuck, and the snapshot is gone");
    const bool kept = any(at.journal, [](const auto& one) { return decision(one, verdict::commit); });
    const bool restores = std::ranges::any_of(
        r.manual, [](const auto& line) { return line.find("snapshot restore") != std::string::npos; });
    demand(found, !restores || (way_back_is_whole(at, s) && !kept),
           kept ? "the commands of a kept upgrade undo it" : "the commands restore a snapshot that is not whole");
    demand(found, !r.manual.empty(), "stuck, and no commands");
}

int code_of(outcome how, const scenario& s) {
    return s.undoes ? core::exit_code_of_undo(how) : core::exit_code(how);
}

} // namespace

std::string chain(const std::vector<core::record>& journal) {
    std::string text;
    const auto add = [&](std::string_view word, std::string_view mark = "") {
        text += (text.empty() ? "" : " ") + std::string(word) + std::string(mark);
    };
    for (const auto& r : journal) {
        if (const auto* begin = std::get_if<core::started>(&r.what)) {
            add(core::to_word(begin->what.what), "?");
        } else if (const auto* end = std::get_if<core::finished>(&r.what)) {
            add(core::to_word(end->what.what),
                end->how == core::result::ok ? "" : ":" + std::string(core::to_word(end->how)));
        } else if (const auto* decided = std::get_if<core::decided>(&r.what)) {
            add(core::to_word(decided->what), "!");
        } else if (const auto* end_of_all = std::get_if<core::closed>(&r.what)) {
            add(core::to_word(end_of_all->summary.how), ".");
        } else {
            add(core::type_of(r.what));
        }
    }
    return text;
}

void check_rules(site& on, const fakes::fake_world& w, const scenario& s, const point& p) {
    if (p.when != moment::before || !is_of_the_host(p.what)) {
        return;
    }
    check_paper(on, w, p);
    if (p.what == "discard") {
        check_discard(on, w, s);
    }
}

problems of_report(const core::report& r, const site& at, const scenario& s) {
    auto found = always(at, s);
    demand(found, r.exit_code == code_of(r.how, s), "the exit code is not that of the outcome");
    switch (r.how) {
    case outcome::committed:
        demand_content(found, at, s, "new");
        demand_running(found, at);
        demand_a_right_commit(found, at, s);
        break;
    case outcome::rolled_back:
        demand_content(found, at, s, "old");
        demand_running(found, at);
        demand(found, s.heals, "said to be healthy, and is not");
        break;
    case outcome::rolled_back_unhealthy:
        demand_content(found, at, s, "old");
        break;
    case outcome::refused:
        demand_content(found, at, s, s.untouched());
        demand_running(found, at);
        demand(found, !at.command_began, "said to be refused, and the command had begun");
        break;
    case outcome::stuck:
        demand_way_out(found, r, at, s);
        break;
    case outcome::unchanged:
        demand(found, s.unchanged, "said to be unchanged, and is not");
        demand_running(found, at);
        demand_a_right_commit(found, at, s);
        break;
    }
    return found;
}

problems while_open(const site& at, const scenario& s) {
    auto found = always(at, s);
    const bool decided = any(at.journal, [](const auto& r) { return decision(r, verdict::commit); });
    for (const auto& target : s.targets) {
        for (const auto& [name, row] : at.daemon.disk_of(target).snapshots) {
            demand(found, decided || !row.expires, "a snapshot expires while the outcome is open: " + name);
        }
    }
    const bool safe = holds(at, s, "old") || decided;
    demand(found, !at.command_began || safe || way_back_is_whole(at, s),
           "the snapshot is gone while the outcome is open");
    return found;
}

problems while_waiting(const site& at, const scenario& s) {
    auto found = while_open(at, s);
    demand_content(found, at, s, "new");
    demand_running(found, at);
    demand(found, locked_by_us(at), "it waits for a confirmation without its lock");
    demand(found, way_back_is_whole(at, s), "it waits for a confirmation without its snapshot");
    return found;
}

problems after_the_end(const site& at, const scenario& s) {
    auto found = always(at, s);
    demand_running(found, at);
    demand_nothing_left(found, at, s);
    if (at.journal.empty()) {
        demand_content(found, at, s, s.untouched());
        demand(found, at.daemon.etag() == s.begin().daemon.etag(), "something was changed before it was written down");
        demand_snapshots(found, at, s, outcome::refused);
        return found;
    }
    const auto* end = std::get_if<core::closed>(&at.journal.back().what);
    if (!end) {
        found.emplace_back("the transaction has not ended");
        return found;
    }
    demand(found, end->summary.how != outcome::stuck, "stuck: " + end->summary.message);
    demand_snapshots(found, at, s, end->summary.how);
    const auto lies = of_report(end->summary, at, s);
    found.insert(found.end(), lies.begin(), lies.end());
    return found;
}

problems ended_at_last(site& at, const scenario& s) {
    auto found = while_open(at, s);
    for (int i = 0; i < 2; ++i) {
        const auto l = recover(at, s);
        at.calm_down();
        if (l.report) {
            const auto lies = of_report(*l.report, at, s);
            found.insert(found.end(), lies.begin(), lies.end());
        }
    }
    const auto end = after_the_end(at, s);
    found.insert(found.end(), end.begin(), end.end());
    return found;
}

} // namespace belay::crash
