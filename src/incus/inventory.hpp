// SPDX-License-Identifier: Apache-2.0
// All instances of a daemon, whatever their project, with what belay may have left on them. Changes nothing.
#pragma once
#include "core/leftovers.hpp"
#include "incus/operations.hpp"

#include <filesystem>

namespace belay::incus {

struct inventory {
    std::vector<core::seen_instance> instances;
    std::vector<core::error> unread; ///< instances whose snapshots could not be listed
};

/// One request for the instances, and one for each one's names of snapshots, several at once: a list with everything in
/// it (recursion=2) makes the daemon look at every disk and network. `all_projects`: else those of the project of
/// `daemon`. An instance that goes meanwhile is left out. Errors: those of operations.
core::expected<inventory> read_inventory(operations& daemon, bool all_projects, const deadline& until);

/// What a btrfs restore that was cut short has moved aside.
struct moved_instance {
    std::string pool;
    std::string project;
    std::string name;
    std::filesystem::path place; ///< where the instance belongs
    bool in_place{};             ///< something is there

    bool operator==(const moved_instance&) const = default;
};

/// Those below the daemon's folder ("/var/lib/incus"), as far as it can be read: `storage-pools/POOL/containers/NAME`,
/// or `virtual-machines`, other projects `PROJECT_NAME` (Incus, project.Instance).
std::vector<moved_instance> find_moved(const std::filesystem::path& folder);

/// Whether operations are under way that work on the instance, whoever began them. Errors: those of operations.
core::expected<bool> under_way(operations& daemon, const std::string& project, const std::string& name,
                               const deadline& until);

} // namespace belay::incus
