// SPDX-License-Identifier: Apache-2.0
// Port: what reaches a transaction from outside (signals; later also keys and decisions of other processes).
#pragma once
#include "core/event.hpp"

#include <optional>
#include <stop_token>

namespace belay::ports {

class inbox {
public:
    virtual ~inbox() = default;

    /// Stops when the transaction is asked to undo. Given to everything that may be cut short.
    virtual std::stop_token interrupts() const = 0;

    /// Why it was asked to undo; nothing as long as it was not.
    virtual std::optional<core::error> interruption() const = 0;

    /// Waits so long, or until the token stops. Cannot fail.
    virtual void wait(core::milliseconds duration, std::stop_token stop) = 0;
};

} // namespace belay::ports
