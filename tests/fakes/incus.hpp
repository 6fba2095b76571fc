// SPDX-License-Identifier: Apache-2.0
// A fake Incus, as one process of belay sees it: the port host on a fake daemon. Failures are data.
//
// As the real adapter does, it awaits what it lost sight of itself before it starts, restores, discards or unpauses.
// What another process left under way only `settle` awaits: the driver must not rely on more.
#pragma once
#include "core/coverage.hpp"
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
    fake_incus(fake_clock& clock, const moments& points) : clock_(clock), points_(points) {}

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

    core::expected<ports::examined> examine(milliseconds) override {
        return guarded<ports::examined>("examine", core::reason::no_daemon, [&]() -> core::expected<ports::examined> {
            if (!exists) {
                return core::failure(core::reason::not_found, "instance web1 does not exist");
            }
            auto seen = facts;
            seen.running = facts.running && !frozen;
            tell_schedules(seen);
            return ports::examined{std::move(seen), lock(),         key(core::restored_key_name),
                                   etag(),          daemon_process, variables};
        });
    }

    core::expected<void> check_restorable(const core::instance_facts&, const core::plan&, milliseconds) override {
        return guarded<void>("check_restorable", core::reason::not_restorable,
                             []() -> core::expected<void> { return {}; });
    }

    core::expected<std::string> daemon(milliseconds) override {
        return guarded<std::string>("daemon", core::reason::no_daemon,
                                    [&]() -> core::expected<std::string> { return daemon_process; });
    }

    core::expected<void> settle(milliseconds limit) override {
        return guarded<void>("settle", core::reason::no_daemon, [&] { return await_all(limit); });
    }

    core::expected<bool> has_snapshot(const std::string& target, const std::string& name, milliseconds) override {
        return guarded<bool>("has_snapshot", core::reason::no_daemon,
                             [&]() -> core::expected<bool> { return disk_of(target).snapshots.contains(name); });
    }

    core::expected<ports::snapshot_facts> examine_snapshot(const std::string& name, milliseconds) override {
        return guarded<ports::snapshot_facts>(
            "examine_snapshot", core::reason::no_daemon, [&]() -> core::expected<ports::snapshot_facts> {
                const auto found = snapshots.find(name);
                if (found == snapshots.end()) {
                    return core::failure(core::reason::not_restorable, "instance web1 has no snapshot " + name);
                }
                return ports::snapshot_facts{};
            });
    }

    core::expected<ports::swapped> change(const ports::instance_change& what, const std::string& expected,
                                          milliseconds) override {
        const auto lock_key = what.keys.find(std::string(core::lock_key_name));
        const auto* name = lock_key == what.keys.end() ? "change" : lock_key->second.empty() ? "unlock" : "lock";
        return guarded<ports::swapped>(name, core::reason::no_daemon, [&]() -> core::expected<ports::swapped> {
            await_power_change();
            if (expected != etag()) {
                return ports::swapped::lost;
            }
            if (what.description) {
                facts.description = *what.description;
            }
            for (const auto& [k, value] : what.keys) {
                if (value.empty()) {
                    config.erase(k);
                } else {
                    config[k] = value;
                }
            }
            points_.reach(name, moment::after);
            return daemon_up ? core::expected<ports::swapped>(ports::swapped::done) : gone();
        });
    }

    core::expected<void> pause(milliseconds) override {
        return operate("pause", core::reason::io_error, {task::freeze});
    }

    core::expected<void> unpause(milliseconds limit) override {
        return guarded<void>("unpause", core::reason::io_error, [&]() -> core::expected<void> {
            BELAY_TRY_VOID(calm(limit));
            return frozen ? carry_out("unpause", core::reason::io_error, {task::unfreeze}) : core::expected<void>{};
        });
    }

    core::expected<void> snapshot(const std::string& target, const std::string& name, milliseconds,
                                  const std::function<void()>& meanwhile) override {
        half_made_ = {target, name};
        if (meanwhile) {
            meanwhile();
        }
        return operate("snapshot", core::reason::snapshot_failed, {task::snapshot, target, name});
    }

    core::expected<void> discard(const std::string& target, const std::string& name, milliseconds limit) override {
        return guarded<void>("discard", core::reason::io_error, [&]() -> core::expected<void> {
            BELAY_TRY_VOID(calm(limit));
            return disk_of(target).snapshots.contains(name)
                       ? carry_out("discard", core::reason::io_error, {task::discard, target, name})
                       : core::expected<void>{};
        });
    }

    core::expected<void> stop(milliseconds, milliseconds) override {
        return guarded<void>("stop", core::reason::io_error, [&]() -> core::expected<void> {
            await_power_change();
            return facts.running ? carry_out("stop", core::reason::io_error, {task::stop}) : core::expected<void>{};
        });
    }

    core::expected<void> restore(const std::string& target, const std::string& name, milliseconds limit) override {
        return guarded<void>("restore", core::reason::restore_failed, [&]() -> core::expected<void> {
            BELAY_TRY_VOID(calm(limit));
            await_power_change();
            return carry_out("restore", core::reason::restore_failed, {task::restore, target, name});
        });
    }

    core::expected<void> schedule_off(const std::string& target, milliseconds) override {
        return guarded<void>("schedule_off", core::reason::no_daemon, [&]() -> core::expected<void> {
            schedule_of(target) = target == "root" ? "@never" : "";
            points_.reach("schedule_off", moment::after);
            return daemon_up ? core::expected<void>{} : gone();
        });
    }

    core::expected<void> schedule_on(const std::string& target, const std::optional<std::string>& schedule,
                                     milliseconds) override {
        return guarded<void>("schedule_on", core::reason::no_daemon, [&]() -> core::expected<void> {
            auto& now = schedule_of(target);
            now = now == (target == "root" ? "@never" : "") ? schedule.value_or("") : now;
            points_.reach("schedule_on", moment::after);
            return daemon_up ? core::expected<void>{} : gone();
        });
    }

    core::expected<std::vector<core::snapshot_entry>> list_snapshots(const std::string& target, milliseconds) override {
        return guarded<std::vector<core::snapshot_entry>>(
            "list_snapshots", core::reason::no_daemon, [&]() -> core::expected<std::vector<core::snapshot_entry>> {
                std::vector<core::snapshot_entry> all;
                for (const auto& [name, s] : disk_of(target).snapshots) {
                    const auto lock = s.config.find(std::string(core::lock_key_name));
                    all.push_back({name, {}, lock == s.config.end() ? std::string{} : lock->second, s.expires});
                }
                std::ranges::sort(all, {}, [&](const auto& s) { return disk_of(target).snapshots.at(s.name).number; });
                return all;
            });
    }

    core::expected<void> set_expiry(const std::string& target, const std::string& name,
                                    std::optional<core::wall_time> when, milliseconds) override {
        return guarded<void>("set_expiry", core::reason::no_daemon, [&]() -> core::expected<void> {
            const auto found = disk_of(target).snapshots.find(name);
            if (found == disk_of(target).snapshots.end()) {
                return core::failure(core::reason::not_found, "there is no snapshot " + name);
            }
            found->second.expires = when;
            return {};
        });
    }

    ports::kept keep(const std::string& name, std::optional<core::wall_time> when, milliseconds limit) override {
        return {set_expiry("root", name, when, limit), list_snapshots("root", limit), examine(limit)};
    }

    core::expected<void> copy_to(const std::string& name, milliseconds limit) override {
        return guarded<void>("copy_to", core::reason::io_error, [&]() -> core::expected<void> {
            BELAY_TRY_VOID(calm(limit));
            copies[name] = content;
            points_.reach("copy_to", moment::after);
            return daemon_up ? core::expected<void>{} : gone();
        });
    }

    core::expected<void> start(milliseconds limit) override {
        return guarded<void>("start", core::reason::start_failed, [&]() -> core::expected<void> {
            BELAY_TRY_VOID(calm(limit));
            await_power_change();
            if (!facts.running) {
                return carry_out("start", core::reason::start_failed, {task::start});
            }
            return frozen ? carry_out("start", core::reason::start_failed, {task::unfreeze}) : core::expected<void>{};
        });
    }

    core::expected<void> prove_running(milliseconds) override {
        return guarded<void>("prove_running", core::reason::not_running, [&]() -> core::expected<void> {
            if (!facts.running || frozen || !program_runs) {
                return core::failure(core::reason::not_running, "it does not run");
            }
            return {};
        });
    }

    core::expected<void> prove_status(milliseconds) override {
        return guarded<void>("prove_status", core::reason::not_running, [&]() -> core::expected<void> {
            return facts.running && !frozen ? core::expected<void>{}
                                            : core::failure(core::reason::not_running, "it does not run");
        });
    }

    void prepare(const ports::guest_command& what, ports::readiness how_far) override {
        const bool waits = what.argv.front() == "sh"; // sh -c TEXT sh COMMAND…
        note_prepared(waits ? what.argv.size() > 4 ? what.argv[4] + " that waits" : "sh" : what.argv.front(), how_far);
    }

    void prepare_proof() override { note_prepared("proof", ports::readiness::spare); }

    void note_prepared(const std::string& what, ports::readiness how_far) {
        const std::map<ports::readiness, std::string> words{{ports::readiness::accepted, " accepted"},
                                                            {ports::readiness::spare, " to spare"},
                                                            {ports::readiness::waiting, " waits"}};
        prepared.push_back(what + words.at(how_far) + " after " + (calls.empty() ? "nothing" : calls.back()));
    }

    std::vector<std::string> prepared; ///< what, how far, and the call before

    core::expected<ports::guest_exit> exec(const ports::guest_command& what, milliseconds limit,
                                           const ports::output_sink& sink, std::stop_token stop) override {
        if (what.argv.front() == "sh") {
            return run_script(what.argv.back(), sink);
        }
        return run_upgrade(limit, sink, stop);
    }

    std::vector<std::string> variables; ///< of the instance's configuration
    milliseconds before_turn{0};        ///< how long what comes before a command that waits takes
    bool forgets_waiting{false};        ///< a command that waits is gone when its turn comes
    std::string turn{};                 ///< what one that waited was given
    std::vector<std::string>
        left; ///< what waited and was left alone: "waiting", or "listing" when it had not come so far

    /// What lists the packages and then waits to be the command.
    std::unique_ptr<ports::begun_program> begin(const ports::guest_command& what, const std::string&, milliseconds,
                                                std::stop_token) override {
        std::string printed;
        const auto begun = guarded<void>("begin", core::reason::io_error, [] { return core::expected<void>{}; });
        const bool lists = what.argv.at(2).find("dpkg-query") != std::string::npos;
        if (begun && lists) {
            (void)run_script(what.argv.at(2), [&](auto, std::string_view piece) { printed += piece; });
        }
        constexpr std::size_t without_command = 4; // sh -c TEXT sh
        return begun ? std::make_unique<before_command>(*this, printed, what.argv.size() > without_command) : nullptr;
    }

    std::string key(std::string_view name) const {
        const auto found = config.find(std::string(name));
        return found == config.end() ? std::string{} : found->second;
    }

    std::string lock() const { return key(core::lock_key_name); }

