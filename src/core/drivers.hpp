// SPDX-License-Identifier: Apache-2.0
// What is known of the storage drivers of Incus beyond what their API says.
#pragma once
#include <array>
#include <string_view>

namespace belay::core {

/// Whether a driver restores only the newest snapshot of an instance (Incus documentation, "Storage drivers": zfs says
/// so, linstor, truenas and lvmcluster behave so).
constexpr bool restores_only_newest(std::string_view driver) {
    constexpr std::array<std::string_view, 4> such{"zfs", "linstor", "truenas", "lvmcluster"};
    for (const auto name : such) {
        if (driver == name) {
            return true;
        }
    }
    return false;
}

} // namespace belay::core
