// SPDX-License-Identifier: Apache-2.0
// What happens in a transaction, as values. The journal is these events, the state is their fold, and every view of a
// transaction (terminal, jsonl, report, recovery) reads this one stream.
#pragma once
#include "core/error.hpp"
#include "core/plan.hpp"
#include "core/report.hpp"

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace belay::core {

using wall_time = std::chrono::sys_time<std::chrono::milliseconds>;

/// An act and what it is done to: `{snapshot, "root"}`. Acts that are about the instance as a whole have no target.
struct key {
    act what{};
    std::string target{};

    auto operator<=>(const key&) const = default;
};

/// A disk device of the instance, and whether a snapshot of the instance holds what is on it.
struct disk {
    std::string device; ///< its name in the configuration
    std::string path;   ///< where it is mounted in the instance; empty for a block volume
    std::string source; ///< pool/volume or host path
    bool covered{};     ///< a snapshot of the instance holds it: the root disk, or a dependent volume
    bool read_only{};
    std::string pool{};                    ///< of a custom volume
    std::string volume{};                  ///< its name; empty for any other disk
    std::string driver{};                  ///< of that pool
    std::vector<std::string> users{};      ///< other instances that the volume is attached to
    std::optional<std::string> schedule{}; ///< `snapshots.schedule` of the volume itself

    bool operator==(const disk&) const = default;
};

/// What preflight found out about the instance; everything that a later recovery must compare with.
struct instance_facts {
    std::string uuid;         ///< `volatile.uuid`: a copy or a new instance of the same name has another one
    std::string generation{}; ///< `volatile.uuid.generation`: changes with every restore
    std::string server;       ///< fingerprint of the daemon's certificate
    std::string type;         ///< container or virtual-machine
    std::string pool;
    std::string driver;
    std::string last_used_at; ///< changes with every start of the instance
    bool running{};
    bool ephemeral{};
    std::vector<disk> disks;
    std::optional<std::string> schedule{}; ///< `snapshots.schedule` of the instance itself, without its profiles
    std::string effective_schedule{};      ///< the same, profiles included; empty when nothing is scheduled
    std::string location{};                ///< the cluster member that it is on; empty without a cluster
    std::string description{};             ///< what people wrote about it

    bool operator==(const instance_facts&) const = default;
};

/// How the upgrade command ended.
struct command_end {
    int exit_code{}; ///< 128+n for a signal, as `incus exec` reports it
    std::uint64_t output_bytes{};

    bool operator==(const command_end&) const = default;
};

// Journalled events.

/// Who writes this journal is in it too, so that a reader can tell a running transaction from an interrupted one.
struct opened {
    plan how;
    long pid{};
    std::string boot_id{};
    std::vector<reading> baseline{}; ///< of the upgrade that is undone, if it is one that was kept
};

/// The intent to do an act. `until` is the wall time at which a confirmation ends, the one limit that outlives a
/// process.
struct started {
    key what;
    int attempt{1};
    std::optional<wall_time> until{};
};

struct finished {
    key what;
    int attempt{1};
    result how{result::ok};
    error why{}; ///< empty when ok
    double seconds{};
    std::optional<instance_facts> facts{};  ///< preflight, lock: what was examined
    std::vector<reading> checks{};          ///< baseline, verify, reverify: the last round
    std::vector<judged> judgements{};       ///< verify, reverify: the last round against the baseline
    std::optional<command_end> command{};   ///< upgrade
    std::optional<double> down_seconds{};   ///< restart: how long the instance was down; absent when it was not needed
    std::optional<package_diff> packages{}; ///< verify, evidence, a failed upgrade: what the command changed
    std::vector<std::string> evidence{};    ///< evidence: the files that were saved
    std::string copy{};                     ///< keep-failed: the instance that holds the broken state
    std::optional<wall_time> expires{};     ///< keep: when the snapshot expires; absent for never
    std::vector<std::string> removed{};     ///< keep: older snapshots that were deleted
};

struct decided {
    verdict what{};
};

/// Something from outside ended the undecided part between two acts: a signal, or a state directory that cannot be
/// written.
struct interrupted {
    error why;
};

/// Worth a person's attention, without influence on the outcome.
struct warned {
    std::string message;
};

/// The process that wrote the line before is gone, and another one goes on.
struct resumed {
    long pid{};
    std::string boot_id;
};

/// What the host said after `resumed`.
struct observed {
    bool settled{};                    ///< it could be asked, and no operation of the dead process is under way
    lock_owner lock{lock_owner::ours}; ///< whose lock the instance carries
    bool restored{}; ///< the instance itself says that its restore succeeded, whatever the journal holds
    bool by_hand{};  ///< that restore was somebody's, who also took the lock off
    error why{};     ///< not settled: the reason
    bool volumes{};  ///< restored: those of its volumes succeeded as well
};

struct closed {
    report summary;
};

// Transient events: shown, never journalled, never folded.

/// A piece of the command's output, raw.
struct output {
    enum class stream { out, err };
    stream from{stream::out};
    std::string bytes;
};

/// One round of checks within an act.
struct checked {
    key what;
    int attempt{1};
    std::vector<judged> judgements;
};

/// The checks pass and must stay good for so long.
struct soaking {
    key what;
    double seconds_left{};
};

using event = std::variant<opened, started, finished, decided, interrupted, warned, resumed, observed, closed, output,
                           checked, soaking>;

/// An event with its envelope, the unit of the stream.
struct record {
    static constexpr int version = 1;

    int v{version};
    std::uint64_t seq{};
    wall_time time{};
    double boottime{}; ///< seconds since boot, suspended time included (CLOCK_BOOTTIME)
    std::string txn;
    std::string instance;
    event what;
};

/// The word in the envelope: "started", "finished", …
std::string_view type_of(const event& e);

/// The target in the envelope; empty when the event has none.
std::string target_of(const event& e);

/// Whether an event is shown only, and neither journalled nor folded.
bool transient(const event& e);

/// Whether an event must be on disk before the transaction goes on. This is the one place that knows: the intent before
/// an act that changes something, the result of a snapshot and of a restore, every decision and outcome.
bool durable(const event& e);

} // namespace belay::core
