// SPDX-License-Identifier: Apache-2.0
#include "cli/undo.hpp"

#include "cli/past.hpp"
#include "cli/selection.hpp"
#include "cli/surroundings.hpp"
#include "core/coverage.hpp"
#include "core/durations.hpp"
#include "core/names.hpp"
#include "core/text.hpp"
#include "core/time_text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <ranges>

namespace belay::cli {

namespace {

/// The kept upgrades of the instance since a transaction, this one included, that nothing has taken back yet.
core::expected<std::vector<std::string>> kept_since(const std::filesystem::path& state, const std::string& txn,
                                                    const core::plan& how) {
    std::vector<core::error> unreadable;
    BELAY_TRY(const auto, all, load_history(state, unreadable));
    std::vector<std::string> kept;
    const auto first = std::ranges::find(all, txn, [](const auto& entry) { return entry.summary.transaction; });
    for (const auto& entry : std::ranges::subrange(first, all.end())) {
        const auto& r = entry.summary;
        const bool same = r.instance == how.instance && r.project == how.project;
        if (same && entry.how == report::ending::closed && r.how == core::outcome::committed &&
            entry.superseded_by.empty()) {
            kept.push_back(r.transaction);
        }
    }
    return kept;
}

core::plan plan_of_undo(const rollback_options& options, core::plan before, const std::string& txn) {
    core::plan plan;
    plan.instance = std::move(before.instance);
    plan.project = std::move(before.project);
    plan.checks = std::move(before.checks);
    plan.limit = before.limit;
    plan.limit.confirm = core::milliseconds{0};
    plan.limit.retry_for = options.retry_for.value_or(plan.limit.retry_for);
    plan.limit.stop = options.stop.value_or(plan.limit.stop);
    plan.limit.daemon_wait = options.daemon_wait.value_or(plan.limit.daemon_wait);
    plan.targets = std::move(before.targets);
    plan.pauses = plan.targets.size() > 1;
    plan.resume = std::move(before.resume); // the snapshot was taken between the hooks
    plan.notices = std::move(before.notices);
    plan.undoes_kept = true;
    plan.undoes = txn;
    plan.restores = core::snapshot_name(txn);
    return plan;
}

/// The snapshots of a target that are newer than the one that is restored, oldest first.
core::expected<std::vector<std::string>> newer_snapshots(const undo& what, incus::instance& host,
                                                         const std::string& target) {
    BELAY_TRY(const auto, all, host.list_snapshots(target, request_limit));
    std::vector<std::string> names;
    const auto ours = std::ranges::find(all, what.plan.restores, &core::snapshot_entry::name);
    for (const auto& later : std::ranges::subrange(ours, all.end()) | std::views::drop(1)) {
        names.push_back(later.name);
    }
    return names;
}

/// A driver that restores only its newest snapshot needs the newer ones out of the way, and those may only be belay's
/// own, of upgrades that are taken back with this one.
core::expected<void> make_way(undo& what, incus::instance& host, const core::instance_facts& now) {
    what.plan.takes_present = true;
    for (const auto& target : what.plan.targets) {
        if (!core::restores_only_newest(target, now)) {
            continue;
        }
        what.plan.takes_present = false;
        std::vector<std::string> others;
        BELAY_TRY(const auto, newer, newer_snapshots(what, host, target));
        for (const auto& name : newer) {
            const auto belongs = [&](const auto& txn) { return core::snapshot_name(txn) == name; };
            auto& into = std::ranges::any_of(what.superseded, belongs) ? what.plan.discards : others;
            if (std::ranges::find(into, name) == into.end()) {
                into.push_back(name);
            }
        }
        if (!others.empty()) {
            return core::failure(
                core::reason::not_restorable,
                fmt::format(
                    "the storage of {} of instance {} ({}) restores only its newest snapshot, and newer than {} "
                    "are: {}; delete them first (`incus snapshot delete`), if they are not needed",
                    target, what.plan.instance, core::driver_of(target, now), what.plan.restores,
                    fmt::join(others, ", ")));
        }
    }
    return {};
}

core::expected<void> inspect(undo& what, incus::instance& host, const core::instance_facts& now) {
    BELAY_TRY(auto, snapshot, host.examine_snapshot(what.plan.restores, request_limit));
    const auto holder = core::parse_lock(snapshot.lock);
    if (!holder || holder->txn != what.plan.undoes) {
        return core::failure(
            core::reason::not_restorable,
            fmt::format("snapshot {0} of instance {1} is not the one that transaction {2} took (its "
                        "{3} does not say so): to restore it all the same, `incus snapshot restore {1} "
                        "{0}`",
                        what.plan.restores, what.plan.instance, what.plan.undoes, core::lock_key_name));
    }
    if (!snapshot.missing.empty()) {
        return core::failure(core::reason::not_restorable,
                             fmt::format("snapshot {} of instance {} needs what does not exist any more: {}",
                                         what.plan.restores, what.plan.instance, fmt::join(snapshot.missing, ", ")));
    }
    what.snapshot = std::move(snapshot);
    const auto& targets = what.plan.targets;
    for (const auto& disk : now.disks) {
        const bool restored =
            !disk.volume.empty() && std::ranges::find(targets, core::target_of(disk)) != targets.end();
        if (restored && !disk.users.empty()) {
            return core::failure(core::reason::not_restorable,
                                 fmt::format("volume {} belongs to the undo, and {} uses it too by now: take it off "
                                             "there first",
                                             disk.source, core::printable(disk.users.front())));
        }
        if (!disk.covered && !disk.read_only && !restored) {
            what.uncovered.push_back(disk);
        }
    }
    return make_way(what, host, now);
}

core::error not_undoable(const known_transaction& known) {
    return {core::reason::not_restorable,
            fmt::format("transaction {} is {}: only an upgrade that was kept can be undone", known.txn,
                        core::to_word(known.so_far.how)),
            "", false};
}

/// Its expiry has come, or belay has made room for newer ones, or somebody has.
core::error snapshot_gone(const known_transaction& known, const std::string& target) {
    const auto& r = known.so_far;
    const auto whose = target == "root" ? "instance " + r.instance : "volume " + target;
    const auto until = r.snapshot_expires
                           ? fmt::format("it was to live until {}, unless newer upgrades or `belay prune` "
                                         "take it earlier",
                                         core::to_rfc3339(*r.snapshot_expires))
                           : std::string("newer upgrades, `belay prune` or somebody by hand deleted it");
    return {core::reason::not_restorable,
            fmt::format("the upgrade of transaction {} cannot be undone any more: snapshot {} of {} is gone ({}); "
                        "`belay history {}` says which upgrades can be",
                        known.txn, core::snapshot_name(known.txn), whose, until, r.instance),
            "", false};
}

} // namespace

core::expected<undo> undo_of_kept(const rollback_options& options, const incus_site& incus,
                                  const std::filesystem::path& state, const std::string& txn) {
    BELAY_TRY(auto, known, load_known(state, txn));
    if (known.so_far.how != core::outcome::committed || !known.state.facts) {
        return std::unexpected(not_undoable(known));
    }
    undo what{.plan = plan_of_undo(options, known.state.how, txn), .baseline = known.state.baseline};
    BELAY_TRY(auto, kept, kept_since(state, txn, what.plan));
    if (kept.empty() || kept.front() != txn) {
        return core::failure(
            core::reason::not_restorable,
            fmt::format("the upgrade of transaction {} was already taken back: `belay show {}`", txn, txn));
    }
    if (kept.size() > 1 && !options.discard_newer) {
        return core::failure(
            core::reason::not_restorable,
            fmt::format("transaction {} is not the newest upgrade of instance {} that was kept; newer: {}. Undo the "
                        "newest first, or take them all back with --discard-newer",
                        txn, what.plan.instance, fmt::join(kept.begin() + 1, kept.end(), ", ")));
    }
    what.superseded = std::move(kept);
    incus::instance host(incus.socket, what.plan.project, what.plan.instance, incus.program);
    host.observe(incus.observer);
    BELAY_TRY(const auto, now, host.examine(request_limit));
    if (now.facts.uuid != known.state.facts->uuid) {
        return core::failure(core::reason::not_restorable,
                             fmt::format("instance {} is another one than that of transaction {}, of the same name",
                                         what.plan.instance, txn));
    }
    for (const auto& target : what.plan.targets) {
        BELAY_TRY(const bool, there, host.has_snapshot(target, what.plan.restores, request_limit));
        if (!there) {
            return std::unexpected(snapshot_gone(known, target));
        }
    }
    BELAY_TRY_VOID(inspect(what, host, now.facts));
    return what;
}

core::expected<std::string> transaction_of(const std::string& snapshot) {
    auto txn = core::transaction_in(snapshot);
    if (!txn) {
        return core::failure(core::reason::usage,
                             fmt::format("--snapshot: '{}' is no snapshot of belay: they are named "
                                         "belay-TRANSACTION",
                                         core::printable(snapshot)));
    }
    return *std::move(txn);
}

/// Without a journal the volumes themselves tell whether they went with the instance: those have a snapshot of its
/// name.
core::expected<void> find_volumes(core::plan& plan, incus::instance& host, const core::instance_facts& now) {
    for (const auto& disk : now.disks) {
        const auto target = core::target_of(disk);
        if (disk.volume.empty() || std::ranges::find(plan.targets, target) != plan.targets.end()) {
            continue;
        }
        BELAY_TRY(const bool, there, host.has_snapshot(target, plan.restores, request_limit));
        if (there) {
            plan.targets.push_back(target);
        }
    }
    plan.pauses = plan.targets.size() > 1;
    return {};
}

core::expected<undo> undo_without_journal(const rollback_options& options, const incus_site& incus,
                                          const std::filesystem::path& state, const std::string& project) {
    BELAY_TRY(const auto, txn, transaction_of(*options.snapshot));
    BELAY_TRY_VOID(core::check_instance_name(options.what));
    BELAY_TRY(auto, checks, select_checks(recipe::settings{}, installed_checks()));
    core::plan before;
    before.instance = options.what;
    before.project = project;
    before.checks = std::move(checks);
    undo what{.plan = plan_of_undo(options, std::move(before), txn), .superseded = {txn}, .journal_is_gone = true};
    what.plan.takes_over = true;
    incus::instance host(incus.socket, project, options.what, incus.program);
    host.observe(incus.observer);
    BELAY_TRY(const auto, now, host.examine(request_limit));
    const journal::file_locks locks(state, journal::read_identity("/"));
    const auto holder = core::parse_lock(now.lock);
    if (!holder || holder->txn != txn) {
        return core::failure(
            core::reason::not_restorable,
            fmt::format("instance {0} is not locked by transaction {1}, so that belay does not know "
                        "that {2} is the way back; to restore it all the same: `incus snapshot restore "
                        "{0} {2}`",
                        options.what, txn, *options.snapshot));
    }
    const auto opinion = core::judge_lock(now.lock, locks.self({}), options.what, core::journal_knowledge::unknown,
                                          locks.alive(*holder), txn);
    if (opinion.how == core::lock_state::held) {
        return std::unexpected(opinion.why);
    }
    BELAY_TRY_VOID(find_volumes(what.plan, host, now.facts));
    BELAY_TRY_VOID(inspect(what, host, now.facts));
    return what;
}

std::string description(const undo& what, const ports::clock& clock) {
    const auto age = std::max(clock.wall() - what.snapshot.created, core::milliseconds{0});
    const auto whole_seconds = std::chrono::floor<std::chrono::seconds>(age);
    auto text = fmt::format("{} goes back to snapshot {}, taken at {}.\n", what.plan.instance, what.plan.restores,
                            core::to_rfc3339(what.snapshot.created));
    const auto line = [&](std::string_view name, const std::string& value) {
        text += fmt::format("  {:<10}{}\n", name, core::printable(value));
    };
    for (const auto& target : what.plan.targets) {
        if (target != "root") {
            line("restored", "volume " + target + " as well");
        }
    }
    line("lost", fmt::format("what was written in it since then ({})", core::format_duration(whole_seconds)));
    for (const auto& change : what.snapshot.changes) {
        line("goes back", change);
    }
    for (const auto& disk : what.uncovered) {
        line("stays", fmt::format("{} ({}): the snapshot does not hold it", core::name_of(disk), disk.source));
    }
    line(what.superseded.size() == 1 ? "upgrade" : "upgrades", fmt::format("{}", fmt::join(what.superseded, ", ")));
    if (what.journal_is_gone) {
        line("careful", "the journal is gone: whether the snapshot is whole cannot be known, and there is no baseline");
    }
    for (const auto& name : what.plan.discards) {
        line("deleted", name);
    }
    line("way back", what.plan.takes_present
                         ? "a snapshot of the present is taken first"
                         : "none: this storage restores only its newest snapshot, so none can be taken");
    return text;
}

} // namespace belay::cli
