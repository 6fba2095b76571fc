// SPDX-License-Identifier: Apache-2.0
// A small working world for the driver: a clock that only moves when something takes time, an Incus with instances,
// snapshots and a configuration, checks that look at it, and a journal in memory. Failures are data.
#pragma once
#include "run/transaction.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace belay::fakes {

using core::milliseconds;

/// Advances by what the fakes spend, and by nothing else.
class fake_clock : public ports::clock {
public:
    milliseconds now{1'000};

    milliseconds monotonic() const override { return now; }

    core::wall_time wall() const override { return core::wall_time{milliseconds{1'700'000'000'000} + now}; }

    double boottime() const override { return std::chrono::duration<double>(now).count(); }
};

/// How a call of the fake host goes wrong.
enum class trouble {
    error,       ///< refused without effect
    error_after, ///< done, but the answer was lost
    transient,   ///< refused, may be tried again
};

/// One instance and its daemon.
class fake_incus : public ports::host {
public:
    explicit fake_incus(fake_clock& clock) : clock_(clock) {
        facts.uuid = "0000-web1";
        facts.server = "server";
        facts.type = "container";
        facts.pool = "default";
        facts.driver = "btrfs";
        facts.last_used_at = "start-0";
        facts.running = true;
        facts.disks = {{"root", "/", "default", true, false}};
    }

    struct saved {
        std::string content;
        std::map<std::string, std::string> config;
        bool complete{};
    };

    // What is true.
    core::instance_facts facts;
    bool exists{true};
    bool daemon_up{true};
    bool frozen{false};
    bool program_runs{true}; ///< whether `exec true` works while it is running
    std::string content{"old"};
    std::map<std::string, std::string> config;
    std::map<std::string, saved> snapshots;

    // What happened.
    std::vector<std::string> calls;

    // What goes wrong: by call name, how often, and how. "upgrade" is the command.
    struct failing {
        trouble how{trouble::error};
        int times{1'000'000};
        core::reason code{core::reason::io_error};
    };

    std::map<std::string, failing> failures;

