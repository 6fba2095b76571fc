// SPDX-License-Identifier: Apache-2.0
// The acts after the verdict. They are never cut short, and repeated while there is hope: nobody else will do them.
#include "core/incus_commands.hpp"
#include "run/limits.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace belay::run {

core::finished transaction::stop(int attempt_number) {
    for (const auto& target : plan().targets) {
        auto there = world_.host.has_snapshot(target, restored_snapshot(), request_limit);
        if (there && !*there && !state().ok(core::act::restore, target)) {
            return failed(no_snapshot(target));
        }
    }
    // All of them before anything is touched: else one could expire while another is being restored.
    for (const auto& target : plan().targets) {
        if (!plan().undoes_kept || state().ok(core::act::restore, target)) {
            continue;
        }
        if (auto eternal = world_.host.set_expiry(target, restored_snapshot(), std::nullopt, request_limit); !eternal) {
            return repeated({core::act::stop, {}}, std::move(eternal));
        }
    }
    const auto graceful = attempt_number == 1 ? plan().limit.stop : core::milliseconds{0};
    return repeated({core::act::stop, {}}, world_.host.stop(graceful, plan().limit.operation));
}

core::error transaction::no_snapshot(const std::string& target) const {
    const auto what = target == "root" ? "instance " + plan().instance : "volume " + target;
    return {core::reason::not_restorable,
            fmt::format("snapshot {} of {} does not exist any more: somebody deleted it, and nothing was done to the "
                        "instance",
                        restored_snapshot(), what)};
}

core::finished transaction::restore(const std::string& target) {
    return repeated({core::act::restore, target}, restore_once(target));
}

/// A restore whose answer was lost may have succeeded, and the daemon that came back has started the instance since: so
/// it is looked for before it is repeated.
core::expected<void> transaction::restore_once(const std::string& target) {
    if (restore_lost_ && target == "root") {
        BELAY_TRY_VOID(world_.host.settle(plan().limit.operation));
        BELAY_TRY_VOID(examine());
        if (moved_back(examined_)) {
            return {};
        }
    }
    auto done = world_.host.restore(target, restored_snapshot(), plan().limit.operation);
    restore_lost_ = !done && away(done.error());
    return done;
}

/// Whether the instance carries this transaction's lock, whichever process of this machine wrote it.
bool transaction::is_ours(const ports::examined& now) const {
    return core::owner_of(now.lock, request_.txn, world_.locks.self(request_.txn).machine_id) == core::lock_owner::ours;
}

/// Changes the instance until `wanted` has no wish left. Error beyond those of the host: locked, when its configuration
/// changed under every attempt.
core::expected<void> transaction::write(const wanted_change& wanted) {
    for (int i = 0; i < swap_attempts; ++i) {
        if (auto seen = std::exchange(seen_along_, std::nullopt)) {
            examined_ = *std::move(seen); // if it is not true any more the swap is lost
        } else {
            BELAY_TRY_VOID(examine());
        }
        const auto change = wanted(examined_);
        if (change.is_nothing()) {
            return {};
        }
        BELAY_TRY(auto, swap, world_.host.change(change, examined_.etag, request_limit));
        if (swap == ports::swapped::done) {
            return {};
        }
    }
    return core::failure(core::reason::locked, "its configuration changes all the time");
}

/// Before the start the lock key is made ours again: the restore brought back the one of the snapshot's moment, which
/// another process or, after an undo, another transaction had written. If the journal does not know of the restore, the
/// instance itself must: a restore is never repeated once the instance was started.
core::finished transaction::start() {
    const auto keys = [&](const ports::examined& now) {
        ports::instance_change wanted;
        if (now.facts.running && !lock_brought_back(now)) {
            return wanted; // it was started before, by this process or one that died
        }
        if (now.lock != own_lock()) {
            wanted.keys[std::string(core::lock_key_name)] = own_lock();
        }
        if (!unwritten_.empty() && now.restored != request_.txn) {
            wanted.keys[std::string(core::restored_key_name)] = request_.txn;
        }
        return wanted;
    };
    const auto own_keys_then_start = [&]() -> core::expected<void> {
        // Better started without its keys than not at all, if something else changes them all the time.
        if (auto written = write(keys); !written && written.error().code != core::reason::locked) {
            return written;
        }
        if (examined_.facts.running) {
            return {};
        }
        return world_.host.start(plan().limit.operation);
    };
    auto f = repeated({core::act::start, {}}, own_keys_then_start());
    // The snapshot was taken between the hooks: what quiesce left on the disk came back with it.
    if (f.how == core::result::ok) {
        if (auto resumed = resume_all(); !resumed) {
            emit(core::warned{core::describe(resumed.error())});
        }
    }
    return f;
}

core::expected<void> transaction::discard_from(const std::vector<std::string>& targets, const std::string& name) {
    for (const auto& target : targets) {
        BELAY_TRY_VOID(world_.host.discard(target, name, plan().limit.operation));
    }
    return {};
}

/// The snapshots of this transaction, or one of those that stand in the way of an undo.
core::finished transaction::discard(const std::string& target) {
    const bool own = std::ranges::find(plan().discards, target) == plan().discards.end();
    const auto& name = own ? snapshot_name() : target;
    auto f = repeated({core::act::discard, target}, discard_from(own ? std::vector{target} : plan().targets, name));
    if (f.how == core::result::failed) {
        const core::incus_commands incus(plan().instance, plan().project);
        emit(core::warned{
            fmt::format("snapshot {} of {} could not be deleted ({}): `belay recover` tries again, or `{}`", name,
                        target == "root" || !own ? "instance " + plan().instance : "volume " + target,
                        core::describe(f.why), incus.snapshot("delete", own ? target : "root", name))});
    }
    return f;
}

/// What was written about the instance, where the restore has lost it: snapshots of Incus 6.0.4 have no description.
std::optional<std::string> transaction::lost_description(const ports::examined& now) const {
    const auto& before = state().facts;
    const bool is_lost = before && !before->description.empty() && now.facts.description.empty();
    return is_lost && state().ok(core::act::restore, "root") ? std::optional(before->description) : std::nullopt;
}

/// Takes the keys off, as far as they are ours. The witness of a restore stays while the journal does not know of it.
/// What the restore has lost is put back along with that: it can wait until the instance runs.
core::finished transaction::unlock() {
    if (!held_) {
        return {}; // another belay of this host holds the instance: nothing on it is ours
    }
    const auto what = [&](const ports::examined& now) {
        ports::instance_change wanted{{}, lost_description(now)};
        if (is_ours(now)) {
            wanted.keys[std::string(core::lock_key_name)] = "";
        }
        if (unwritten_.empty() && now.restored == request_.txn) {
            wanted.keys[std::string(core::restored_key_name)] = "";
        }
        return wanted;
    };
    auto f = repeated({core::act::unlock, {}}, write(what));
    if (f.how == core::result::failed) {
        emit(
            core::warned{fmt::format("the lock of instance {} could not be taken off ({}): `belay recover` tries again",
                                     plan().instance, core::describe(f.why))});
    }
    return f;
}

} // namespace belay::run
