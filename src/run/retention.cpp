// SPDX-License-Identifier: Apache-2.0
// What becomes of the snapshots when an upgrade is kept.
#include "run/retention.hpp"

#include "core/coverage.hpp"
#include "run/limits.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::run {

namespace {

/// Adds the snapshots of a target. A volume that does not exist any more has none.
core::expected<void> list(ports::host& host, const std::string& target, listing& into) {
    if (into.contains(target)) {
        return {};
    }
    auto all = host.list_snapshots(target, request_limit);
    if (!all && !(target != "root" && all.error().code == core::reason::not_found)) {
        return std::unexpected(all.error());
    }
    into[target] = all ? *std::move(all) : std::vector<core::snapshot_entry>{};
    return {};
}

std::vector<std::string> transactions_in(const listing& all) {
    std::vector<std::string> txns;
    for (const auto& [target, snapshots] : all) {
        for (const auto& s : snapshots) {
            if (auto txn = core::transaction_in(s.name); txn && std::ranges::find(txns, *txn) == txns.end()) {
                txns.push_back(*std::move(txn));
            }
        }
    }
    return txns;
}

/// The targets that still have the snapshot of a transaction, the instance itself last.
std::vector<std::string> still_there(const core::past_run& run, const std::string& uuid, const listing& all) {
    std::vector<std::string> targets;
    for (const auto& taken : run.taken) {
        const bool there = std::ranges::any_of(all.at(taken.target),
                                               [&](const auto& s) { return core::took(run, uuid, taken.target, s); });
        if (there) {
            targets.push_back(taken.target);
        }
    }
    std::ranges::stable_partition(targets, [](const auto& target) { return target != "root"; });
    return targets;
}

/// The one that is about to be kept is the newest, whatever the clock says.
void count_own(core::past_run& run, const std::string& own) {
    if (!own.empty() && run.txn == own) {
        run.how = core::standing::kept;
        run.begun = core::wall_time::max();
    }
}

int wanted_number(const std::vector<core::candidate>& all) {
    int keep = 0;
    core::wall_time newest{};
    for (const auto& [run, targets] : all) {
        if (run.how == core::standing::kept && !targets.empty() && run.begun >= newest) {
            newest = run.begun;
            keep = run.keep;
        }
    }
    return keep;
}

} // namespace

core::expected<found_old> find_old(ports::host& host, const ports::locks& locks, const subject& whose,
                                   std::optional<int> keep, listing all) {
    BELAY_TRY_VOID(list(host, "root", all));
    for (const auto& volume : whose.volumes) {
        BELAY_TRY_VOID(list(host, volume, all));
    }
    std::vector<core::candidate> candidates;
    for (auto& run : locks.past(transactions_in(all), whose.project, whose.instance)) {
        if (run.uuid != whose.uuid) {
            continue;
        }
        for (const auto& taken : run.taken) {
            BELAY_TRY_VOID(list(host, taken.target, all));
        }
        count_own(run, whose.own);
        auto targets = still_there(run, whose.uuid, all);
        candidates.push_back({std::move(run), std::move(targets)});
    }
    found_old found{keep.value_or(wanted_number(candidates)), {}};
    for (const auto& c : core::outdated(std::move(candidates), found.keep)) {
        for (const auto& target : c.targets) {
            found.snapshots.push_back({c.run.txn, target, core::snapshot_name(c.run.txn), c.run.how});
        }
    }
    return found;
}

std::vector<removal> remove_old(ports::host& host, const std::vector<old_snapshot>& old, core::milliseconds limit) {
    std::vector<removal> done;
    std::string stays;
    for (const auto& s : old) {
        if (s.txn == stays) {
            continue;
        }
        auto deleted = host.discard(s.target, s.name, limit);
        stays = deleted ? stays : s.txn;
        done.push_back({s, deleted ? std::nullopt : std::optional(std::move(deleted).error())});
    }
    return done;
}

std::vector<std::string> volumes_of(const core::instance_facts& facts) {
    std::vector<std::string> volumes;
    for (const auto& d : facts.disks) {
        if (!d.volume.empty()) {
            volumes.push_back(core::target_of(d));
        }
    }
    return volumes;
}

core::finished transaction::keep() {
    core::finished f;
    if (plan().keep_for > core::milliseconds{0}) {
        f.expires = world_.clock.wall() + plan().keep_for;
    }
    listing known;
    for (const auto& target : plan().targets) {
        auto done = expire(target, f.expires, known);
        if (!done && done.error().code == core::reason::not_found) { // somebody deleted it: nothing is left to expire
            emit(core::warned{core::describe(done.error())});
        } else if (!done) {
            return repeated({core::act::keep, {}}, done);
        }
    }
    f.removed = remove_older(std::move(known));
    return f;
}

/// Along with that of the instance what is wanted next is read: its snapshots, and its keys for the unlock.
core::expected<void> transaction::expire(const std::string& target, std::optional<core::wall_time> when,
                                         listing& known) {
    if (target != "root") {
        return world_.host.set_expiry(target, snapshot_name(), when, request_limit);
    }
    auto done = world_.host.keep(snapshot_name(), when, request_limit);
    if (done.snapshots) {
        known[target] = *std::move(done.snapshots);
    }
    if (done.now) {
        seen_along_ = *std::move(done.now);
    }
    return done.expiry;
}

/// What could not be deleted is left for the next upgrade or for `belay prune`: the outcome of this one does not hang
/// on it. Nothing is deleted on an instance that this transaction does not hold (any more).
std::vector<std::string> transaction::remove_older(listing known) {
    std::vector<std::string> removed;
    const auto& facts = state().facts;
    if (plan().keep == 0 || !held_ || !facts || state().lock != core::lock_owner::ours) {
        return removed;
    }
    const auto left = [&](const std::string& what, const core::error& why) {
        emit(core::warned{fmt::format("{} could not be deleted ({}): the next upgrade tries again, or `belay prune {}`",
                                      what, core::describe(why), plan().instance)});
    };
    const subject whose{plan().project, plan().instance, facts->uuid, volumes_of(*facts), request_.txn};
    const auto old = find_old(world_.host, world_.locks, whose, plan().keep, std::move(known));
    if (!old) {
        left("old snapshots of instance " + plan().instance, old.error());
        return removed;
    }
    for (const auto& [what, problem] : remove_old(world_.host, old->snapshots, plan().limit.operation)) {
        if (problem) {
            left(fmt::format("the old snapshot {} of {}", what.name,
                             what.target == "root" ? "instance " + plan().instance : "volume " + what.target),
                 *problem);
        } else if (std::ranges::find(removed, what.name) == removed.end()) {
            removed.push_back(what.name);
        }
    }
    return removed;
}

} // namespace belay::run
