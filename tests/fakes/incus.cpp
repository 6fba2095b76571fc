// SPDX-License-Identifier: Apache-2.0
#include "fakes/incus.hpp"

#include "core/coverage.hpp"

#include <algorithm>
#include <utility>

namespace belay::fakes {

fake_incus::fake_incus(fake_clock& clock, const moments& points) : clock_(clock), points_(points) {}

fake_incus::~fake_incus() = default;

template <class T>
core::expected<T> fake_incus::guarded(const std::string& name, core::reason code,
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

class fake_incus::before_command : public ports::begun_program {
public:
    before_command(fake_incus& incus, std::string printed)
        : incus_(incus), printed_(std::move(printed)), left_(incus.before_turn) {}

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

    core::expected<ports::guest_exit> go_on(const ports::turn& input, milliseconds limit,
                                            const ports::output_sink& sink, std::stop_token stop) override {
        waits_ = false;
        incus_.turn = input.word;
        incus_.dismissal = input.dismissal;
        auto end = incus_.run_upgrade(limit, sink, stop);
        if (end && !input.dismissal.empty() && incus_.bystander_speaks) {
            end->proved_running = incus_.facts.running && !incus_.frozen && incus_.program_runs;
        }
        return end;
    }

private:
    fake_incus& incus_;
    std::string printed_;
    bool waits_{true};
    bool asked_{false};
    milliseconds left_;
};

core::expected<ports::examined> fake_incus::examine(milliseconds) {
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

core::expected<void> fake_incus::check_restorable(const core::instance_facts&, const core::plan&, milliseconds) {
    return guarded<void>("check_restorable", core::reason::not_restorable, []() -> core::expected<void> { return {}; });
}

core::expected<std::string> fake_incus::daemon(milliseconds) {
    return guarded<std::string>("daemon", core::reason::no_daemon,
                                [&]() -> core::expected<std::string> { return daemon_process; });
}

core::expected<void> fake_incus::settle(milliseconds limit) {
    return guarded<void>("settle", core::reason::no_daemon, [&] { return await_all(limit); });
}

core::expected<bool> fake_incus::has_snapshot(const std::string& target, const std::string& name, milliseconds) {
    return guarded<bool>("has_snapshot", core::reason::no_daemon,
                         [&]() -> core::expected<bool> { return disk_of(target).snapshots.contains(name); });
}

core::expected<ports::snapshot_facts> fake_incus::examine_snapshot(const std::string& name, milliseconds) {
    return guarded<ports::snapshot_facts>(
        "examine_snapshot", core::reason::no_daemon, [&]() -> core::expected<ports::snapshot_facts> {
            const auto found = snapshots.find(name);
            if (found == snapshots.end()) {
                return core::failure(core::reason::not_restorable, "instance web1 has no snapshot " + name);
            }
            return ports::snapshot_facts{};
        });
}

core::expected<ports::swapped> fake_incus::change(const ports::instance_change& what, const std::string& expected,
                                                  milliseconds) {
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

core::expected<void> fake_incus::pause(milliseconds) {
    return operate("pause", core::reason::io_error, {task::freeze});
}

core::expected<void> fake_incus::unpause(milliseconds limit) {
    return guarded<void>("unpause", core::reason::io_error, [&]() -> core::expected<void> {
        BELAY_TRY_VOID(calm(limit));
        return frozen ? carry_out("unpause", core::reason::io_error, {task::unfreeze}) : core::expected<void>{};
    });
}

core::expected<void> fake_incus::snapshot(const std::string& target, const std::string& name, milliseconds,
                                          const std::function<void()>& meanwhile) {
    half_made_ = {target, name};
    if (meanwhile) {
        meanwhile();
    }
    return operate("snapshot", core::reason::snapshot_failed, {task::snapshot, target, name});
}

core::expected<void> fake_incus::discard(const std::string& target, const std::string& name, milliseconds limit) {
    return guarded<void>("discard", core::reason::io_error, [&]() -> core::expected<void> {
        BELAY_TRY_VOID(calm(limit));
        return disk_of(target).snapshots.contains(name)
                   ? carry_out("discard", core::reason::io_error, {task::discard, target, name})
                   : core::expected<void>{};
    });
}

core::expected<void> fake_incus::stop(milliseconds, milliseconds) {
    return guarded<void>("stop", core::reason::io_error, [&]() -> core::expected<void> {
        await_power_change();
        return facts.running ? carry_out("stop", core::reason::io_error, {task::stop}) : core::expected<void>{};
    });
}

core::expected<void> fake_incus::restore(const std::string& target, const std::string& name, milliseconds limit) {
    return guarded<void>("restore", core::reason::restore_failed, [&]() -> core::expected<void> {
        BELAY_TRY_VOID(calm(limit));
        await_power_change();
        return carry_out("restore", core::reason::restore_failed, {task::restore, target, name});
    });
}

core::expected<void> fake_incus::schedule_off(const std::string& target, milliseconds) {
    return guarded<void>("schedule_off", core::reason::no_daemon, [&]() -> core::expected<void> {
        schedule_of(target) = target == "root" ? "@never" : "";
        points_.reach("schedule_off", moment::after);
        return daemon_up ? core::expected<void>{} : gone();
    });
}

core::expected<void> fake_incus::schedule_on(const std::string& target, const std::optional<std::string>& schedule,
                                             milliseconds) {
    return guarded<void>("schedule_on", core::reason::no_daemon, [&]() -> core::expected<void> {
        auto& now = schedule_of(target);
        now = now == (target == "root" ? "@never" : "") ? schedule.value_or("") : now;
        points_.reach("schedule_on", moment::after);
        return daemon_up ? core::expected<void>{} : gone();
    });
}

core::expected<std::vector<core::snapshot_entry>> fake_incus::list_snapshots(const std::string& target, milliseconds) {
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

core::expected<void> fake_incus::set_expiry(const std::string& target, const std::string& name,
                                            std::optional<core::wall_time> when, milliseconds) {
    return guarded<void>("set_expiry", core::reason::no_daemon, [&]() -> core::expected<void> {
        const auto found = disk_of(target).snapshots.find(name);
        if (found == disk_of(target).snapshots.end()) {
            return core::failure(core::reason::not_found, "there is no snapshot " + name);
        }
        found->second.expires = when;
        return {};
    });
}

ports::kept fake_incus::keep(const std::string& name, std::optional<core::wall_time> when, milliseconds limit) {
    return {set_expiry("root", name, when, limit), list_snapshots("root", limit), examine(limit)};
}

core::expected<void> fake_incus::copy_to(const std::string& name, milliseconds limit) {
    return guarded<void>("copy_to", core::reason::io_error, [&]() -> core::expected<void> {
        BELAY_TRY_VOID(calm(limit));
        copies[name] = content;
        points_.reach("copy_to", moment::after);
        return daemon_up ? core::expected<void>{} : gone();
    });
}

core::expected<void> fake_incus::start(milliseconds limit) {
    return guarded<void>("start", core::reason::start_failed, [&]() -> core::expected<void> {
        BELAY_TRY_VOID(calm(limit));
        await_power_change();
        if (!facts.running) {
            return carry_out("start", core::reason::start_failed, {task::start});
        }
        return frozen ? carry_out("start", core::reason::start_failed, {task::unfreeze}) : core::expected<void>{};
    });
}

core::expected<void> fake_incus::prove_running(milliseconds) {
    return guarded<void>("prove_running", core::reason::not_running, [&]() -> core::expected<void> {
        if (!facts.running || frozen || !program_runs) {
            return core::failure(core::reason::not_running, "it does not run");
        }
        return {};
    });
}

core::expected<void> fake_incus::prove_status(milliseconds) {
    return guarded<void>("prove_status", core::reason::not_running, [&]() -> core::expected<void> {
        return facts.running && !frozen ? core::expected<void>{}
                                        : core::failure(core::reason::not_running, "it does not run");
    });
}

void fake_incus::prepare(const ports::guest_command& what, ports::readiness how_far) {
    std::string name = "shell";
    if (what.argv != core::waiting_shell()) { // else sh -c TEXT sh COMMAND…
        name = what.argv.size() > 4 ? what.argv[4] + " that waits" : "sh";
    }
    name += how_far == ports::readiness::accepted ? " accepted" : " waits";
    prepared.push_back(name + " after " + (calls.empty() ? "nothing" : calls.back()));
}

core::expected<ports::guest_exit> fake_incus::exec(const ports::guest_command& what, milliseconds limit,
                                                   const ports::output_sink& sink, std::stop_token stop) {
    if (what.argv.front() == "sh") {
        return run_script(what.argv.back(), sink);
    }
    return run_upgrade(limit, sink, stop);
}

std::unique_ptr<ports::begun_program> fake_incus::begin(const ports::guest_command& what, const std::string&,
                                                        milliseconds, std::stop_token) {
    std::string printed;
    const auto begun = guarded<void>("begin", core::reason::io_error, [] { return core::expected<void>{}; });
    const bool lists = what.argv.at(2).find("dpkg-query") != std::string::npos;
    if (begun && lists) {
        (void)run_script(what.argv.at(2), [&](auto, std::string_view piece) { printed += piece; });
    }
    return begun ? std::make_unique<before_command>(*this, printed) : nullptr;
}

std::string fake_incus::key(std::string_view name) const {
    const auto found = config.find(std::string(name));
    return found == config.end() ? std::string{} : found->second;
}

core::expected<ports::guest_exit> fake_incus::run_upgrade(milliseconds limit, const ports::output_sink& sink,
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

void fake_incus::tell_schedules(core::instance_facts& seen) const {
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

core::expected<ports::guest_exit> fake_incus::run_script(const std::string& script, const ports::output_sink& sink) {
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

std::unexpected<core::error> fake_incus::gone() {
    return std::unexpected(core::error{core::reason::no_daemon, "the daemon does not answer", "", true});
}

void fake_incus::pass(milliseconds time) {
    clock_.now += time;
    catch_up(clock_.now);
}

core::expected<void> fake_incus::await_all(milliseconds limit) {
    const auto end = settles_at(clock_.now);
    if (end > clock_.now + limit) {
        pass(limit);
        return gone();
    }
    pass(end - clock_.now);
    lost_sight_ = false;
    return {};
}

void fake_incus::await_power_change() {
    while (is_under_way(task::stop) || is_under_way(task::start)) {
        pass(milliseconds{10});
    }
}

core::expected<void> fake_incus::operate(const std::string& name, core::reason code, const operation& what) {
    return guarded<void>(name, code, [&] { return carry_out(name, code, what); });
}

core::expected<void> fake_incus::carry_out(std::string_view name, core::reason code, const operation& what) {
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

core::expected<ports::guest_exit> fake_incus::run_command(milliseconds limit, const ports::output_sink& sink,
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

std::optional<fake_incus::failing> fake_incus::trouble_with(const std::string& name) {
    const auto found = failures.find(name);
    if (found != failures.end() && found->second.times > 0) {
        --found->second.times;
        return found->second;
    }
    const auto how = goes_wrong ? goes_wrong(*this) : std::nullopt;
    return how ? std::optional(failing{*how}) : std::nullopt;
}

core::error fake_incus::refused(const std::string& name, core::reason code, const failing& f) {
    if (f.how == trouble::error && name == "snapshot") {
        auto& row = disk_of(half_made_.first).snapshots[half_made_.second];
        row = {disk_of(half_made_.first), config, powered, false, {}, 0};
    }
    const bool lost = f.how == trouble::lost || f.how == trouble::error_after || f.how == trouble::transient;
    const auto meant = lost ? core::reason::no_daemon : code;
    return {f.code == core::reason::io_error ? meant : f.code, name + " failed", "", lost};
}

} // namespace belay::fakes
