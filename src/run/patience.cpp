// SPDX-License-Identifier: Apache-2.0
// Trying again: how long, and what a daemon that is away or was restarted means for what ran through it.
#include "core/durations.hpp"
#include "core/manual.hpp"
#include "run/limits.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <fmt/format.h>

namespace belay::run {

namespace {

constexpr core::milliseconds between_attempts{500};

/// A daemon that is restarted again and again is not waited for for ever.
constexpr int most_daemon_losses = 20;

/// Trying again will not help.
bool hopeless(const core::error& e) {
    return e.code == core::reason::not_found || e.code == core::reason::no_permission ||
           e.code == core::reason::not_restorable || !core::mending_commands({e}).empty();
}

} // namespace

/// Whether an act has been failing for less than this.
bool transaction::within(const core::key& what, core::milliseconds patience) {
    const auto now = world_.clock.monotonic();
    return now - first_failure_.try_emplace(what, now).first->second < patience;
}

/// Turns a failure into `again` while it is worth it: a daemon that is away is waited for, anything else is repeated
/// for a shorter while (a restore on a full pool fails at first and then succeeds).
core::finished transaction::repeated(const core::key& what, core::expected<void> outcome) {
    if (outcome) {
        first_failure_.erase(what);
        return {};
    }
    auto f = failed(outcome.error());
    const auto patience = f.why.transient ? plan().limit.daemon_wait : plan().limit.rollback_retry;
    if (hopeless(f.why) || !within(what, patience) || (away(f.why) && !await_daemon())) {
        return f;
    }
    f.how = core::result::again;
    world_.inbox.wait(between_attempts, {});
    return f;
}

/// The same before the verdict: only a daemon that is away is waited for, everything else is a reason to give up.
core::finished transaction::patient(const core::key& what, core::finished f) {
    if (f.how != core::result::failed || !away(f.why)) {
        first_failure_.erase(what);
        return f;
    }
    if (!within(what, plan().limit.daemon_wait) || !await_daemon()) {
        return f;
    }
    f.how = core::result::again;
    world_.inbox.wait(between_attempts, world_.inbox.interrupts());
    return f;
}

/// Waits for the daemon. False when it did not come back in time or, before the verdict, somebody wants to undo.
bool transaction::await_daemon() {
    const auto stop = state().decision ? std::stop_token{} : world_.inbox.interrupts();
    const auto give_up = world_.clock.monotonic() + plan().limit.daemon_wait;
    for (bool told = false;; told = true) {
        if (auto now = world_.host.daemon(request_limit)) {
            daemon_ = *std::move(now);
            return true;
        }
        if (stop.stop_requested() || world_.clock.monotonic() >= give_up) {
            return false;
        }
        if (!told) {
            emit(core::warned{fmt::format("the Incus daemon does not answer: waiting for it, at most {}",
                                          core::format_duration(plan().limit.daemon_wait))});
        }
        world_.inbox.wait(between_attempts, stop);
    }
}

/// Whether the daemon is away, or another process than when it was last known: then what ran through it meanwhile says
/// nothing.
bool transaction::daemon_was_lost() {
    const auto now = world_.host.daemon(request_limit);
    const bool lost = now ? *now != daemon_ : now.error().code == core::reason::no_daemon;
    if (now) {
        daemon_ = *now;
    }
    return lost && ++daemon_losses_ <= most_daemon_losses;
}

} // namespace belay::run
