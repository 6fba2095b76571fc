// SPDX-License-Identifier: Apache-2.0
// A clock that only moves when something takes time, and the moments at which a test can step in.
#pragma once
#include "ports/clock.hpp"

#include <functional>
#include <string_view>

namespace belay::fakes {

using core::milliseconds;

/// Advances by what the fakes spend, and by nothing else. The time of day can jump besides.
class fake_clock : public ports::clock {
public:
    milliseconds now{1'000};
    milliseconds jumped{0};

    milliseconds monotonic() const override { return now; }

    core::wall_time wall() const override { return core::wall_time{milliseconds{1'700'000'000'000} + now + jumped}; }

    double boottime() const override { return std::chrono::duration<double>(now).count(); }
};

/// Where in a call of a fake something can happen: nothing was done yet; it was begun, and its effect is half there or
/// not safe; it is done, and the caller does not know.
enum class moment { before, midway, after };

/// What the fakes pass through. Whoever listens may throw (belay is killed), let the daemon die or turn the clock.
class moments {
public:
    std::function<void(std::string_view what, moment when)> on;

    void reach(std::string_view what, moment when) const {
        if (on) {
            on(what, when);
        }
    }
};

} // namespace belay::fakes
