// SPDX-License-Identifier: Apache-2.0
// The driver of one transaction: does what core::next says, through the ports, on the thread that calls run(). It owns
// no signal, no terminal and no clock, so that many transactions can be driven in one process.
#pragma once
#include "core/chronicle.hpp"
#include "core/next.hpp"
#include "core/waiting_command.hpp"
#include "ports/checks.hpp"
#include "ports/clock.hpp"
#include "ports/decisions.hpp"
#include "ports/host.hpp"
#include "ports/inbox.hpp"
#include "ports/journal.hpp"
#include "ports/listener.hpp"
#include "ports/locks.hpp"
#include "run/retention.hpp"

#include <functional>

namespace belay::run {

/// Everything outside the transaction.
struct world {
    ports::host& host;
    ports::checks& checks;
    ports::journal& journal;
    ports::locks& locks;
    ports::decisions& decisions;
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
    std::vector<core::reading> baseline{}; ///< of the upgrade that is to be undone
};

class transaction {
public:
    transaction(world w, request r);

    /// Runs the transaction to its end and returns its report. Errors of the world end in the report; there are no
    /// others.
    core::report run();

    /// Goes on with a transaction that another process left, from what its journal holds, to its end. The plan is the
    /// journal's; the request's is not used. Errors, and then nothing was done: locked, when another belay works on the
    /// instance; io_error, when the lock cannot be taken.
    core::expected<core::report> resume(const std::vector<core::record>& past);

private:
    struct verdict_of_round {
        bool good{false};
        core::error why;
    };

    /// What is begun while the snapshot is taken.
    struct program_beside {
        ports::guest_command what;
        bool becomes_command{false}; ///< when it is given the word
        core::bystander bystander{core::bystander::none};
    };

    // transaction.cpp: the loop and the stream
    void notice_interruption();
    core::report drive();
    void take(const core::perform& what);
    void take(const core::decide& what);
    void take(const core::observe& what);
    void take(const core::close& what);
    void take(const core::leave& what);

    void take(const core::nothing&) {}

    bool emit(core::event what);
    core::expected<void> write_down(const core::record& r);
    void notice_lost_record(const core::error& why);
    void show(core::event what);
    core::record recorded(core::event what);
    core::finished attempt(const core::perform& what);

    // acts.cpp: before and at the upgrade
    core::finished preflight();
    core::finished lock();
    core::finished snapshot(const std::string& target, int attempt_number);
    ports::guest_command command_in_guest() const;
    core::finished upgrade();
    core::expected<ports::guest_exit> run_command(const ports::output_sink& sink);
    core::finished restart();
    core::finished ended_command(const ports::guest_exit& end, std::uint64_t bytes);
    std::optional<core::error> lost_meanwhile(int exit_code);
    core::error why_not_begun(const core::error& why);
    core::error why_end_is_unknown(const std::string& why);
    core::error why_command_failed(int exit_code);
    core::expected<bool> went_down(int exit_code);
    core::expected<bool> restart_needed();
    core::expected<void> await_boot(core::milliseconds limit);
    core::expected<void> examine();
    core::lock_opinion opinion_on_lock() const;
    core::expected<bool> swap_lock();
    core::expected<void> clear_half_made(const std::string& target);
    std::string own_lock() const;

    // beside.cpp: what is begun while the snapshot is taken
    bool goes_on_beside() const;
    bool lists_beside() const;
    bool command_can_wait() const;
    bool can_have_bystander() const;
    std::optional<program_beside> command_beside() const;
    ports::turn turn_of_command() const;
    std::string listing_run() const;
    void begin_beside();
    void listen_beside(core::milliseconds limit);
    bool is_waiting_beside();
    void end_beside();

    // preparing.cpp: what is likely to be run in the instance next
    void prepare_baseline();
    void prepare_command();
    void prepare_verify();
    void prepare_evidence();

    // moment.cpp: what surrounds the snapshots, so that they are of one good moment
    core::finished pre();
    core::finished quiesce();
    core::finished resume_hook();
    core::finished pause();
    core::finished unpause();
    core::finished switch_schedule_off(const std::string& target);
    core::finished switch_schedule_on(const std::string& target);
    core::expected<void> run_hook(core::act when, const core::check_spec& hook, std::stop_token stop);
    core::expected<void> run_hooks(core::act when, const std::vector<core::check_spec>& hooks);
    core::expected<void> resume_all();
    core::expected<void> take_again(const std::string& target);

