// SPDX-License-Identifier: Apache-2.0
// What is known of the storage drivers of Incus beyond what their API says.
#pragma once
#include <algorithm>
#include <array>
#include <string_view>

namespace belay::core {

/// Whether a driver restores only the newest snapshot of an instance (Incus documentation, "Storage drivers": zfs says
/// so, linstor, truenas and lvmcluster behave so).
constexpr bool restores_only_newest(std::string_view driver) {
    constexpr std::array<std::string_view, 4> such{"zfs", "linstor", "truenas", "lvmcluster"};
    return std::ranges::find(such, driver) != such.end();
}

/// Whether a driver makes and restores snapshots without copying files, so that no copying program of a daemon that
/// died can be left behind.
constexpr bool never_copies(std::string_view driver) {
    constexpr std::array<std::string_view, 5> such{"btrfs", "zfs", "ceph", "linstor", "truenas"};
    return std::ranges::find(such, driver) != such.end();
}

/// Whether an instance goes on while a driver takes its snapshot: others copy, and keep it frozen meanwhile.
constexpr bool never_freezes(std::string_view driver) {
    return driver == "btrfs" || driver == "zfs";
}

/// Whether the settings of a pool make a difference (obstacles.hpp); those of a driver that is not known may. Elsewhere
/// the driver is all that need be known.
constexpr bool settings_matter(std::string_view driver) {
    return driver != "btrfs" && driver != "dir";
}

} // namespace belay::core
