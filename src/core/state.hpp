// SPDX-License-Identifier: Apache-2.0
// What is known about a transaction: the fold of its events. Never a position: what comes next follows from the facts.
#pragma once
#include "core/event.hpp"

#include <map>

namespace belay::core {

/// What is known of one act on one target.
struct progress {
    int attempts{0};
    std::optional<result> last{}; ///< of the last attempt that ended

    bool operator==(const progress&) const = default;
};

struct state {
    bool open{false}; ///< `opened` was seen
    plan how;
    std::map<key, progress> done;
    std::optional<key> pending;     ///< an intent whose outcome is not known
    std::optional<wall_time> until; ///< end of a confirmation
    bool not_resumed{false};        ///< before the verdict a pause, or what a hook had quiesced, could not be ended
    std::optional<verdict> decision;
    std::vector<error> why; ///< the first one is the reason of the outcome; later ones did not help
    std::optional<outcome> end;
    bool stale{false};                 ///< the process changed: the host must be asked before anything else
    bool unsettled{false};             ///< it was asked, and had no answer
    lock_owner lock{lock_owner::ours}; ///< as it was last observed
    bool by_hand{false};               ///< somebody restored the snapshot and took the lock off
    std::optional<instance_facts> facts;
    std::optional<package_diff> packages; ///< what the command changed, when it is known
    std::vector<reading> baseline;

    /// Whether an attempt was begun, whatever came of it.
    bool tried(act what, const std::string& target = {}) const;

    /// Whether the last attempt succeeded.
    bool ok(act what, const std::string& target = {}) const;

    /// Whether every target has a snapshot that was seen to succeed.
    bool snapshots_complete() const;

    /// Whether every target was restored.
    bool restored() const;

    /// Whether it is undone, or would be if it failed now: when the upgrade, or what would have led to it, can have
    /// touched the instance, and there is a whole snapshot to go back to. One that was not seen to succeed is never
    /// restored. A process that goes on from the journal comes to the same answer, so that a verdict which could not be
    /// written down is not contradicted.
    bool goes_back() const;

    /// Whether the upgrade turned out to be none, and its snapshot is not wanted then.
    bool unchanged() const;

    /// Whether nothing is left to do but to wait for a confirmation.
    bool waits_for_confirmation() const;
};

/// Whether this is the end of an attempt that leaves the instance paused or quiesced, before the verdict.
bool failed_to_resume(const state& s, const finished& e);

/// The state after an event.
state apply(state s, const event& e);

/// The same, in place.
void fold(state& s, const event& e);

} // namespace belay::core
