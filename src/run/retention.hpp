// SPDX-License-Identifier: Apache-2.0
// Finds and deletes the old snapshots of an instance by the rule of core/retention.hpp: at the end of every upgrade
// that is kept, and for `belay prune`.
#pragma once
#include "ports/host.hpp"
#include "ports/locks.hpp"

#include <map>

namespace belay::run {

/// Whose snapshots are looked at.
struct subject {
    std::string project;
    std::string instance;
    std::string uuid;
    std::vector<std::string> volumes{}; ///< targets that may have snapshots which those of the instance do not tell of
    std::string own{};                  ///< a transaction that is about to end as kept; empty for none
};

/// A snapshot that goes.
struct old_snapshot {
    std::string txn;
    std::string target;
    std::string name;
    core::standing how{}; ///< of its transaction

    bool operator==(const old_snapshot&) const = default;
};

/// The snapshots of each target.
using listing = std::map<std::string, std::vector<core::snapshot_entry>>;

struct found_old {
    int keep{}; ///< the number that was applied; 0: any
    std::vector<old_snapshot> snapshots;
};

/// The snapshots that go when so many kept upgrades are to have one; without a number as many as the newest kept
/// upgrade asked for. Those of a transaction are side by side, the instance's own last. `known` is not asked for again.
/// Changes nothing. Errors: not_found, no_permission, no_daemon, io_error.
core::expected<found_old> find_old(ports::host& host, const ports::locks& locks, const subject& whose,
                                   std::optional<int> keep, listing known = {});

struct removal {
    old_snapshot what;
    std::optional<core::error> problem{}; ///< why it is still there
};

/// Deletes them. Only for the holder of the instance's lock. After a failure the other snapshots of that transaction
/// stay as well: through the one of the instance the next attempt finds them.
std::vector<removal> remove_old(ports::host& host, const std::vector<old_snapshot>& old, core::milliseconds limit);

/// The volumes attached to an instance, as targets.
std::vector<std::string> volumes_of(const core::instance_facts& facts);

} // namespace belay::run
