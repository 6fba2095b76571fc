// SPDX-License-Identifier: Apache-2.0
// Looks at a directory of belay's state: rights, room, whether its file system has locks. Makes nothing that stays.
#pragma once
#include "core/host_rules.hpp"

#include <filesystem>

namespace belay::journal {

/// What there is to know of it, as the calling process finds it. Whether locks work is tried with a file without a name
/// (O_TMPFILE), or where there is no such thing one that is deleted at once; only where it can be written to.
core::directory_facts survey(const std::filesystem::path& directory);

} // namespace belay::journal
