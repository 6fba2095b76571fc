// SPDX-License-Identifier: Apache-2.0
// Threads where there may be none to be had: a limit of the system or of a cgroup (pids.max) is reached.
#pragma once
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace belay::ports {

/// Begins work on a thread of its own. One that is not joinable when none is to be had.
template <class Work>
std::jthread begin_thread(Work work) {
    try {
        return std::jthread(std::move(work));
    } catch (const std::system_error&) {
        return {};
    }
}

/// Likewise as the last of `threads`. False when none is to be had.
template <class Work>
bool begin_thread(std::vector<std::jthread>& threads, Work work) {
    auto one = begin_thread(std::move(work));
    const bool begun = one.joinable();
    if (begun) {
        threads.push_back(std::move(one));
    }
    return begun;
}

} // namespace belay::ports
