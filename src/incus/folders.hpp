// SPDX-License-Identifier: Apache-2.0
// Where the daemon of this host keeps its storage pools, and what is there. Nothing can be seen without being root, or
// when the daemon runs elsewhere: that is unknown, never an error.
#pragma once
#include "core/plan.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace belay::incus {

/// `<daemon>/storage-pools/POOL/containers/[PROJECT_]NAME`, or virtual-machines; `type` as in the facts of an instance
/// (Incus, project.Instance and drivers.GetVolumeMountPath).
std::filesystem::path instance_folder(const std::filesystem::path& daemon, const std::string& pool,
                                      const std::string& type, const std::string& project, const std::string& name);

/// `<daemon>/storage-pools/POOL/custom/PROJECT_VOLUME` (Incus, project.StorageVolume).
std::filesystem::path volume_folder(const std::filesystem::path& daemon, const std::string& pool,
                                    const std::string& project, const std::string& volume);

/// How many bytes of the disk a folder takes with all that is in it: a file with several names counts once, what is
/// mounted below does not. Counting ends when it is more than `enough`. Nothing when a part of it cannot be read or
/// `limit` has passed. Follows no link, whatever is changed in it meanwhile.
std::optional<std::uint64_t> folder_size(const std::filesystem::path& folder, std::uint64_t enough,
                                         core::milliseconds limit);

/// Lets a btrfs pool free now what was deleted from it, which it does some time later otherwise (ioctl BTRFS_IOC_SYNC,
/// as `btrfs filesystem sync`): a restore into a full pool succeeds only then. Nothing happens where that cannot be
/// done.
void free_what_was_deleted(const std::filesystem::path& daemon, const std::string& pool);

} // namespace belay::incus
