// SPDX-License-Identifier: Apache-2.0
// Which snapshots belay deletes: its own, of transactions that have ended, when enough newer upgrades were kept; and
// nothing else.
//
// A snapshot is belay's only if its name is belay-<txn> and the journal has that transaction for this instance (by
// `volatile.uuid`, since names come again). One of the instance must hold the key of the same transaction besides. One
// of a volume has no keys: there the journal must have its pool and volume among the targets, and it must have been
// created while the journal says that the transaction took it.
//
// The rule: walk the transactions of an instance from the newest to the oldest. Upgrades that were kept, and were not
// taken back since, count as long as the snapshot of the instance is there: that is what one can go back to. Once
// `keep` of them were passed everything older goes, of kept upgrades and of others. What a failed run left (its
// rollback was not healthy) and the present that an undo saved do not count, so that failed runs never push out the
// snapshot of a kept upgrade. The snapshots of all targets of a transaction go together. Those of a transaction that
// has not ended, or got stuck, never go: they may be the only way back.
#pragma once
#include "core/event.hpp"

#include <optional>
#include <string>
#include <vector>

namespace belay::core {

/// A snapshot of one target, as the daemon has it.
struct snapshot_entry {
    std::string name;
    wall_time created{};
    std::string lock{};                 ///< the lock key within it; empty for a volume
    std::optional<wall_time> expires{}; ///< nothing: never

    bool operator==(const snapshot_entry&) const = default;
};

/// A snapshot that the journal says was taken, and when.
struct taken_snapshot {
    std::string target;
    wall_time from{};
    wall_time to{};

    bool operator==(const taken_snapshot&) const = default;
};

/// How a transaction counts in the rule.
enum class standing {
    open,  ///< has not ended, got stuck, or cannot be read: never goes, does not count
    kept,  ///< an upgrade that was kept
    failed ///< any other end
};

/// What the journal knows of a transaction, as far as its snapshots are concerned.
struct past_run {
    std::string txn;
    std::string uuid; ///< of its instance; empty when the journal does not say
    wall_time begun{};
    standing how{standing::open};
    std::string undoes{}; ///< the upgrade that it took back, with all that were kept since; empty for none
    int keep{};           ///< how many kept upgrades it wants to have snapshots; 0: any number
    std::vector<taken_snapshot> taken{};

    bool operator==(const past_run&) const = default;
};

/// The same, from the records of its journal.
past_run past_of(const std::vector<record>& journal);

/// Whether a snapshot of a target of the instance `uuid` is the one that a transaction took.
bool took(const past_run& run, const std::string& uuid, const std::string& target, const snapshot_entry& s);

/// A transaction of an instance, and which of its targets still have its snapshot.
struct candidate {
    past_run run;
    std::vector<std::string> targets;

    bool operator==(const candidate&) const = default;
};

/// Those whose snapshots go by the rule, oldest first, out of all of an instance in any order. Runs without targets
/// only say what they took back. `keep` 0: none goes.
std::vector<candidate> outdated(std::vector<candidate> all, int keep);

} // namespace belay::core
