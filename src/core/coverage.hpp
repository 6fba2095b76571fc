// SPDX-License-Identifier: Apache-2.0
// What a snapshot of the instance covers, and what must be snapshotted beside it.
#pragma once
#include "core/event.hpp"

namespace belay::core {

/// What becomes of a disk in a rollback.
enum class coverage {
    instance,  ///< the instance's own snapshot holds it
    volume,    ///< a custom volume that is snapshotted and restored with the instance
    read_only, ///< nothing in the instance can change it
    left_out,  ///< a custom volume that --volumes leaves out
    shared,    ///< a custom volume that another instance uses too
    outside    ///< a path or a device of the host
};

coverage coverage_of(const disk& d, const plan& how);

/// Whether a rollback leaves nothing of what was written to such a disk.
bool goes_back(coverage what);

/// The same in words: "shared with web2". Names are as they are.
std::string words_for(coverage what, const disk& d);

/// Whether a rollback leaves what was written to the disk, and nobody has accepted that.
bool uncovered(const disk& d, const plan& how);

/// ` --uncovered /srv`, for each disk that is not; empty when none is.
std::string uncovered_options(const instance_facts& facts, const plan& how);

/// What --uncovered names: the path in the instance, or the device where there is no path (block volumes).
std::string name_of(const disk& d);

/// The target that a custom volume is for a transaction: `POOL/VOLUME`. The instance itself is "root".
std::string target_of(const disk& d);

/// The pool and the volume of such a target; the volume is empty for "root".
struct volume_name {
    std::string pool;
    std::string volume;
};

volume_name volume_of(const std::string& target);

/// The names in the plan's list of volumes that are no volume of the instance.
std::vector<std::string> unknown_volumes(const plan& how, const instance_facts& facts);

/// Whether snapshots of a target are taken by a schedule on storage that restores only its newest snapshot: then the
/// schedule must be off while a transaction may have to restore one.
bool guarded(const std::string& target, const instance_facts& facts);

/// `snapshots.schedule` as it was set on the target itself before the transaction; nothing when it was not.
std::optional<std::string> schedule_of(const std::string& target, const instance_facts& facts);

/// The storage driver of a target; empty when it is not known.
std::string driver_of(const std::string& target, const instance_facts& facts);

/// Whether only the newest snapshot of a target can be restored: for its driver, or because a dependent volume goes
/// with the instance (Incus, storage/backend.go, RestoreInstanceSnapshot).
bool restores_only_newest(const std::string& target, const instance_facts& facts);

/// Fills in what of the plan follows from the instance: the targets, whether it is paused, whether a schedule must be
/// guarded. An undo of a kept upgrade has its targets from that one.
void settle(plan& how, const instance_facts& facts);

/// The name of the instance that keeps the broken state.
std::string failed_copy_name(const std::string& instance, const std::string& txn);

} // namespace belay::core
