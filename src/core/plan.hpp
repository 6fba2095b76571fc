// SPDX-License-Identifier: Apache-2.0
// What a transaction was asked to do: the first line of its journal holds it, so that another process can go on with
// it.
#pragma once
#include "core/names.hpp"
#include "core/words.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace belay::core {

using std::chrono::milliseconds;

/// A health check as it was asked for; hooks and collectors of evidence are described in the same way.
struct check_spec {
    std::string name;              ///< what people see: "listening", "tcp 53", "command: curl …"
    std::string file;              ///< the executable; empty for a shell command in the guest
    std::vector<std::string> args; ///< for the executable, or the one shell command
    place where{place::guest};
    bool required{true}; ///< else it only warns
    milliseconds timeout{30'000};

    bool operator==(const check_spec&) const = default;
};

/// The command that is the upgrade, and how it is run in the instance.
struct command_spec {
    std::vector<std::string> argv;
    std::vector<std::string> env_names; ///< names only: values are never written anywhere
    std::optional<unsigned> user{};
    std::optional<unsigned> group{};
    std::string cwd{};
    bool interactive{false};

    bool operator==(const command_spec&) const = default;
};

/// Limits of time. Each is a duration; the driver makes deadlines of them.
struct limits {
    milliseconds upgrade{std::chrono::hours(1)};
    milliseconds retry_for{60'000};
    milliseconds soak{10'000};
    milliseconds stop{10'000};                        ///< for the graceful stop; 0 forces
    milliseconds daemon_wait{120'000};                ///< how long a daemon that is away is waited for
    milliseconds rollback_retry{30'000};              ///< how long a stop, restore or start that fails is repeated
    milliseconds operation{std::chrono::minutes(30)}; ///< for one operation of the daemon that is under way
    milliseconds confirm{};                           ///< how long a confirmation is waited for, in wall time
    milliseconds evidence{5'000};                     ///< for all that is saved before a rollback; 0 saves nothing
    milliseconds restart{std::chrono::minutes(5)};    ///< for a restart, until the instance has booted
    milliseconds hook{60'000};                        ///< for a command that is a hook
    milliseconds busy{120'000}; ///< how long somebody else's operation on the instance is waited for

    bool operator==(const limits&) const = default;
};

/// What tells people about the end of a transaction: a shell command on the host, with the report on its standard
/// input.
struct notice {
    std::string event; ///< "committed", "rolled-back", "stuck", "refused"
    std::string command;

    bool operator==(const notice&) const = default;
};

struct plan {
    std::string instance;
    std::string project{"default"};
    command_spec command;
    std::vector<check_spec> checks;
    std::vector<std::string> expect_lost; ///< globs of findings that may be lost
    std::vector<std::string> uncovered;   ///< paths of disks that the snapshot does not cover, accepted one by one
    bool accept_unhealthy{false};
    limits limit;
    restart_policy restart{restart_policy::never};
    snapshot_mode mode{snapshot_mode::automatic};
    std::optional<std::vector<std::string>> volumes{}; ///< those that go with the instance; nothing: every one
    std::vector<check_spec> pre{};                     ///< hooks before anything is touched
    std::vector<check_spec> quiesce{};                 ///< hooks before the snapshots
    std::vector<check_spec> resume{};                  ///< hooks after them, whatever became of them
    std::vector<notice> notices{};
    std::vector<check_spec> collectors{};    ///< what is saved before a rollback; like checks, but not judged
    std::optional<std::uint64_t> min_free{}; ///< bytes that must be free in each pool
    milliseconds keep_for{};                 ///< life of the snapshot of a kept upgrade; 0: for ever
    int keep{0};                             ///< how many of those an instance has at most; 0: any number

    // What the table of phases depends on. The first three follow from the instance (see coverage.hpp).
    std::vector<std::string> targets{"root"}; ///< what is snapshotted, in this order; restored in the other
    bool pauses{false};                       ///< several disks must be of one moment, or it is wanted
    bool guards_schedule{false};              ///< a driver restores only its newest snapshot
    bool confirms{false};
    bool saves_evidence{false};
    bool keeps_failed{false};    ///< a copy of the broken state is kept
    bool lists_packages{false};  ///< before and after the command
    bool drops_unchanged{false}; ///< no package changed: the snapshot goes
    bool retains{false};         ///< on commit the snapshot gets an expiry, and older ones go

    // A transaction that undoes a kept upgrade, instead of a new one.
    bool undoes_kept{false};
    std::string undoes{};                ///< the transaction whose upgrade is undone
    std::string restores{};              ///< the snapshot that is restored; empty: this transaction's own
    bool takes_present{false};           ///< first a snapshot of the present, the way back
    bool takes_over{false};              ///< the lock of `undoes` is on the instance, and its journal is gone
    std::vector<std::string> discards{}; ///< newer snapshots of belay that stand in the way of the restore

    /// Whether something in the instance is to wait while its snapshots are taken.
    bool quiesces() const { return !quiesce.empty() || !resume.empty(); }

    bool operator==(const plan&) const = default;
};

/// The snapshot that a rollback of the transaction restores.
inline std::string restored_snapshot(const plan& how, const std::string& txn) {
    return how.restores.empty() ? snapshot_name(txn) : how.restores;
}

} // namespace belay::core
