// SPDX-License-Identifier: Apache-2.0
// Going on with a transaction that another process left: what the host says is taken in, then core::next goes on.
#include "run/limits.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::run {

core::expected<core::report> transaction::resume(const std::vector<core::record>& past) {
    for (const auto& r : past) {
        chronicle_.see(r);
        world_.listener.recall(r);
        seq_ = r.seq;
    }
    if (const auto& facts = state().facts) {
        BELAY_TRY(auto, held, world_.locks.take(facts->server, plan().project, plan().instance, request_.txn));
        held_ = std::move(held);
    }
    const auto self = world_.locks.self(request_.txn);
    emit(core::resumed{self.pid, self.boot_id});
    return drive();
}

void transaction::take(const core::observe&) {
    constexpr core::milliseconds between_looks{500};
    const auto give_up = world_.clock.monotonic() + plan().limit.daemon_wait;
    auto seen = ask_host();
    while (!seen && away(seen.error()) && world_.clock.monotonic() < give_up && await_daemon()) {
        world_.inbox.wait(between_looks, {});
        seen = ask_host();
    }
    emit(seen ? *std::move(seen) : core::observed{.settled = false, .why = seen.error()});
}

/// What is true on the host, when nothing of the dead process is under way any more.
core::expected<core::observed> transaction::ask_host() {
    BELAY_TRY_VOID(world_.host.settle(plan().limit.operation));
    BELAY_TRY_VOID(examine());
    const auto& facts = state().facts;
    if (facts && facts->uuid != examined_.facts.uuid) {
        return core::failure(core::reason::not_found,
                             fmt::format("instance {} is another one than that of transaction {}: that one was deleted "
                                         "or renamed, and belay leaves this one alone",
                                         plan().instance, request_.txn));
    }
    core::observed seen{.settled = true};
    seen.lock = lock_brought_back(examined_)
                    ? core::lock_owner::ours
                    : core::owner_of(examined_.lock, request_.txn, world_.locks.self(request_.txn).machine_id);
    // A restore since then was this transaction's own, as long as it has the lock; without one it was somebody's who
    // ended the transaction by hand, unless another transaction has had the instance since.
    const bool undoes = state().goes_back();
    const bool ours = seen.lock == core::lock_owner::ours;
    seen.by_hand = seen.lock == core::lock_owner::nobody && undoes && volumes_restored() &&
                   !state().ok(core::act::restore, "root") && moved_back(examined_) &&
                   examined_.restored != request_.txn && !world_.locks.locked_since(request_.txn, examined_.facts.uuid);
    // The key is written when all is restored. A new generation speaks for the instance alone: what became of its
    // volumes only the journal knows.
    seen.volumes = examined_.restored == request_.txn;
    seen.restored = seen.volumes || seen.by_hand || (ours && undoes && moved_back(examined_));
    return seen;
}

/// Whether a restore succeeded since this transaction took its lock: Incus writes a new generation when all else is
/// done. Such a restore is never repeated: a daemon that comes up starts the instance by itself after it.
bool transaction::moved_back(const ports::examined& now) const {
    const auto& facts = state().facts;
    return facts && !facts->generation.empty() && facts->generation != now.facts.generation;
}

/// Whether the journal says of every volume that it was restored. Who restores by hand and takes the lock off leaves no
/// trace on a volume.
bool transaction::volumes_restored() const {
    return std::ranges::all_of(
        plan().targets, [&](const auto& target) { return target == "root" || state().ok(core::act::restore, target); });
}

/// Whether the lock is the one within the snapshot that this undo restores: its own restore has brought it back.
bool transaction::lock_brought_back(const ports::examined& now) const {
    const auto holder = core::parse_lock(now.lock);
    return holder && !plan().undoes.empty() && holder->txn == plan().undoes && state().decision == core::verdict::undo;
}

} // namespace belay::run