private:
    class before_command : public ports::begun_program {
    public:
        before_command(fake_incus& incus, std::string printed, bool waits)
            : incus_(incus), printed_(std::move(printed)), waits_(waits), left_(incus.before_turn) {}

        before_command(const before_command&) = delete;
        before_command& operator=(const before_command&) = delete;

        ~before_command() override {
            if (waits_) {
                incus_.left.emplace_back(left_ > milliseconds{0} ? "listing" : "waiting");
            }
        }

        progress await(milliseconds limit, std::stop_token stop) override {
            if (stop.stop_requested()) {
                return progress::runs;
            }
            const auto now = std::min(limit, left_);
            incus_.pass(now);
            left_ -= now;
            if (left_ > milliseconds{0}) {
                return progress::runs;
            }
            const bool gone = std::exchange(asked_, true) && incus_.forgets_waiting;
            return waits_ && !gone && incus_.daemon_up ? progress::waits : progress::over;
        }

        const std::string& printed() const override { return printed_; }

        core::expected<ports::guest_exit> go_on(const std::string& input, milliseconds limit,
                                                const ports::output_sink& sink, std::stop_token stop) override {
            waits_ = false;
            incus_.turn = input;
            return incus_.run_upgrade(limit, sink, stop);
        }

    private:
        fake_incus& incus_;
        std::string printed_;
        bool waits_;
        bool asked_{false};
        milliseconds left_;
    };

    core::expected<ports::guest_exit> run_upgrade(milliseconds limit, const ports::output_sink& sink,
                                                  const std::stop_token& stop) {
        auto end =
            guarded<ports::guest_exit>("upgrade", core::reason::io_error, [&]() -> core::expected<ports::guest_exit> {
                return run_command(limit, sink, stop);
            });
        if (!end && end.error().transient) {
            return ports::guest_exit{ports::ended::exited, of_the_client_itself};
        }
        return end;
    }

    void tell_schedules(core::instance_facts& seen) const {
        if (const auto own = config.find("snapshots.schedule"); own != config.end()) {
            seen.schedule = seen.effective_schedule = own->second;
        }
        for (auto& d : seen.disks) {
            const auto found = volume_schedules.find(core::target_of(d));
            if (found != volume_schedules.end() && !found->second.empty()) {
                d.schedule = found->second;
            }
        }
    }

    /// belay's own questions to the instance, and the hooks `quiesce` and `resume`.
    core::expected<ports::guest_exit> run_script(const std::string& script, const ports::output_sink& sink) {
        const auto asks = [&](std::string_view word) { return script.find(word) != std::string::npos; };
        if (script == "quiesce" || script == "resume") {
            return guarded<ports::guest_exit>(script, core::reason::io_error, [&] {
                const int code = hook ? hook(*this, script == "quiesce") : 0;
                quiesced = code == 0 ? script == "quiesce" : quiesced;
                return core::expected<ports::guest_exit>({ports::ended::exited, code});
            });
        }
        if (script == "pre") {
            return guarded<ports::guest_exit>(script, core::reason::io_error, [&] {
                return core::expected<ports::guest_exit>({ports::ended::exited, pre_exit});
            });
        }
        if (asks("dpkg-query")) {
            return guarded<ports::guest_exit>("packages", core::reason::io_error, [&] {
                sink(core::output::stream::out, "belay: packages\n" + packages + "belay: end of packages\n");
                return core::expected<ports::guest_exit>({ports::ended::exited, 0});
            });
        }
        if (asks("is-system-running")) {
            return guarded<ports::guest_exit>("booted", core::reason::io_error, [&] {
                return core::expected<ports::guest_exit>({ports::ended::exited, facts.running && boots ? 0 : 1});
            });
        }
        calls.emplace_back("restart_needed");
        return ports::guest_exit{ports::ended::exited, restart_needed ? 0 : 1};
    }

    static constexpr int of_the_client_itself = 255; ///< the exit status of `incus exec` without a daemon

    static std::unexpected<core::error> gone() {
        return std::unexpected(core::error{core::reason::no_daemon, "the daemon does not answer", "", true});
    }

    void pass(milliseconds time) {
        clock_.now += time;
        catch_up(clock_.now);
    }

    /// Waits for the end of everything that works on the instance.
    core::expected<void> await_all(milliseconds limit) {
        const auto end = settles_at(clock_.now);
        if (end > clock_.now + limit) {
            pass(limit);
            return gone();
        }
        pass(end - clock_.now);
        lost_sight_ = false;
        return {};
    }

    core::expected<void> calm(milliseconds limit) { return lost_sight_ ? await_all(limit) : core::expected<void>{}; }

    /// A stop or a start that is under way makes the instance busy, and the request is repeated until it is not.
    void await_power_change() {
        while (is_under_way(task::stop) || is_under_way(task::start)) {
            pass(milliseconds{10});
        }
    }

    core::expected<void> operate(const std::string& name, core::reason code, const operation& what) {
        return guarded<void>(name, code, [&] { return carry_out(name, code, what); });
    }

    /// An operation from its beginning to its end.
    core::expected<void> carry_out(std::string_view name, core::reason code, const operation& what) {
        if (const auto refusal = fake_daemon::begin(what, clock_.now)) {
            return core::failure(code, std::string(name) + " failed", *refusal);
        }
        points_.reach(name, moment::midway);
        if (daemon_up && !loses_connection_) {
            pass(operation_takes);
            points_.reach(name, moment::after);
        }
        if (daemon_up && !loses_connection_) {
            return {};
        }
        lost_sight_ = true;
        return gone();
    }

    /// The program goes on in the instance when its client is gone: with belay, for the time, or for a signal.
    core::expected<ports::guest_exit> run_command(milliseconds limit, const ports::output_sink& sink,
                                                  const std::stop_token& stop) {
        sink(core::output::stream::out, "output\n");
        const int code = command(*this);
        if (command_leaves) {
            program = guest_program{clock_.now + command_takes, *command_leaves};
        }
        points_.reach("upgrade", moment::midway);
        if (stop.stop_requested()) {
            return ports::guest_exit{ports::ended::cancelled, 0};
        }
        if (daemon_up && !loses_connection_ && command_takes > limit) {
            pass(limit);
            return ports::guest_exit{ports::ended::timed_out, 0};
        }
        if (daemon_up && !loses_connection_) {
            pass(command_takes);
            points_.reach("upgrade", moment::after);
        }
        const bool seen = daemon_up && !loses_connection_;
        return ports::guest_exit{ports::ended::exited, seen ? code : of_the_client_itself};
    }

    std::optional<failing> trouble_with(const std::string& name) {
        const auto found = failures.find(name);
        if (found != failures.end() && found->second.times > 0) {
            --found->second.times;
            return found->second;
        }
        const auto how = goes_wrong ? goes_wrong(*this) : std::nullopt;
        return how ? std::optional(failing{*how}) : std::nullopt;
    }

    /// A refusal, and what the daemon leaves behind all the same.
    core::error refused(const std::string& name, core::reason code, const failing& f) {
        if (f.how == trouble::error && name == "snapshot") {
            auto& row = disk_of(half_made_.first).snapshots[half_made_.second];
            row = {disk_of(half_made_.first), config, powered, false, {}, 0};
        }
        const bool lost = f.how == trouble::lost || f.how == trouble::error_after || f.how == trouble::transient;
        const auto meant = lost ? core::reason::no_daemon : code;
        return {f.code == core::reason::io_error ? meant : f.code, name + " failed", "", lost};
    }

    template <class T>
    core::expected<T> guarded(const std::string& name, core::reason code,
                              const std::function<core::expected<T>()>& body) {
        calls.push_back(name);
        points_.reach(name, moment::before);
        pass(milliseconds{10});
        if (on_call) {
            on_call(*this);
        }
        if (!daemon_up) {
            return gone();
        }
        const auto wrong = trouble_with(name);
        if (!wrong) {
            return body();
        }
        if (wrong->how == trouble::error_after || wrong->how == trouble::lost) {
            loses_connection_ = wrong->how == trouble::lost;
            (void)body();
            loses_connection_ = false;
            lost_sight_ = true;
        }
        return std::unexpected(refused(name, code, *wrong));
    }

    fake_clock& clock_;
    const moments& points_;
    bool lost_sight_{false}; ///< something that this process began may be under way
    bool loses_connection_{false};
    std::pair<std::string, std::string> half_made_;
};

} // namespace belay::fakes
