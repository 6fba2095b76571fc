// SPDX-License-Identifier: Apache-2.0
// The vocabulary of belay: every enumeration that people and programs see, and its words. The words are a stable
// interface (reports, journals, exit codes); enumerators may be renamed, words may not.
#pragma once
#include <array>
#include <optional>
#include <string_view>

namespace belay::core {

/// What a transaction can do, in the order of the table of phases. What stands up to `confirm` belongs to the undecided
/// part of a transaction; what comes after serves a verdict.
enum class act {
    preflight,
    lock,
    baseline,
    pre,
    quiesce,
    pause,
    snapshot,
    unpause,
    resume,
    schedule_off,
    upgrade,
    restart,
    verify,
    confirm,
    evidence,
    stop,
    keep_failed,
    restore,
    start,
    reverify,
    schedule_on,
    keep,
    discard,
    unlock
};

/// How an attempt at an act ended. `again`: it failed for now, and the driver still has time to try once more.
enum class result { ok, failed, timed_out, cancelled, again };

/// What was decided about the upgrade: keep it, restore the snapshot, or give up before anything was changed.
enum class verdict { commit, undo, refuse };

/// How a transaction ended, and so in which state the instance is.
enum class outcome { committed, unchanged, rolled_back, rolled_back_unhealthy, refused, stuck };

/// Why a transaction ended as it did. `usage` is for errors that end belay before there is a transaction.
enum class reason {
    ok,
    command_failed,
    check_failed,
    timeout,
    interrupted,
    instance_went_down,
    daemon_lost,
    baseline_bad,
    locked,
    not_found,
    not_running,
    ephemeral,
    no_permission,
    no_daemon,
    no_space,
    uncovered,
    not_restorable,
    snapshot_failed,
    restart_failed,
    no_confirm,
    io_error,
    restore_failed,
    start_failed,
    hook_failed,
    usage
};

/// What one run of a health check said. `none`: it did not run.
enum class health { pass, fail, skip, not_yet, none };

/// Where a health check runs.
enum class place { guest, host };

/// Whose lock an instance carries, as seen from one transaction.
enum class lock_owner { ours, nobody, other };

/// When belay restarts the instance after the upgrade.
enum class restart_policy { never, if_needed, always };

/// What the instance does while its snapshots are taken: it runs, it is frozen, or it is stopped cleanly and started
/// again. `automatic` is paused when there are volumes, so that all disks are of one moment, else live.
enum class snapshot_mode { automatic, live, paused, stopped };

namespace detail {
template <class Enum, std::size_t N>
using words = std::array<std::string_view, N>;

inline constexpr words<act, 24> act_words{
    "preflight",   "lock",         "baseline", "pre",      "quiesce",     "pause",   "snapshot", "unpause",
    "resume",      "schedule-off", "upgrade",  "restart",  "verify",      "confirm", "evidence", "stop",
    "keep-failed", "restore",      "start",    "reverify", "schedule-on", "keep",    "discard",  "unlock"};
inline constexpr words<result, 5> result_words{"ok", "failed", "timed-out", "cancelled", "again"};
inline constexpr words<verdict, 3> verdict_words{"commit", "undo", "refuse"};
inline constexpr words<outcome, 6> outcome_words{"committed", "unchanged", "rolled-back", "rolled-back-unhealthy",
                                                 "refused",   "stuck"};
inline constexpr words<reason, 25> reason_words{"ok",
                                                "command-failed",
                                                "check-failed",
                                                "timeout",
                                                "interrupted",
                                                "instance-went-down",
                                                "daemon-lost",
                                                "baseline-bad",
                                                "locked",
                                                "not-found",
                                                "not-running",
                                                "ephemeral",
                                                "no-permission",
                                                "no-daemon",
                                                "no-space",
                                                "uncovered",
                                                "not-restorable",
                                                "snapshot-failed",
                                                "restart-failed",
                                                "no-confirm",
                                                "io-error",
                                                "restore-failed",
                                                "start-failed",
                                                "hook-failed",
                                                "usage"};
inline constexpr words<health, 5> health_words{"pass", "fail", "skip", "not-yet", "none"};
inline constexpr words<place, 2> place_words{"guest", "host"};
inline constexpr words<lock_owner, 3> lock_owner_words{"ours", "nobody", "other"};
inline constexpr words<restart_policy, 3> restart_policy_words{"never", "if-needed", "always"};
inline constexpr words<snapshot_mode, 4> snapshot_mode_words{"automatic", "live", "paused", "stopped"};

constexpr const auto& words_of(act) {
    return act_words;
}

constexpr const auto& words_of(result) {
    return result_words;
}

constexpr const auto& words_of(verdict) {
    return verdict_words;
}

constexpr const auto& words_of(outcome) {
    return outcome_words;
}

constexpr const auto& words_of(reason) {
    return reason_words;
}

constexpr const auto& words_of(health) {
    return health_words;
}

constexpr const auto& words_of(place) {
    return place_words;
}

constexpr const auto& words_of(lock_owner) {
    return lock_owner_words;
}

constexpr const auto& words_of(restart_policy) {
    return restart_policy_words;
}

constexpr const auto& words_of(snapshot_mode) {
    return snapshot_mode_words;
}
} // namespace detail

/// The word of an enumerator: `to_word(act::schedule_off)` is "schedule-off".
template <class Enum>
constexpr std::string_view to_word(Enum value) {
    return detail::words_of(value)[static_cast<std::size_t>(value)];
}

/// The enumerator of a word; nothing when there is no such word.
template <class Enum>
constexpr std::optional<Enum> from_word(std::string_view word) {
    const auto& words = detail::words_of(Enum{});
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == word) {
            return static_cast<Enum>(i);
        }
    }
    return std::nullopt;
}

/// belay's exit code for an outcome: it says in which state the instance is.
constexpr int exit_code(outcome how) {
    switch (how) {
    case outcome::committed:
    case outcome::unchanged:
        return 0;
    case outcome::rolled_back:
        return 1;
    case outcome::refused:
        return 3;
    case outcome::rolled_back_unhealthy:
        return 4;
    case outcome::stuck:
        return 5;
    }
    return 5;
}

/// The same for a transaction that undoes a kept upgrade: there the old state is what was asked for.
constexpr int exit_code_of_undo(outcome how) {
    return how == outcome::rolled_back ? 0 : exit_code(how);
}

/// belay's exit code for an invocation that was refused before there was a transaction.
inline constexpr int usage_exit_code = 2;

} // namespace belay::core
