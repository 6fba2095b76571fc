// SPDX-License-Identifier: Apache-2.0
#include "cli/clock.hpp"

#include <ctime>

namespace belay::cli {

core::milliseconds system_clock::monotonic() const {
    return std::chrono::duration_cast<core::milliseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

core::wall_time system_clock::wall() const {
    return std::chrono::floor<core::milliseconds>(std::chrono::system_clock::now());
}

double system_clock::boottime() const {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    constexpr double nanoseconds = 1e9;
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / nanoseconds;
}

} // namespace belay::cli
