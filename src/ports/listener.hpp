// SPDX-License-Identifier: Apache-2.0
// Port: who watches the stream of events (terminal, jsonl, report).
#pragma once
#include "core/event.hpp"

namespace belay::ports {

class listener {
public:
    virtual ~listener() = default;

    /// Takes an event, after it was journalled. Called on the transaction's thread; must not throw and must not block
    /// for long: a broken pipe or a full disk on the listener's side is the listener's own affair.
    virtual void on(const core::record& r) = 0;

    /// Takes an event of the past, before a transaction goes on in another process: to know, not to show.
    virtual void recall(const core::record& r) = 0;
};

} // namespace belay::ports
