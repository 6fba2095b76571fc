// SPDX-License-Identifier: Apache-2.0
// Prepares the undo of a kept upgrade: what there is to undo, whether that can work, and what would be lost. Changes
// nothing.
#pragma once
#include "cli/arguments.hpp"
#include "cli/site.hpp"

#include <string>
#include <vector>

namespace belay::cli {

/// An undo that could be done.
struct undo {
    core::plan plan;
    std::vector<core::reading> baseline{}; ///< of the upgrade; empty when its journal is gone
    ports::snapshot_facts snapshot{};
    std::vector<core::disk> uncovered{};   ///< writable disks that the snapshot does not hold
    std::vector<std::string> superseded{}; ///< the kept upgrades that are taken back, oldest first
    bool journal_is_gone{false};
};

/// Of the transaction `txn`, which was kept. Errors: not_restorable, locked, not_found, no_permission, no_daemon,
/// io_error.
core::expected<undo> undo_of_kept(const rollback_options& options, const incus_site& incus,
                                  const std::filesystem::path& state, const std::string& txn);

/// Of an upgrade whose journal is gone, from the key that the instance carries and the snapshot `belay-<txn>`. Errors:
/// as above, and usage for a name that belay does not give.
core::expected<undo> undo_without_journal(const rollback_options& options, const incus_site& incus,
                                          const std::filesystem::path& state, const std::string& project);

/// The transaction that a snapshot of belay belongs to. Error: usage, when the name is none that belay gives.
core::expected<std::string> transaction_of(const std::string& snapshot);

/// What the undo will do and what will be lost, for a person.
std::string description(const undo& what, const ports::clock& clock);

} // namespace belay::cli
