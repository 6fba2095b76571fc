// SPDX-License-Identifier: Apache-2.0
#include "core/differences.hpp"

#include <algorithm>
#include <set>

namespace belay::core {

namespace {

bool kept_by_programs(const std::string& key) {
    return key.starts_with("volatile.") || key.starts_with("user.belay.");
}

template <class Map>
std::set<std::string> keys_of(const Map& a, const Map& b) {
    std::set<std::string> keys;
    for (const auto* map : {&a, &b}) {
        for (const auto& [key, value] : *map) {
            keys.insert(key);
        }
    }
    return keys;
}

std::string shown(const settings& from, const std::string& key) {
    const auto found = from.find(key);
    return found == from.end() || found->second.empty() ? "(unset)" : found->second;
}

/// Each key that differs, behind `what`.
void add_differences(std::vector<std::string>& lines, const std::string& what, const settings& now,
                     const settings& then) {
    for (const auto& key : keys_of(now, then)) {
        const auto before = shown(now, key);
        const auto after = shown(then, key);
        if (before != after && !kept_by_programs(key)) {
            lines.push_back(what + key + ": " + before + " -> " + after);
        }
    }
}

} // namespace

std::vector<std::string> differences(const settings& config_now, const settings& config_then,
                                     const std::map<std::string, settings>& devices_now,
                                     const std::map<std::string, settings>& devices_then) {
    std::vector<std::string> lines;
    add_differences(lines, "config ", config_now, config_then);
    for (const auto& name : keys_of(devices_now, devices_then)) {
        const auto now = devices_now.find(name);
        const auto then = devices_then.find(name);
        if (then == devices_then.end()) {
            lines.push_back("device " + name + ": goes away");
        } else if (now == devices_now.end()) {
            lines.push_back("device " + name + ": comes back");
        } else {
            add_differences(lines, "device " + name + " ", now->second, then->second);
        }
    }
    return lines;
}

} // namespace belay::core
