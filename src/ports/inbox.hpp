// SPDX-License-Identifier: Apache-2.0
// Port: what reaches a transaction through its own process: signals, and keys of the terminal.
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

    /// Begins, or ends, to listen to a person at the terminal; nothing happens where there is none.
    virtual void listen(bool on) = 0;

    /// What the person has asked for since: to keep the upgrade or to undo it.
    virtual std::optional<core::verdict> answer() const = 0;

    /// Waits so long, or until the token stops. Cannot fail.
    virtual void wait(core::milliseconds duration, std::stop_token stop) = 0;
};

} // namespace belay::ports
