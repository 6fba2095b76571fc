// SPDX-License-Identifier: Apache-2.0
// Port: the clocks. Deadlines are made of the monotonic one; the others are data for people and for the journal.
#pragma once
#include "core/event.hpp"

namespace belay::ports {

class clock {
public:
    virtual ~clock() = default;

    /// Time since some fixed moment; never jumps (CLOCK_MONOTONIC).
    virtual core::milliseconds monotonic() const = 0;

    /// Time of day (UTC).
    virtual core::wall_time wall() const = 0;

    /// Seconds since boot, suspended time included (CLOCK_BOOTTIME).
    virtual double boottime() const = 0;
};

} // namespace belay::ports
