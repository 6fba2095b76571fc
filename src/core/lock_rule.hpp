// SPDX-License-Identifier: Apache-2.0
// Who holds an instance: reads the lock key on it and decides whether it still means anything.
#pragma once
#include "core/error.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace belay::core {

/// The configuration key that marks an instance as being in a transaction.
inline constexpr std::string_view lock_key_name = "user.belay.transaction";

/// The configuration key that says which transaction's restore succeeded. It is written only when the journal cannot
/// be: then the instance itself is the witness. A restore of the instance takes it away by itself.
inline constexpr std::string_view restored_key_name = "user.belay.restored";

/// The process that holds a lock. A boot ID tells a process from another one of the same number after a restart.
struct lock_holder {
    std::string txn;
    std::string machine_id;
    std::string boot_id;
    long pid{};

    bool operator==(const lock_holder&) const = default;
};

/// `<txn> <machine-id> <boot-id> <pid>`
std::string to_text(const lock_holder& holder);

std::optional<lock_holder> parse_lock(std::string_view text);

/// What this host's journal knows of the transaction that a key names.
enum class journal_knowledge {
    unknown,        ///< no such transaction in this state directory
    open,           ///< begun, not ended, and no process works on it
    running,        ///< a process of this host works on it
    waiting,        ///< not ended, and waits for a confirmation
    closed,         ///< ended: a restore or a copy brought the key back
    stuck,          ///< ended without a known state: the lock stays on purpose
    other_instance, ///< it was about an instance with another uuid: this one is a copy
};

enum class lock_state { free, ours, stale, held };

struct lock_opinion {
    lock_state how{lock_state::free};
    error why{};           ///< held: the refusal, with what to do
    std::string warning{}; ///< stale: what is replaced, and why that is right
};

/// Whose lock the value of the key is, as seen by a transaction of a machine.
lock_owner owner_of(std::string_view text, const std::string& txn, const std::string& machine_id);

/// Decides about the value of the key on `instance`. `process_alive` says whether the key's process runs (same boot
/// and number); since this host's flock already excludes every live belay that shares the state directory, it chooses
/// the words. `takes_over` names a transaction whose lock the asker may replace when its process is gone, although no
/// journal knows it any more; empty for none.
lock_opinion judge_lock(std::string_view text, const lock_holder& self, const std::string& instance,
                        journal_knowledge known, bool process_alive, const std::string& takes_over = {});

} // namespace belay::core
