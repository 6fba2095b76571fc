// SPDX-License-Identifier: Apache-2.0
// Copies that a daemon which died has left behind. Driver dir copies with rsync, as a child of the daemon that survives
// it; the daemon that comes after knows nothing of it.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace belay::incus {

/// The process numbers of the copies that write to an instance or to one of its snapshots, from what `proc` ("/proc")
/// says: programs named rsync whose last argument is the place (`…/storage-pools/POOL/containers/NAME`, other projects
/// `PROJECT_NAME`; Incus, drivers/generic_vfs.go). None where the command lines of others cannot be read.
std::vector<long> copies_under_way(const std::filesystem::path& proc, const std::string& pool,
                                   const std::string& project, const std::string& instance);

/// The same for a custom volume (`…/storage-pools/POOL/custom/PROJECT_VOLUME`), whose project may be the default one
/// although the instance's is not.
std::vector<long> volume_copies_under_way(const std::filesystem::path& proc, const std::string& pool,
                                          const std::string& volume);

} // namespace belay::incus
