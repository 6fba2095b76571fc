// SPDX-License-Identifier: Apache-2.0
// Port: exclusion between the belays of this host, and what its journals know of other transactions.
#pragma once
#include "core/lock_rule.hpp"
#include "core/retention.hpp"

#include <memory>

namespace belay::ports {

/// Held as long as it lives.
class held_lock {
public:
    virtual ~held_lock() = default;
};

class locks {
public:
    virtual ~locks() = default;

    /// Takes this host's lock on an instance, without waiting. Errors: locked (names the transaction that holds it),
    /// io_error.
    virtual core::expected<std::unique_ptr<held_lock>> take(const std::string& server, const std::string& project,
                                                            const std::string& instance, const std::string& txn) = 0;

    /// Who this process is, as the holder of the transaction's lock key.
    virtual core::lock_holder self(const std::string& txn) const = 0;

    /// What the journals of this state directory know of a transaction, as far as the instance `uuid` is concerned.
    virtual core::journal_knowledge knowledge(const std::string& txn, const std::string& uuid) const = 0;

    /// Whether another transaction of this state directory has held the lock of the instance `uuid` since this one
    /// began.
    virtual bool locked_since(const std::string& txn, const std::string& uuid) const = 0;

    /// What the journals of this state directory know of these transactions, and of every undo of an upgrade of the
    /// instance that began later than the oldest of them. One whose journal cannot be read counts as open; one that has
    /// none is left out.
    virtual std::vector<core::past_run> past(const std::vector<std::string>& txns, const std::string& project,
                                             const std::string& instance) const = 0;

    /// Whether the process of a lock key of this machine still runs.
    virtual bool alive(const core::lock_holder& holder) const = 0;
};

} // namespace belay::ports
