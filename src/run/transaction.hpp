// SPDX-License-Identifier: Apache-2.0
// The driver of one transaction: does what core::next says, through the ports, on the thread that calls run(). It owns
// no signal, no terminal and no clock, so that many transactions can be driven in one process.
#pragma once
#include "core/chronicle.hpp"
#include "core/next.hpp"
#include "ports/checks.hpp"
#include "ports/clock.hpp"
#include "ports/host.hpp"
#include "ports/inbox.hpp"
#include "ports/journal.hpp"
#include "ports/listener.hpp"
#include "ports/locks.hpp"

namespace belay::run {

/// Everything outside the transaction.
struct world {
    ports::host& host;
    ports::checks& checks;
    ports::journal& journal;
    ports::locks& locks;
    ports::listener& listener;
    ports::inbox& inbox;
    const ports::clock& clock;
};

/// What is asked for. `env` is apart from the plan because its values are never written anywhere.
struct request {
    std::string txn;
    core::plan plan;
    std::vector<std::pair<std::string, std::string>> env;
    std::string log_file;
};

class transaction {
public:
    transaction(world w, request r);

    /// Runs the transaction to its end and returns its report. Errors of the world end in the report; there are no
    /// others.
    core::report run();

private:
    struct verdict_of_round {
        bool good{false};
        core::error why;
    };

    // transaction.cpp: the loop and the stream
    void notice_interruption();
    void take(const core::perform& what);
    void take(const core::decide& what);
    void take(const core::observe& what);
    void take(const core::close& what);

    void take(const core::nothing&) {}

    bool emit(core::event what);
    void notice_lost_record(const core::error& why);
    void show(core::event what);
    core::record recorded(core::event what);
    core::finished attempt(const core::perform& what);

    // acts.cpp: before and at the upgrade
    core::finished preflight();
    core::finished lock();
    core::finished snapshot(const std::string& target);
    core::finished upgrade();
    core::finished restart();
    core::finished ended_command(const ports::guest_exit& end, std::uint64_t bytes);
    core::error why_command_failed(int exit_code);
    core::expected<bool> went_down(int exit_code);
    core::expected<bool> restart_needed();
    core::expected<void> examine();
    core::expected<bool> swap_lock();
    std::string own_lock() const;

    // rollback.cpp: after the verdict
    core::expected<bool> write_lock(const std::string& value, bool when_own);
    core::finished stop(int attempt_number);
    core::finished restore(const std::string& target);
    core::finished start();
    core::finished discard(const std::string& target);
    core::finished unlock();
    core::finished repeated(const core::key& what, core::expected<void> outcome);

    // verify.cpp: health
    core::finished baseline(int attempt_number);
    core::finished verify(int attempt_number);
    core::finished reverify(int attempt_number);
    core::finished until_good(const core::key& what, int attempt_number, const core::judge_policy& policy,
                              std::stop_token stop);
    core::finished soak(core::finished last, int attempt_number, const core::judge_policy& policy);
    verdict_of_round round(core::finished& into, int attempt_number, const core::judge_policy& policy,
                           std::stop_token stop);
    ports::hook_context context(core::act phase, int attempt_number) const;
    core::finished cancelled(core::finished f) const;

    const core::plan& plan() const { return request_.plan; }

    const core::state& state() const { return chronicle_.current(); }

    std::string snapshot_name() const { return core::snapshot_name(request_.txn); }

    world world_;
    request request_;
    core::chronicle chronicle_;
    core::report report_;
    std::uint64_t seq_{0};
    bool interruption_noticed_{false};
    bool record_lost_{false};
    bool log_failed_{false};
    ports::examined examined_;
    std::unique_ptr<ports::held_lock> held_;
    std::map<core::key, core::milliseconds> first_failure_;
};

} // namespace belay::run
