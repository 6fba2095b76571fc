// SPDX-License-Identifier: Apache-2.0
// What a restore would change in the settings of an instance, in words.
#pragma once
#include <map>
#include <string>
#include <vector>

namespace belay::core {

using settings = std::map<std::string, std::string>;

/// A line for each configuration key and device that differs: "config limits.memory: 2GiB -> 1GiB", "device eth1: goes
/// away", "device data: comes back". Left out is what the daemon (volatile.*) and belay (user.belay.*) keep for
/// themselves.
std::vector<std::string> differences(const settings& config_now, const settings& config_then,
                                     const std::map<std::string, settings>& devices_now,
                                     const std::map<std::string, settings>& devices_then);

} // namespace belay::core
