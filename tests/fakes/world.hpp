// SPDX-License-Identifier: Apache-2.0
// A small working world for the driver: a clock that only moves when something takes time, an Incus with an instance,
// snapshots and a configuration, checks that look at it, and a journal in memory. Failures are data.
#pragma once
#include "fakes/incus.hpp"
#include "fakes/journal.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace belay::fakes {

using core::milliseconds;

/// A command of the instance as a hook.
inline core::check_spec hook(const std::string& command) {
    core::check_spec spec;
    spec.name = command;
    spec.args = {command};
    return spec;
}

/// Checks as functions of the instance. Each run takes 10 ms.
class fake_checks : public ports::checks {
public:
    fake_checks(fake_clock& clock, fake_incus& incus, const moments& points)
        : clock_(clock), incus_(incus), points_(points) {}

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
    bool proves{true}; ///< a check is a program in the instance

    /// Noted by the host, with the phase.
    void prepare(const std::vector<core::check_spec>& specs, const std::optional<core::check_spec>& listing,
                 const ports::hook_context& context, ports::readiness how_far) override {
        if (!specs.empty() || listing) {
            incus_.note_prepared(context.phase, how_far);
        }
    }

    ports::round run(const std::vector<core::check_spec>& specs, const std::optional<core::check_spec>& listing,
                     const ports::hook_context&, std::stop_token stop) override {
        ports::round seen;
        if (listing) {
            seen.listed = list(*listing, stop);
        }
        seen.proved_running = seen.listed.has_value();
        if (specs.empty()) {
            return seen;
        }
        points_.reach("checks", moment::before);
        ++rounds;
        clock_.now += milliseconds{10};
        incus_.catch_up(clock_.now);
        const bool runs = incus_.daemon_up && incus_.facts.running && !incus_.frozen && incus_.program_runs;
        seen.proved_running = seen.proved_running || (proves && runs);
        for (const auto& spec : specs) {
            seen.readings.push_back(answer(spec, incus_, clock_.now));
        }
        return seen;
    }

    std::vector<std::string> swept; ///< run ids

    void sweep(const std::string& run_id) override { swept.push_back(run_id); }

    /// A hook is its command, which the fake Incus knows by name.
    core::expected<core::reading> run_hook(const core::check_spec& hook, const ports::hook_context&, const std::string&,
                                           std::stop_token stop) override {
        BELAY_TRY(const auto, end,
                  incus_.exec(
                      {.argv = {"sh", "-c", hook.args.front()}}, hook.timeout, [](auto, auto) {}, stop));
        const bool good = end.how == ports::ended::exited && end.exit_code == 0;
        const auto summary = good ? std::string() : "exit status " + std::to_string(end.exit_code);
        return core::reading{
            hook.name, hook.where, hook.required, good ? core::health::pass : core::health::fail, summary,
            {},        {},         0.01};
    }

    std::vector<ports::evidence> found; ///< what the collectors say
    std::string packages_now;           ///< what the package manager says then; empty: nothing
    int gatherings{0};
    std::vector<std::string> asked; ///< the names of the collectors of the last gathering

    ports::gathering gather(const std::vector<core::check_spec>& collectors,
                            const std::optional<core::check_spec>& listing, const ports::hook_context&,
                            milliseconds limit, const std::function<void()>& meanwhile) override {
        points_.reach("gather", moment::before);
        const auto begin = clock_.now;
        ++gatherings;
        asked.clear();
        for (const auto& one : collectors) {
            asked.push_back(one.name);
        }
        if (listing) {
            asked.push_back(listing->name);
        }
        if (meanwhile) {
            meanwhile();
        }
        ports::gathering all{found, {}};
        if (listing && !packages_now.empty()) {
            all.listed = packages_now;
        }
        if (hangs) {
            clock_.now = std::max(clock_.now, begin + limit);
        }
        return all;
    }

    bool hangs{false}; ///< the collectors do

private:
    std::optional<std::string> list(const core::check_spec& listing, std::stop_token stop) {
        std::string text;
        const auto end = incus_.exec(
            {.argv = {"sh", "-c", listing.args.front()}}, listing.timeout,
            [&](auto, std::string_view piece) { text += piece; }, stop);
        return end && end->how == ports::ended::exited && end->exit_code == 0 ? std::optional(text) : std::nullopt;
    }

    fake_clock& clock_;
    fake_incus& incus_;
    const moments& points_;
};

/// The host's locks: a set that several transactions can share.
class fake_locks : public ports::locks {
public:
    std::set<std::string> taken;
    std::map<std::string, core::journal_knowledge> journals;
    long pid{42};
    std::string boot{"boot"};
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

    core::lock_holder self(const std::string& txn) const override { return {txn, "machine", boot, pid}; }

    core::journal_knowledge knowledge(const std::string& txn, const std::string&) const override {
        const auto found = journals.find(txn);
        return found == journals.end() ? core::journal_knowledge::unknown : found->second;
    }

    bool locked_since(const std::string&, const std::string&) const override { return false; }

    std::vector<core::past_run> history; ///< what the journals know

    std::vector<core::past_run> past(const std::vector<std::string>& txns, const std::string&,
                                     const std::string&) const override {
        std::vector<core::past_run> found;
        std::ranges::copy_if(history, std::back_inserter(found), [&](const auto& run) {
            return !run.undoes.empty() || std::ranges::find(txns, run.txn) != txns.end();
        });
        return found;
    }

    bool alive(const core::lock_holder&) const override { return others_alive; }
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

    std::function<void()> on_wait;

    void wait(milliseconds duration, std::stop_token stop) override {
        if (on_wait) {
            on_wait();
        }
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
    moments points;
    fake_clock clock;
    fake_incus incus{clock, points};
    fake_checks checks{clock, incus, points};
    fake_journal journal{points};
    fake_locks locks;
    fake_decisions decisions{points};
    fake_inbox inbox{clock};
    recorder listener;
    core::plan plan;
    std::vector<core::reading> baseline;                  ///< of the upgrade, when the plan undoes one
    std::vector<std::pair<std::string, std::string>> env; ///< of the command

    static constexpr const char* default_txn = "20261123t224000z-0001";

    fake_world() {
        plan.instance = "web1";
        plan.command.argv = {"upgrade"};
        plan.checks = {{"listening", "/checks/listening", {}}};
    }

    core::report run(const std::string& txn = default_txn) {
        run::transaction t(ports(), {txn, plan, env, "/state/upgrade.log", baseline});
        return t.run();
    }

    /// Goes on with what another process has left.
    core::expected<core::report> resume(const std::vector<core::record>& past, const std::string& txn = default_txn) {
        run::transaction t(ports(), {txn, {}, {}, "/state/upgrade.log"});
        return t.resume(past);
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

private:
    run::world ports() { return {incus, checks, journal, locks, decisions, listener, inbox, clock}; }
};

} // namespace belay::fakes
