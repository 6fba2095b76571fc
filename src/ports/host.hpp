// SPDX-License-Identifier: Apache-2.0
// Port: what a transaction asks of the daemon about its one instance. Every call has a limit of time; errors with
// `transient` may be tried again. Requests that change something are never cut short: their operation is awaited.
#pragma once
#include "core/event.hpp"
#include "core/retention.hpp"
#include "core/waiting_command.hpp"

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string_view>

namespace belay::ports {

using core::milliseconds;

/// What a GET of the instance said.
struct examined {
    core::instance_facts facts;
    std::string lock;                     ///< value of the lock key, empty when there is none
    std::string restored{};               ///< value of the key that says which transaction's restore succeeded
    std::string etag;                     ///< identifies this state of the instance's configuration
    std::string daemon{};                 ///< as of daemon(), when the server was first read
    std::vector<std::string> variables{}; ///< the names of those that its configuration gives to every program
};

/// What keep() did, and saw along the way.
struct kept {
    core::expected<void> expiry;                                   ///< as of set_expiry
    core::expected<std::vector<core::snapshot_entry>> snapshots{}; ///< as of list_snapshots
    core::expected<examined> now{}; ///< what the instance itself says, or said when it was proved to run, for a swap of
                                    ///< keys: no pools, server, daemon
};

/// What belay writes to the settings of the instance itself.
struct instance_change {
    std::map<std::string, std::string> keys{}; ///< of its configuration; an empty value deletes the key
    std::optional<std::string> description{};  ///< nothing: it keeps the one that it has

    bool is_nothing() const { return keys.empty() && !description; }
};

/// What a snapshot of the instance holds, and what of the present a restore of it would take back.
struct snapshot_facts {
    core::wall_time created{};
    std::string lock{};                 ///< the lock key within it
    std::vector<std::string> changes{}; ///< a line for each configuration key and device that would go back
    std::vector<std::string> missing{}; ///< what its devices need and what does not exist any more
};

/// The result of a compare-and-swap.
enum class swapped { done, lost };

/// A program to run in the instance.
struct guest_command {
    std::vector<std::string> argv;
    std::vector<std::pair<std::string, std::string>> env{};
    std::optional<unsigned> user{};
    std::optional<unsigned> group{};
    std::string cwd{};
    std::string input{};     ///< its standard input; empty: closed at once
    bool interactive{false}; ///< gets belay's terminal; nothing is captured

    bool operator==(const guest_command&) const = default;
};

/// In the environment of all that a hook starts in the instance, so that sweep() finds it.
inline constexpr const char* run_variable = "BELAY_CHECK_RUN";

/// A shell of belay's own, which does nothing before it has its script, of core::script_for_shell. Without one: to be
/// prepared. It has run_variable, so that no check counts it as a process of the instance, and no sweep ends it.
inline guest_command waiting_shell(std::string script = {}) {
    return {.argv = core::waiting_shell(), .env = {{run_variable, "waits"}}, .input = std::move(script)};
}

/// How far a program is brought before it is run.
enum class readiness {
    accepted, ///< the daemon knows it; nothing runs in the instance yet, and nothing ever does when it is not asked for
    waiting ///< it runs, and does nothing before its input comes: when its time is over, it is told that there is none
};

/// `lost`: it was started, and nobody knows how it ended.
enum class ended { exited, timed_out, cancelled, lost };

/// How a program in the instance ended. `exit_code` (128+n for a signal) means something only for `exited`.
struct guest_exit {
    ended how{ended::exited};
    int exit_code{};
    std::string why{};          ///< lost: the reason
    bool proved_running{false}; ///< a program of belay's has run in the instance since
};

using output_sink = std::function<void(core::output::stream, std::string_view)>;

/// The input of a program that waits for its turn.
struct turn {
    std::string word;
    /// If not empty, there is a core::bystander beside the program whose proof is wanted: what tells it, when the
    /// program takes longer than a few seconds, that it is not any more.
    std::string dismissal{};
};

/// A program that was begun without its input. When this goes it is told that there will be none, or killed if it has
/// not come so far.
class begun_program {
public:
    enum class progress {
        runs,  ///< it has not said yet that it waits
        waits, ///< it has: go_on() is next
        over   ///< it has ended, or cannot be reached
    };

    virtual ~begun_program() = default;

    /// Reads on, at most for `limit`, until the program waits or is over.
    virtual progress await(milliseconds limit, std::stop_token stop) = 0;

    /// What it has printed on its output before it said so.
    virtual const std::string& printed() const = 0;

    /// Once, when it waits: gives it its input, and waits for its end. As of exec. It gets nothing when a stop was
    /// requested before. The sink does not get the proof of a bystander.
    virtual core::expected<guest_exit> go_on(const turn& input, milliseconds limit, const output_sink& sink,
                                             std::stop_token stop) = 0;
};

class host {
public:
    virtual ~host() = default;

    /// Reads the instance. Changes nothing. Errors: not_found, no_permission, no_daemon.
    virtual core::expected<examined> examine(milliseconds limit) = 0;

    /// Looks for every known reason why the snapshots of a plan could not be taken, or could not be restored. Somebody
    /// else's operation on the instance is waited for, as long as the plan says. Changes nothing. Errors:
    /// locked, not_restorable, no_space, no_permission, no_daemon.
    virtual core::expected<void> check_restorable(const core::instance_facts& facts, const core::plan& how,
                                                  milliseconds limit) = 0;

    /// Which process the daemon is: another value than before means that it was restarted, and forgot its operations.
    /// Changes nothing. Error: no_daemon.
    virtual core::expected<std::string> daemon(milliseconds limit) = 0;

