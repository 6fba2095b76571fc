// SPDX-License-Identifier: Apache-2.0
// Port clock: the kernel's clocks.
#pragma once
#include "ports/clock.hpp"

namespace belay::cli {

class system_clock : public ports::clock {
public:
    core::milliseconds monotonic() const override;
    core::wall_time wall() const override;
    double boottime() const override;
};

} // namespace belay::cli
