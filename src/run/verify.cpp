// SPDX-License-Identifier: Apache-2.0
// Health: the baseline before the upgrade, and the rounds after it.
#include "core/durations.hpp"
#include "run/baseline.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace belay::run {

namespace {

using core::milliseconds;

constexpr milliseconds alive_limit{30'000};
constexpr milliseconds soak_pause{1'000};
constexpr milliseconds longest_boot{60'000};

/// How often the packages are asked for while the checks are not good, when nothing came.
constexpr int most_listings = 2;

} // namespace

ports::hook_context transaction::context(core::act phase, int attempt_number) const {
    return {request_.txn,   plan().instance, plan().project, std::string(core::to_word(phase)),
            attempt_number, snapshot_name()};
}

core::finished transaction::cancelled(core::finished f) const {
    f.how = core::result::cancelled;
    f.why = world_.inbox.interruption().value_or(core::error{core::reason::interrupted, "interrupted"});
    return f;
}

core::finished transaction::baseline(int attempt_number) {
    const auto about = context(core::act::baseline, attempt_number);
    core::finished f;
    f.what = {core::act::baseline, {}};
    begins_beside_ = true;
    if (!plan().checks.empty()) {
        prepare_command();
    }
    auto found = ready_round(world_.checks, plan().checks, listing_in_baseline(), about, plan().limit.retry_for,
                             world_.inbox, world_.clock);
    note_packages_before(found.listed);
    f.checks = std::move(found.readings);
    if (world_.inbox.interrupts().stop_requested()) {
        return cancelled(std::move(f));
    }
    const auto judgements = core::judge_baseline(f.checks);
    show(core::checked{f.what, attempt_number, judgements});
    if (!core::acceptable(judgements) && daemon_was_lost()) {
        f.how = core::result::failed;
        f.why = {core::reason::no_daemon, "the Incus daemon was lost while the checks ran", "", true};
        return patient(f.what, std::move(f));
    }
    if (!core::acceptable(judgements) && !plan().accept_unhealthy) {
        f.how = core::result::failed;
        f.why = {core::reason::baseline_bad,
                 fmt::format("instance {} is not healthy before the upgrade: {}; mend it first, or accept that with "
                             "--accept-unhealthy",
                             plan().instance, core::explain(judgements))};
    }
    return f;
}

/// One round of checks, and when they are all good (or there are none) the proof that the instance runs.
transaction::verdict_of_round transaction::round(core::finished& into, int attempt_number,
                                                 const core::judge_policy& policy, std::stop_token stop,
                                                 const std::optional<core::check_spec>& lister) {
    ports::round seen;
    if (!plan().checks.empty() || lister) {
        seen = world_.checks.run(plan().checks, lister, context(into.what.what, attempt_number), stop);
    }
    if (lister) {
        into.packages = packages_changed(seen.listed);
    }
    if (!plan().checks.empty()) {
        into.checks = std::move(seen.readings);
        into.judgements = core::judge(state().baseline, into.checks, policy);
        show(core::checked{into.what, attempt_number, into.judgements});
        if (!core::acceptable(into.judgements)) {
            return {false, {core::reason::check_failed, core::explain(into.judgements)}};
        }
    }
    if (auto alive = prove_running(seen); !alive) {
        return {false,
                {core::reason::instance_went_down,
                 fmt::format("instance {} does not run, or nothing can be executed in it", plan().instance),
                 core::describe(alive.error())}};
    }
    return {true, {}};
}

/// A program need not be run in the instance for that when the round, or a bystander behind the command, has just done
/// so.
core::expected<void> transaction::prove_running(const ports::round& seen) {
    const bool proved = std::exchange(proved_running_, false) || seen.proved_running;
    return proved ? world_.host.prove_status(alive_limit) : world_.host.prove_running(alive_limit);
}

/// Rounds until one is good, within the time for retries. What was just started boots, and says "not yet" meanwhile:
/// for at most `boot` that time begins only behind it.
core::finished transaction::until_good(const core::key& what, int attempt_number, const core::judge_policy& policy,
                                       std::stop_token stop, core::milliseconds boot) {
    const auto begin = world_.clock.monotonic();
    auto give_up = begin + plan().limit.retry_for;
    core::finished f;
    f.what = what;
    int listings = what.what == core::act::verify ? most_listings : 0;
    for (pacing pace;;) {
        const bool lists = !f.packages && listings-- > 0;
        const auto verdict = round(f, attempt_number, policy, stop, lists ? listing_after() : std::nullopt);
        if (stop.stop_requested()) {
            return cancelled(std::move(f));
        }
        if (verdict.good) {
            return f;
        }
        if (daemon_was_lost()) {
            if (await_daemon()) {
                give_up = world_.clock.monotonic() + plan().limit.retry_for;
                continue;
            }
            f.how = core::result::failed;
            f.why = {core::reason::daemon_lost, "the Incus daemon was lost and did not come back in time",
                     core::describe(verdict.why)};
            return stop.stop_requested() ? cancelled(std::move(f)) : f;
        }
        const auto now = world_.clock.monotonic();
        if (core::waits(f.checks) && now < begin + boot) {
            give_up = std::max(give_up, now + plan().limit.retry_for);
        }
        const auto left = give_up - now;
        if (left <= milliseconds{0}) {
            f.how = core::result::failed;
            f.why = verdict.why;
            return f;
        }
        world_.inbox.wait(std::min(pace.next(), left), stop);
    }
}

/// The round was good and must stay so: one bad round fails, unless it is the daemon that was lost.
core::finished transaction::soak(core::finished last, int attempt_number, const core::judge_policy& policy,
                                 bool& lost_daemon) {
    const auto stop = world_.inbox.interrupts();
    const auto end = world_.clock.monotonic() + plan().limit.soak;
    for (;;) {
        const auto left = end - world_.clock.monotonic();
        if (left <= milliseconds{0}) {
            return last;
        }
        show(core::soaking{last.what, std::chrono::duration<double>(left).count()});
        world_.inbox.wait(std::min(left, soak_pause), stop);
        const auto verdict = round(last, attempt_number, policy, stop);
        if (stop.stop_requested()) {
            return cancelled(std::move(last));
        }
        if (!verdict.good && daemon_was_lost()) {
            lost_daemon = true;
            return last;
        }
        if (!verdict.good) {
            last.how = core::result::failed;
            last.why = verdict.why;
            last.why.message =
                fmt::format("within the soak of {}: {}", core::format_duration(plan().limit.soak), last.why.message);
            return last;
        }
    }
}

core::finished transaction::verify(int attempt_number) {
    for (;;) {
        auto f = until_good({core::act::verify, {}}, attempt_number, policy_of_upgrade(), world_.inbox.interrupts());
        if (f.how != core::result::ok) {
            return f;
        }
        bool lost_daemon = false;
        f = soak(std::move(f), attempt_number, policy_of_upgrade(), lost_daemon);
        if (!lost_daemon) {
            return f;
        }
    }
}

core::judge_policy transaction::policy_of_upgrade() const {
    return {plan().accept_unhealthy, plan().expect_lost};
}

/// The old state must be as healthy as it was at the baseline, no more: what was accepted as bad then is accepted now,
/// and what the upgrade was allowed to lose must be there again.
core::finished transaction::reverify(int attempt_number) {
    return until_good({core::act::reverify, {}}, attempt_number, {true, {}}, {}, longest_boot);
}

} // namespace belay::run
