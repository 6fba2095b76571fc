// SPDX-License-Identifier: Apache-2.0
// Threads where there may be none to be had: a limit of the system or of a cgroup (pids.max) is reached.
#pragma once
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace belay::checks {

/// Begins work on a thread of its own, the last of `threads`. False when none is to be had.
template <class Work>
bool begin_thread(std::vector<std::jthread>& threads, Work work) {
    try {
        threads.emplace_back(std::move(work));
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

} // namespace belay::checks