    // evidence.cpp: what is saved before it is thrown away, and the packages
    core::finished evidence();
    void look_for_snapshots(core::milliseconds limit);
    core::finished keep_failed();
    std::optional<core::check_spec> listing_before() const;
    std::optional<core::check_spec> listing_in_baseline() const;
    std::optional<core::check_spec> listing_after() const;
    void note_packages_before(const std::optional<std::string>& listed);
    std::optional<core::package_diff> packages_changed(const std::optional<std::string>& listed) const;
    std::vector<std::string> save_evidence(std::vector<ports::evidence> pieces);

    // retention.cpp
    core::finished keep();
    core::expected<void> expire(const std::string& target, std::optional<core::wall_time> when, listing& known);
    std::vector<std::string> remove_older(listing known);

    // rollback.cpp: after the verdict
    using wanted_change = std::function<ports::instance_change(const ports::examined&)>;
    core::expected<void> write(const wanted_change& wanted);
    std::optional<std::string> lost_description(const ports::examined& now) const;
    core::finished stop(int attempt_number);
    core::finished restore(const std::string& target);
    core::expected<void> restore_once(const std::string& target);
    core::finished start();
    core::finished discard(const std::string& target);
    core::expected<void> discard_from(const std::vector<std::string>& targets, const std::string& name);
    core::finished unlock();
    core::expected<void> find_snapshot();
    core::expected<void> check_restorable();
    core::error no_snapshot(const std::string& target) const;
    bool is_ours(const ports::examined& now) const;

    // recovery.cpp: after another process
    core::expected<core::observed> ask_host();
    bool moved_back(const ports::examined& now) const;
    bool lock_brought_back(const ports::examined& now) const;
    bool volumes_restored() const;

    // patience.cpp: trying again, and a daemon that is away
    core::finished repeated(const core::key& what, core::expected<void> outcome);
    core::finished patient(const core::key& what, core::finished f);
    bool within(const core::key& what, core::milliseconds patience);
    bool await_daemon();
    bool daemon_was_lost();

    // confirm.cpp
    core::finished confirm(const core::perform& what);
    std::optional<core::decision> wish(core::wall_time until) const;
    std::optional<core::decision> decision_so_far(core::wall_time until, const std::optional<core::error>& stays_bad);

    // verify.cpp: health
    core::finished baseline(int attempt_number);
    core::finished verify(int attempt_number);
    core::finished reverify(int attempt_number);
    core::finished until_good(const core::key& what, int attempt_number, const core::judge_policy& policy,
                              std::stop_token stop, core::milliseconds boot = {});
    core::finished soak(core::finished last, int attempt_number, const core::judge_policy& policy, bool& lost_daemon);
    core::judge_policy policy_of_upgrade() const;
    verdict_of_round round(core::finished& into, int attempt_number, const core::judge_policy& policy,
                           std::stop_token stop, const std::optional<core::check_spec>& lister = {});
    core::expected<void> prove_running(const ports::round& seen);
    ports::hook_context context(core::act phase, int attempt_number) const;
    core::finished cancelled(core::finished f) const;

    const core::plan& plan() const { return state().how; }

    core::plan settled_plan() const;

    const core::state& state() const { return chronicle_.current(); }

    const std::string& instance_name() const { return state().open ? plan().instance : request_.plan.instance; }

    std::string snapshot_name() const { return core::snapshot_name(request_.txn); }

    std::string restored_snapshot() const { return core::restored_snapshot(plan(), request_.txn); }

    world world_;
    request request_;
    core::chronicle chronicle_;
    core::report report_;
    std::uint64_t seq_{0};
    bool interruption_noticed_{false};
    bool record_lost_{false};
    bool left_{false}; ///< something is left for a recovery
    bool log_failed_{false};
    std::optional<ports::examined> seen_along_;    ///< read with something else, for the swap of keys that follows
    bool begins_beside_{false};                    ///< with the next snapshot
    bool proved_running_{false};                   ///< by a bystander, behind the command and before the act of now
    std::unique_ptr<ports::begun_program> beside_; ///< and that is it
    bool becomes_command_{false};                  ///< at its word
    core::bystander bystander_{core::bystander::none};
    bool is_heard_{false}; ///< it has said all that it says before the command
    bool verify_is_prepared_{false};
    std::optional<double> paused_at_;     ///< the instance is stopped for its snapshots since
    bool restore_lost_{false};            ///< the answer of the last one never came
    std::vector<core::record> unwritten_; ///< what could not be journalled, until it can
    std::string daemon_;                  ///< the process that the daemon was when it was last known
    int daemon_losses_{0};
    ports::examined examined_;
    std::unique_ptr<ports::held_lock> held_;
    std::map<core::key, core::milliseconds> first_failure_;
};

} // namespace belay::run
