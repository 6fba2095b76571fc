// SPDX-License-Identifier: Apache-2.0
// A small working world for the driver: a clock that only moves when something takes time, an Incus with an instance,
// snapshots and a configuration, checks that look at it, and a journal in memory. Failures are data.
#pragma once
#include "fakes/incus.hpp"
#include "fakes/journal.hpp"
#include "run/transaction.hpp"

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
    fake_checks(fake_clock& clock, fake_incus& incus, const moments& points);

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

    ports::round run(const std::vector<core::check_spec>& specs, const std::optional<core::check_spec>& listing,
                     const ports::hook_context&, std::stop_token stop) override;

    std::vector<std::string> swept; ///< run ids

    void sweep(const std::string& run_id) override { swept.push_back(run_id); }

    /// A hook is its command, which the fake Incus knows by name.
    core::expected<core::reading> run_hook(const core::check_spec& hook, const ports::hook_context&, const std::string&,
                                           std::stop_token stop) override;

    std::vector<ports::evidence> found; ///< what the collectors say
    std::string packages_now;           ///< what the package manager says then; empty: nothing
    int gatherings{0};
    std::vector<std::string> asked; ///< the names of the collectors of the last gathering

    ports::gathering gather(const std::vector<core::check_spec>& collectors,
                            const std::optional<core::check_spec>& listing, const ports::hook_context&,
                            milliseconds limit, const std::function<void()>& meanwhile) override;

    bool hangs{false}; ///< the collectors do

private:
    std::optional<std::string> list(const core::check_spec& listing, std::stop_token stop);

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
                                                           const std::string& instance, const std::string&) override;

    core::lock_holder self(const std::string& txn) const override { return {txn, "machine", boot, pid}; }

    core::journal_knowledge knowledge(const std::string& txn, const std::string&) const override;

    bool locked_since(const std::string&, const std::string&) const override { return false; }

    std::vector<core::past_run> history; ///< what the journals know

    std::vector<core::past_run> past(const std::vector<std::string>& txns, const std::string&,
                                     const std::string&) const override;

    bool alive(const core::lock_holder&) const override { return others_alive; }
};

/// Waiting moves the clock. `signal_at` interrupts at that time.
class fake_inbox : public ports::inbox {
public:
    explicit fake_inbox(fake_clock& clock) : clock_(clock) {}

    void interrupt();

    std::optional<milliseconds> signal_at;
    std::optional<core::verdict> key; ///< what the person at the terminal typed
    bool listening{false};

    void listen(bool on) override { listening = on; }

    std::optional<core::verdict> answer() const override { return key; }

    std::stop_token interrupts() const override { return source_.get_token(); }

    std::optional<core::error> interruption() const override { return why_; }

    std::function<void()> on_wait;

    void wait(milliseconds duration, std::stop_token stop) override;

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

    fake_world();
    ~fake_world();

    fake_world(const fake_world&) = delete;
    fake_world& operator=(const fake_world&) = delete;

    core::report run(const std::string& txn = default_txn);

    /// Goes on with what another process has left.
    core::expected<core::report> resume(const std::vector<core::record>& past, const std::string& txn = default_txn);

    /// The chain of the journal: "preflight lock … commit! keep unlock", an act with `:word` when it did not go well, a
    /// verdict with `!`.
    std::string chain() const;

private:
    run::world ports() { return {incus, checks, journal, locks, decisions, listener, inbox, clock}; }
};

} // namespace belay::fakes
