// SPDX-License-Identifier: Apache-2.0
// A process of belay on a site: `belay run` (or the undo of a kept upgrade), and `belay recover`.
#pragma once
#include "crash/scenarios.hpp"

#include <cstddef>
#include <string_view>

namespace belay::crash {

/// What ends a process where it stands.
struct killed {};

/// A point between two calls, or within one, that a process passes.
struct point {
    std::size_t number{}; ///< from 1
    std::string what;
    fakes::moment when{};
};

/// Sees each point, and may throw `killed`.
using intervention = std::function<void(fakes::fake_world&, const point&)>;

intervention kill_at(std::size_t number);

struct life {
    enum class end { reported, killed, nothing_to_do, left_waiting, no_daemon, locked, ended_by_hand, no_beginning };
    end how{end::nothing_to_do};
    std::optional<core::report> report{};
    std::size_t points{0}; ///< that it passed
    std::size_t calls{0};  ///< of the host
    std::string last{};    ///< the last point, in words
};

/// Sets up the world of one process further: faults.
using preparation = std::function<void(fakes::fake_world&)>;

life run_belay(site& on, const scenario& s, const intervention& step_in = {}, const preparation& prepare = {});

/// As `belay recover` does: passes over what has ended and what waits, waits for the daemon, and goes on.
life recover(site& on, const scenario& s, const intervention& step_in = {}, const preparation& prepare = {});

std::string_view name_of(life::end how);

} // namespace belay::crash
