// SPDX-License-Identifier: Apache-2.0
// A fake Incus, as one process of belay sees it: the port host on a fake daemon. Failures are data.
//
// As the real adapter does, it awaits what it lost sight of itself before it starts, restores, discards or unpauses.
// What another process left under way only `settle` awaits: the driver must not rely on more.
#pragma once
#include "core/lock_rule.hpp"
#include "fakes/clock.hpp"
#include "fakes/daemon.hpp"
#include "ports/host.hpp"

namespace belay::fakes {

/// How a call of the fake host goes wrong.
enum class trouble {
    error,       ///< refused without effect
    error_after, ///< done, but the answer was lost
    transient,   ///< refused, may be tried again
    lost,        ///< begun, and the connection is lost before it has ended
};

class fake_incus : public ports::host, public fake_daemon {
public:
    fake_incus(fake_clock& clock, const moments& points);
    ~fake_incus() override;

    /// The daemon alone: what is left when the process is gone.
    fake_daemon& daemon_side() { return *this; }

    const fake_daemon& daemon_side() const { return *this; }

    bool program_runs{true}; ///< whether `exec true` works while it is running
    bool restart_needed{false};
    bool boots{true};                                    ///< a restart comes to its end
    std::string packages{"app\t1\n"};                    ///< what the package manager lists
    int pre_exit{0};                                     ///< of the hook `pre`
    std::function<int(fake_incus&, bool quiesces)> hook; ///< quiesce and resume; none: they succeed

    // What happened.
    std::vector<std::string> calls;

    // What goes wrong: by call name, how often, and how. "upgrade" is the command.
    struct failing {
        trouble how{trouble::error};
        int times{1'000'000};
        core::reason code{core::reason::io_error};
    };

    std::map<std::string, failing> failures;

    /// Asked at each call, when nothing is said by name. The calls are in `calls`, this one included.
    std::function<std::optional<trouble>(const fake_incus&)> goes_wrong;

    /// The command: changes the content when it begins, and returns its exit status. What it leaves at its end, when
    /// it takes time to change everything, is `command_leaves`.
    std::function<int(fake_incus&)> command = [](fake_incus& incus) {
        incus.content = "new";
        return 0;
    };
    std::optional<std::string> command_leaves;
    milliseconds command_takes{1'000};
    std::function<void(fake_incus&)> on_call; ///< sees each call before it is done

    core::expected<ports::examined> examine(milliseconds) override;

    core::expected<void> check_restorable(const core::instance_facts&, const core::plan&, milliseconds) override;

    core::expected<std::string> daemon(milliseconds) override;

    core::expected<void> settle(milliseconds limit) override;

    core::expected<bool> has_snapshot(const std::string& target, const std::string& name, milliseconds) override;

    core::expected<ports::snapshot_facts> examine_snapshot(const std::string& name, milliseconds) override;

    core::expected<ports::swapped> change(const ports::instance_change& what, const std::string& expected,
                                          milliseconds) override;

    core::expected<void> pause(milliseconds) override;

    core::expected<void> unpause(milliseconds limit) override;

    core::expected<void> snapshot(const std::string& target, const std::string& name, milliseconds,
                                  const std::function<void()>& meanwhile) override;

    core::expected<void> discard(const std::string& target, const std::string& name, milliseconds limit) override;

    core::expected<void> stop(milliseconds, milliseconds) override;

    core::expected<void> restore(const std::string& target, const std::string& name, milliseconds limit) override;

    core::expected<void> schedule_off(const std::string& target, milliseconds) override;

    core::expected<void> schedule_on(const std::string& target, const std::optional<std::string>& schedule,
                                     milliseconds) override;

    core::expected<std::vector<core::snapshot_entry>> list_snapshots(const std::string& target, milliseconds) override;

    core::expected<void> set_expiry(const std::string& target, const std::string& name,
                                    std::optional<core::wall_time> when, milliseconds) override;

    ports::kept keep(const std::string& name, std::optional<core::wall_time> when, milliseconds limit) override;

    core::expected<void> copy_to(const std::string& name, milliseconds limit) override;

    core::expected<void> start(milliseconds limit) override;

    core::expected<void> prove_running(milliseconds) override;

    core::expected<void> prove_status(milliseconds) override;

    void prepare(const ports::guest_command& what, ports::readiness how_far) override;

    std::vector<std::string> prepared; ///< what, how far, and the call before

    core::expected<ports::guest_exit> exec(const ports::guest_command& what, milliseconds limit,
                                           const ports::output_sink& sink, std::stop_token stop) override;

    std::vector<std::string> variables; ///< of the instance's configuration
    milliseconds before_turn{0};        ///< how long what comes before a command that waits takes
    bool forgets_waiting{false};        ///< a command that waits is gone when its turn comes
    bool bystander_speaks{true};        ///< the one beside a command that waits, when it can
    std::string turn{};                 ///< what one that waited was given
    std::string dismissal{};            ///< and what the one beside it would be told
    std::vector<std::string>
        left; ///< what waited and was left alone: "waiting", or "listing" when it had not come so far

    /// What lists the packages and then waits to be the command.
    std::unique_ptr<ports::begun_program> begin(const ports::guest_command& what, const std::string&, milliseconds,
                                                std::stop_token) override;

    std::string key(std::string_view name) const;

    std::string lock() const { return key(core::lock_key_name); }

private:
    class before_command;

    core::expected<ports::guest_exit> run_upgrade(milliseconds limit, const ports::output_sink& sink,
                                                  const std::stop_token& stop);

    void tell_schedules(core::instance_facts& seen) const;

    /// belay's own questions to the instance, and the hooks `quiesce` and `resume`.
    core::expected<ports::guest_exit> run_script(const std::string& script, const ports::output_sink& sink);

    static constexpr int of_the_client_itself = 255; ///< the exit status of `incus exec` without a daemon

    static std::unexpected<core::error> gone();

    void pass(milliseconds time);

    /// Waits for the end of everything that works on the instance.
    core::expected<void> await_all(milliseconds limit);

    core::expected<void> calm(milliseconds limit) { return lost_sight_ ? await_all(limit) : core::expected<void>{}; }

    /// A stop or a start that is under way makes the instance busy, and the request is repeated until it is not.
    void await_power_change();

    core::expected<void> operate(const std::string& name, core::reason code, const operation& what);

    /// An operation from its beginning to its end.
    core::expected<void> carry_out(std::string_view name, core::reason code, const operation& what);

    /// The program goes on in the instance when its client is gone: with belay, for the time, or for a signal.
    core::expected<ports::guest_exit> run_command(milliseconds limit, const ports::output_sink& sink,
                                                  const std::stop_token& stop);

    std::optional<failing> trouble_with(const std::string& name);

    /// A refusal, and what the daemon leaves behind all the same.
    core::error refused(const std::string& name, core::reason code, const failing& f);

    template <class T>
    core::expected<T> guarded(const std::string& name, core::reason code,
                              const std::function<core::expected<T>()>& body);

    fake_clock& clock_;
    const moments& points_;
    bool lost_sight_{false}; ///< something that this process began may be under way
    bool loses_connection_{false};
    std::pair<std::string, std::string> half_made_;
};

} // namespace belay::fakes
