// SPDX-License-Identifier: Apache-2.0
// One round of checks in which those that are not ready are asked again: the baseline, and `belay check`.
#pragma once
#include "ports/checks.hpp"
#include "ports/clock.hpp"
#include "ports/inbox.hpp"

namespace belay::run {

/// Runs the checks; those that say "not yet" again, at first after 50 ms and then ever slower, until they say something
/// else, `retry_for` has passed or the inbox interrupts. The listing is beside the first round.
ports::round ready_round(ports::checks& checks, const std::vector<core::check_spec>& specs,
                         const std::optional<core::check_spec>& listing, const ports::hook_context& context,
                         core::milliseconds retry_for, ports::inbox& inbox, const ports::clock& clock);

/// The pauses between rounds: 50 ms, doubled each time, at most a second.
class pacing {
public:
    core::milliseconds next();

private:
    core::milliseconds pause_{50};
};

} // namespace belay::run