    /// The command: changes the content, takes time, returns an exit status.
    std::function<int(fake_incus&)> command = [](fake_incus& incus) {
        incus.content = "new";
        return 0;
    };
    milliseconds command_takes{1'000};
    std::function<void(fake_incus&)> on_call; ///< sees each call before it is done

    core::expected<ports::examined> examine(milliseconds) override {
        return guarded<ports::examined>("examine", core::reason::no_daemon, [&]() -> core::expected<ports::examined> {
            if (!exists) {
                return core::failure(core::reason::not_found, "instance web1 does not exist");
            }
            return ports::examined{facts, lock(), key(core::restored_key_name), etag(), daemon_process};
        });
    }

    core::expected<void> check_restorable(const core::instance_facts&, milliseconds) override {
        return act("check_restorable", core::reason::not_restorable, [] {});
    }

    core::expected<std::string> daemon(milliseconds) override {
        return guarded<std::string>("daemon", core::reason::no_daemon,
                                    [&]() -> core::expected<std::string> { return daemon_process; });
    }

    core::expected<void> settle(milliseconds) override {
        return act("settle", core::reason::no_daemon, [] {});
    }

    core::expected<bool> has_snapshot(const std::string&, const std::string& name, milliseconds) override {
        return guarded<bool>("has_snapshot", core::reason::no_daemon,
                             [&]() -> core::expected<bool> { return snapshots.contains(name); });
    }

    core::expected<ports::snapshot_facts> examine_snapshot(const std::string& name, milliseconds) override {
        return guarded<ports::snapshot_facts>(
            "examine_snapshot", core::reason::no_daemon, [&]() -> core::expected<ports::snapshot_facts> {
                if (!snapshots.contains(name)) {
                    return core::failure(core::reason::not_restorable, "instance web1 has no snapshot " + name);
                }
                return ports::snapshot_facts{};
            });
    }

    core::expected<ports::swapped> change_keys(const ports::config_keys& keys, const std::string& expected,
                                               milliseconds) override {
        const auto lock_key = keys.find(std::string(core::lock_key_name));
        const bool unlocks = lock_key != keys.end() && lock_key->second.empty();
        return guarded<ports::swapped>(unlocks ? "unlock" : "lock", core::reason::no_daemon,
                                       [&]() -> core::expected<ports::swapped> {
                                           if (expected != etag()) {
                                               return ports::swapped::lost;
                                           }
                                           for (const auto& [name, value] : keys) {
                                               if (value.empty()) {
                                                   config.erase(name);
                                               } else {
                                                   config[name] = value;
                                               }
                                           }
                                           return ports::swapped::done;
                                       });
    }

    core::expected<void> pause(milliseconds) override {
        return act("pause", core::reason::io_error, [&] { frozen = true; });
    }

    core::expected<void> unpause(milliseconds) override {
        return act("unpause", core::reason::io_error, [&] { frozen = false; });
    }

    core::expected<void> snapshot(const std::string&, const std::string& name, milliseconds) override {
        // The row is there before the copy is: a failure leaves an incomplete snapshot.
        if (failures.contains("snapshot") && failures["snapshot"].how == trouble::error && daemon_up) {
            snapshots[name] = {"", config, false};
        }
        return act("snapshot", core::reason::snapshot_failed, [&] { snapshots[name] = {content, config, true}; });
    }

    core::expected<void> discard(const std::string&, const std::string& name, milliseconds) override {
        return act("discard", core::reason::io_error, [&] { snapshots.erase(name); });
    }

    core::expected<void> stop(milliseconds, milliseconds) override {
        return act("stop", core::reason::io_error, [&] { facts.running = frozen = false; });
    }

    core::expected<void> restore(const std::string&, const std::string& name, milliseconds) override {
        if (!snapshots.contains(name) || !snapshots[name].complete) {
            calls.emplace_back("restore");
            content = "broken";
            return core::failure(core::reason::not_found, "no such snapshot");
        }
        return act("restore", core::reason::restore_failed, [&] {
            content = snapshots[name].content;
            config = snapshots[name].config;
            facts.running = false;
        });
    }

    core::expected<void> start(milliseconds) override {
        return act("start", core::reason::start_failed, [&] {
            facts.running = true;
            facts.last_used_at = "start-" + std::to_string(++starts_);
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

    core::expected<ports::guest_exit> exec(const ports::guest_command& what, milliseconds limit,
                                           const ports::output_sink& sink, std::stop_token stop) override {
        if (what.argv.front() == "sh") { // whether a restart is needed
            calls.emplace_back("restart_needed");
            return ports::guest_exit{ports::ended::exited, restart_needed ? 0 : 1};
        }
        return guarded<ports::guest_exit>("upgrade", core::reason::io_error,
                                          [&]() -> core::expected<ports::guest_exit> {
                                              sink(core::output::stream::out, "output\n");
                                              const int code = command(*this);
                                              if (stop.stop_requested()) {
                                                  return ports::guest_exit{ports::ended::cancelled, 0};
                                              }
                                              if (command_takes > limit) {
                                                  clock_.now += limit;
                                                  return ports::guest_exit{ports::ended::timed_out, 0};
                                              }
                                              clock_.now += command_takes;
                                              return ports::guest_exit{ports::ended::exited, code};
                                          });
    }

    bool restart_needed{false};

    std::string daemon_process{"1"};

    std::string key(std::string_view name) const {
        const auto found = config.find(std::string(name));
        return found == config.end() ? std::string{} : found->second;
    }

    std::string lock() const { return key(core::lock_key_name); }

private:
    std::string etag() const {
        std::string all = facts.running ? "running" : "stopped";
        for (const auto& [k, v] : config) {
            all += ";" + k + "=" + v;
        }
        return all;
    }

    core::expected<void> act(const std::string& name, core::reason code, const std::function<void()>& effect) {
        return guarded<void>(name, code, [&]() -> core::expected<void> {
            effect();
            return {};
        });
    }

    template <class T>
    core::expected<T> guarded(const std::string& name, core::reason code,
                              const std::function<core::expected<T>()>& body) {
        calls.push_back(name);
        clock_.now += milliseconds{10};
        if (on_call) {
            on_call(*this);
        }
        if (!daemon_up) {
            return std::unexpected(core::error{core::reason::no_daemon, "the daemon does not answer", "", true});
        }
        const auto found = failures.find(name);
        if (found == failures.end() || found->second.times-- <= 0) {
            return body();
        }
        if (found->second.how == trouble::error_after) {
            (void)body();
        }
        const auto shown = found->second.code == core::reason::io_error ? code : found->second.code;
        return std::unexpected(core::error{shown, name + " failed", "", found->second.how != trouble::error});
    }

    fake_clock& clock_;
    int starts_{0};
};

/// Checks as functions of the instance. Each run takes 10 ms.
class fake_checks : public ports::checks {
public:
    fake_checks(fake_clock& clock, fake_incus& incus) : clock_(clock), incus_(incus) {}

    std::function<core::reading(const core::check_spec&, fake_incus&, milliseconds now)> answer =
        [](const core::check_spec& spec, fake_incus& incus, milliseconds) {
            core::reading r{spec.name, spec.where, spec.required, core::health::pass, "fine", {"tcp/80 any"}, {}, 0.01};
            if (!incus.facts.running || incus.content == "broken") {
                r.how = core::health::fail;
                r.good.clear();
            }
            return r;
        };
    int rounds{0};

    std::vector<core::reading> run(const std::vector<core::check_spec>& specs, const ports::hook_context&,
                                   std::stop_token) override {
        ++rounds;
        clock_.now += milliseconds{10};
        std::vector<core::reading> readings;
        for (const auto& spec : specs) {
            readings.push_back(answer(spec, incus_, clock_.now));
        }
        return readings;
    }

private:
    fake_clock& clock_;
    fake_incus& incus_;
};

/// A journal in memory that knows what was synced, and can fail.
class fake_journal : public ports::journal {
public:
    std::vector<core::record> records;
    std::size_t synced{0};
    std::string logged;
    std::function<bool(const core::record&)> fails = [](const core::record&) { return false; };

    core::expected<void> append(const core::record& r) override {
        if (fails(r)) {
            return core::failure(core::reason::io_error, "the state directory is full");
        }
        records.push_back(r);
        if (core::durable(r.what)) {
            synced = records.size();
        }
        return {};
    }

    core::expected<void> log(std::string_view bytes) override {
        logged += bytes;
        return {};
    }

    core::expected<void> finish_log() override { return {}; }
};

/// The host's locks: a set that several transactions can share.
class fake_locks : public ports::locks {
public:
    std::set<std::string> taken;
    std::map<std::string, core::journal_knowledge> journals;
    long pid{42};
    bool others_alive{false};

    class released : public ports::held_lock {
    public:
        released(std::set<std::string>& taken, std::string name) : taken_(taken), name_(std::move(name)) {}

        released(const released&) = delete;
        released& operator=(const released&) = delete;

        ~released() override { taken_.erase(name_); }

    private:
        std::set<std::string>& taken_;
        std::string name_;
    };

    core::expected<std::unique_ptr<ports::held_lock>> take(const std::string&, const std::string&,
                                                           const std::string& instance, const std::string&) override {
        if (!taken.insert(instance).second) {
            return core::failure(core::reason::locked, "instance " + instance + " is in another transaction");
        }
        return std::make_unique<released>(taken, instance);
    }

    core::lock_holder self(const std::string& txn) const override { return {txn, "machine", "boot", pid}; }

    core::journal_knowledge knowledge(const std::string& txn, const std::string&) const override {
        const auto found = journals.find(txn);
        return found == journals.end() ? core::journal_knowledge::unknown : found->second;
    }

    bool alive(const core::lock_holder&) const override { return others_alive; }
};

/// A decision in memory; the first wins.
class fake_decisions : public ports::decisions {
public:
    std::optional<core::decision> holds;

    core::expected<std::optional<core::decision>> read() override { return holds; }

    core::expected<core::decision> publish(const core::decision& wanted) override {
        if (!holds) {
            holds = wanted;
        }
        return *holds;
    }
};

/// Waiting moves the clock. `signal_at` interrupts at that time.
class fake_inbox : public ports::inbox {
public:
    explicit fake_inbox(fake_clock& clock) : clock_(clock) {}

    void interrupt() {
        why_ = core::error{core::reason::interrupted, "interrupted by SIGTERM"};
        source_.request_stop();
    }

    std::optional<milliseconds> signal_at;
    std::optional<core::verdict> key; ///< what the person at the terminal typed
    bool listening{false};

    void listen(bool on) override { listening = on; }

    std::optional<core::verdict> answer() const override { return key; }

    std::stop_token interrupts() const override { return source_.get_token(); }

    std::optional<core::error> interruption() const override { return why_; }

    void wait(milliseconds duration, std::stop_token stop) override {
        if (!stop.stop_requested()) {
            clock_.now += duration;
        }
        if (signal_at && clock_.now >= *signal_at && !why_) {
            interrupt();
        }
    }

private:
    fake_clock& clock_;
    std::stop_source source_;
    std::optional<core::error> why_;
};

class recorder : public ports::listener {
public:
    std::vector<core::record> seen;

    void on(const core::record& r) override { seen.push_back(r); }

    void recall(const core::record&) override {}
};

/// All of it together, and a run.
struct fake_world {
    fake_clock clock;
    fake_incus incus{clock};
    fake_checks checks{clock, incus};
    fake_journal journal;
    fake_locks locks;
    fake_decisions decisions;
    fake_inbox inbox{clock};
    recorder listener;
    core::plan plan;

    fake_world() {
        plan.instance = "web1";
        plan.command.argv = {"upgrade"};
        plan.checks = {{"listening", "/checks/listening", {}}};
    }

    core::report run(const std::string& txn = "20261123t224000z-0001") {
        run::transaction t({incus, checks, journal, locks, decisions, listener, inbox, clock},
                           {txn, plan, {}, "/state/upgrade.log"});
        return t.run();
    }

    /// The chain of the journal: "preflight lock … commit! keep unlock", an act with `:word` when it did not go well, a
    /// verdict with `!`.
    std::string chain() const {
        std::string text;
        for (const auto& r : journal.records) {
            if (const auto* end = std::get_if<core::finished>(&r.what)) {
                text += (text.empty() ? "" : " ") + std::string(core::to_word(end->what.what));
                text += end->how == core::result::ok ? "" : ":" + std::string(core::to_word(end->how));
            } else if (const auto* decision = std::get_if<core::decided>(&r.what)) {
                text += (text.empty() ? "" : " ") + std::string(core::to_word(decision->what)) + "!";
            }
        }
        return text;
    }
};

} // namespace belay::fakes