    /// Waits until no operation is under way on the instance, whoever began it, and nothing that a dead daemon left
    /// behind still writes to it. Error: no_daemon.
    virtual core::expected<void> settle(milliseconds limit) = 0;

    /// Reads a snapshot. Changes nothing. Errors: not_restorable when there is no such snapshot, not_found,
    /// no_permission, no_daemon.
    virtual core::expected<snapshot_facts> examine_snapshot(const std::string& name, milliseconds limit) = 0;

    /// Changes settings of the instance, if its configuration still is the one of the ETag.
    virtual core::expected<swapped> change(const instance_change& what, const std::string& etag,
                                           milliseconds limit) = 0;

    virtual core::expected<void> pause(milliseconds limit) = 0;

    /// Ends a pause, also one that a daemon left behind when it died; ok when the instance is not paused (any more).
    virtual core::expected<void> unpause(milliseconds limit) = 0;

    /// Whether the target has a snapshot of this name. That one is there may be an answer of the last second. Errors:
    /// not_found, no_permission, no_daemon.
    virtual core::expected<bool> has_snapshot(const std::string& target, const std::string& name,
                                              milliseconds limit) = 0;

    /// Takes a snapshot of the target that never expires; ok only when its operation succeeded. `meanwhile`, if any, is
    /// called once, on this thread, when the daemon has begun with it. Errors: no_space, snapshot_failed, no_daemon.
    virtual core::expected<void> snapshot(const std::string& target, const std::string& name, milliseconds limit,
                                          const std::function<void()>& meanwhile) = 0;

    /// Deletes a snapshot; ok when there is none (any more).
    virtual core::expected<void> discard(const std::string& target, const std::string& name, milliseconds limit) = 0;

    /// Stops the instance: gracefully for so long, then by force (`graceful` 0: by force at once). ok when it is
    /// stopped.
    virtual core::expected<void> stop(milliseconds graceful, milliseconds limit) = 0;

    /// Restores a snapshot of the stopped instance, after making sure, by what was read within the last second, that
    /// the snapshot cannot expire meanwhile; ok only when its operation succeeded. Error: restore_failed, no_daemon.
    virtual core::expected<void> restore(const std::string& target, const std::string& name, milliseconds limit) = 0;

    /// Switches off the schedule by which a target takes snapshots: `@never` on the target itself, since an empty one
    /// would only let its profiles speak.
    virtual core::expected<void> schedule_off(const std::string& target, milliseconds limit) = 0;

    /// Takes that back: the schedule of the target itself is this one again, or none. Nothing happens when it is not
    /// `@never` any more.
    virtual core::expected<void> schedule_on(const std::string& target, const std::optional<std::string>& schedule,
                                             milliseconds limit) = 0;

    /// The snapshots of a target, oldest first. Errors: not_found, no_permission, no_daemon.
    virtual core::expected<std::vector<core::snapshot_entry>> list_snapshots(const std::string& target,
                                                                             milliseconds limit) = 0;

    /// Sets when a snapshot expires; nothing: never. Error not_found when there is no such snapshot.
    virtual core::expected<void> set_expiry(const std::string& target, const std::string& name,
                                            std::optional<core::wall_time> when, milliseconds limit) = 0;

    /// set_expiry of a snapshot of the instance itself; and reads along, without a round of its own, the snapshots and
    /// the keys of the instance, which are wanted next. The list may be empty when no belay had taken one before.
    virtual kept keep(const std::string& name, std::optional<core::wall_time> when, milliseconds limit) = 0;

    /// Copies the instance as it is now, without its snapshots, to a new one of this name: stopped, without network,
    /// volumes or anything else that reaches out of it. ok also when that one is there already.
    virtual core::expected<void> copy_to(const std::string& name, milliseconds limit) = 0;

    /// Starts the instance; ok when it runs.
    virtual core::expected<void> start(milliseconds limit) = 0;

    /// Proves that the instance runs: its status is Running and a program can be executed in it, one that begins after
    /// this was called. Errors: not_running, no_daemon.
    virtual core::expected<void> prove_running(milliseconds limit) = 0;

    /// The half of prove_running that is left when a program has just been run in the instance: its status is Running.
    /// Errors: as above.
    virtual core::expected<void> prove_status(milliseconds limit) = 0;

    /// Says which program is likely to be run next, so that it can be prepared while something else is waited for.
    /// Nothing is waited for here, there is no error, and what exec() does not ask for within seconds, with the same
    /// command (its input may be another one), is given up. A waiting_shell() is for prove_running() as well. To do
    /// nothing is right, too. Safe to call beside any other call.
    virtual void prepare(const guest_command& /*command*/, readiness /*how_far*/) {}

    /// Begins with a program without its input. `mark`: the line by which it says that it waits for that. Nothing when
    /// it could not be begun within `limit`; that is always right, and such a program is for exec().
    virtual std::unique_ptr<begun_program> begin(const guest_command& /*command*/, const std::string& /*mark*/,
                                                 milliseconds /*limit*/, std::stop_token /*stop*/) {
        return nullptr;
    }

    /// Runs a program in the instance and waits for its end. `limit` 0: without end. `sink` is called on this thread.
    /// Safe to call from several threads, and beside any other call: it uses none of their connections. An error means
    /// that it could not be started at all.
    virtual core::expected<guest_exit> exec(const guest_command& command, milliseconds limit, const output_sink& sink,
                                            std::stop_token stop) = 0;
};

} // namespace belay::ports
