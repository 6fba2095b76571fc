// SPDX-License-Identifier: Apache-2.0
// The snapshots of many instances at once. Changes nothing.
#pragma once
#include "core/plan.hpp"
#include "core/retention.hpp"

#include <string>
#include <vector>

namespace belay::incus {

struct instance_name {
    std::string project;
    std::string name;

    auto operator<=>(const instance_name&) const = default;
};

/// The snapshots of each of these instances, in their order; one that does not exist has none. They are asked for at
/// once, in rounds of `at_once`. Errors, each for itself: no_permission, no_daemon, io_error.
std::vector<core::expected<std::vector<core::snapshot_entry>>> snapshots_of(const std::string& socket,
                                                                            const std::vector<instance_name>& which,
                                                                            core::milliseconds limit,
                                                                            std::size_t at_once = 50);

} // namespace belay::incus
