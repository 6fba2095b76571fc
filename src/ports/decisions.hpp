// SPDX-License-Identifier: Apache-2.0
// Port: what was decided about a transaction that waits for a confirmation. Many may ask (another process, a person at
// the terminal, the deadline, a bad check), and the first one wins: so every end of a confirmation is published here
// before it is acted upon.
#pragma once
#include "core/decision.hpp"

#include <optional>

namespace belay::ports {

class decisions {
public:
    virtual ~decisions() = default;

    /// The decision that holds; nothing as long as there is none. Error: io_error.
    virtual core::expected<std::optional<core::decision>> read() = 0;

    /// Publishes a decision, unless there is one; returns the one that holds. Error: io_error, and then it is not
    /// published.
    virtual core::expected<core::decision> publish(const core::decision& wanted) = 0;
};

} // namespace belay::ports
