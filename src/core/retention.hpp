// SPDX-License-Identifier: Apache-2.0
// Which snapshots belay deletes: those of upgrades that were kept, when there are newer ones, and nothing else.
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
    std::string lock{};                  ///< the lock key within it; empty for a volume
    std::optional<wall_time> expires{};  ///< nothing: never

    bool operator==(const snapshot_entry&) const = default;
};

} // namespace belay::core
