// SPDX-License-Identifier: Apache-2.0
// Why a snapshot could not be taken, or not be restored: looked for before anything is touched. What could not be read
// (a right is missing, the server is not this host) is unknown, and the unknown is no obstacle.
#pragma once
#include "core/event.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace belay::core {

/// How full a storage pool is, in bytes.
struct pool_space {
    std::uint64_t total{};
    std::uint64_t used{};

    std::uint64_t free() const { return used < total ? total - used : 0; }

    bool operator==(const pool_space&) const = default;
};

/// A storage pool that holds a target.
struct pool_seen {
    std::string name;
    std::string driver{};
    std::map<std::string, std::string> config{};
    std::optional<pool_space> space{};
};

/// How the daemon describes a pause that is under way (Incus, operationtype.Type.Description).
inline constexpr const char* freezing_operation = "Freezing instance";

/// What a transaction snapshots.
struct target_seen {
    std::string target; ///< "root" or POOL/VOLUME
    std::string pool;
    std::optional<std::uint64_t> size{}; ///< bytes of a whole copy; at least so many, when that already is too much
    std::string leftover{};              ///< path of what a restore that was cut short left beside it
};

/// One of the limits of a project (`GET /1.0/projects/P/state`).
struct project_limit {
    std::int64_t limit{-1}; ///< negative: none
    std::int64_t usage{};
    std::int64_t copy{}; ///< what one more instance like this one would add

    bool operator==(const project_limit&) const = default;
};

/// What was read of the project.
struct project_seen {
    bool restricted{};
    std::string snapshots{};                       ///< `restricted.snapshots`
    std::map<std::string, project_limit> limits{}; ///< by configuration key; only where the instance is to be copied
};

/// What was read of what surrounds the instance.
struct surroundings {
    project_seen project{};
    std::vector<pool_seen> pools{};
    std::vector<target_seen> targets{};
    std::string member_status{};            ///< of the cluster member that the instance is on; empty without a cluster
    std::optional<std::string> under_way{}; ///< what an operation that did not end in time says that it is
};

/// Whether a snapshot takes as much room as what it is a snapshot of, from its first moment: driver dir copies the
/// files, and without a thin pool (never one on lvmcluster) LVM reserves all of the volume's size (drivers dir
/// CreateVolumeSnapshot, lvm createLogicalVolumeSnapshot "100%ORIGIN").
bool copies_whole(const pool_seen& pool);

/// Whether a copy of an instance leaves an internal snapshot on it, newer than those that Incus knows, which nothing
/// but the deletion of the copy takes away: its own newest snapshot cannot be restored then (drivers zfs and truenas,
/// CreateVolumeFromCopy and CanRestoreVolume, unless `clone_copy` is off; linstor clones likewise). A copy on
/// lvmcluster is a whole one and leaves nothing.
bool copy_blocks_restore(const pool_seen& pool);

/// What must stay free in a pool: as the plan says, else a tenth of the pool, but at most 1 GiB.
std::uint64_t reserve_in(const pool_space& space, const plan& how);

/// Whether it depends on the sizes of the targets if the plan fits into the pool. It does not where nothing is copied,
/// where even the reserve is not free, and where all that is in the pool would fit once more.
bool size_decides(const pool_seen& pool, const plan& how);

/// Looks at everything that is known to keep Incus from taking or restoring the snapshots of a settled plan. Its own
/// snapshot will be the newest one, so that older ones never stand in the way. Errors: locked, not_restorable,
/// no_space; each says what to do.
expected<void> check_obstacles(const instance_facts& facts, const plan& how, const surroundings& seen);

} // namespace belay::core
