// SPDX-License-Identifier: Apache-2.0
// What belay may have left behind on an instance: keys, snapshots, copies. Decides from what the daemon and the
// journals say; never says that a snapshot may go which could be somebody's only way back.
#pragma once
#include "core/findings.hpp"
#include "core/lock_rule.hpp"

#include <functional>

namespace belay::core {

/// An instance as a list of all of them shows it.
struct seen_instance {
    std::string name;
    std::string project;
    std::string uuid;     ///< `volatile.uuid`
    std::string location; ///< the cluster member; empty without a cluster
    std::string lock;     ///< value of the lock key
    std::string restored; ///< value of the key that says which transaction's restore succeeded
    std::vector<std::string> snapshots{};
    bool readable{true}; ///< one on a cluster member that is down comes without its configuration

    bool operator==(const seen_instance&) const = default;
};

/// What the journals say of a transaction.
struct journal_word {
    journal_knowledge how{journal_knowledge::unknown};
    bool keeps_snapshot{false}; ///< closed, and its snapshot was left on purpose
};

/// Who looks at the instances, and whom he can ask.
struct onlooker {
    std::string machine_id;
    bool clustered{false}; ///< other machines run belay on these instances, too
    bool sees_all{true};   ///< the journals of root, whose transactions are the ones to expect
    std::function<journal_word(const std::string& txn, const std::string& uuid)> journal;
    std::function<bool(const lock_holder& holder)> alive;
};

/// What is left over on an instance, each with the command that takes it away. A transaction that is under way, waits,
/// was interrupted or got stuck leaves nothing over: it still has its lock and its snapshot.
std::vector<finding> leftovers_of(const seen_instance& instance, const onlooker& who);

} // namespace belay::core
