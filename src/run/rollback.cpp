// SPDX-License-Identifier: Apache-2.0
// The acts after the verdict. They are never cut short, and repeated while there is hope: nobody else will do them.
#include "run/limits.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <fmt/format.h>

namespace belay::run {

namespace {

constexpr core::milliseconds between_attempts{500};

/// Trying again will not help.
bool hopeless(const core::error& e) {
    return e.code == core::reason::not_found || e.code == core::reason::no_permission;
}

} // namespace

/// Turns a failure into `again` while it is worth it: a daemon that is away is waited for, anything else is repeated
/// for a shorter while (a restore on a full pool fails at first and then succeeds).
core::finished transaction::repeated(const core::key& what, core::expected<void> outcome) {
    if (outcome) {
        first_failure_.erase(what);
        return {};
    }
    auto f = failed(outcome.error());
    const auto now = world_.clock.monotonic();
    const auto since = first_failure_.try_emplace(what, now).first->second;
    const auto patience = f.why.transient ? plan().limit.daemon_wait : plan().limit.rollback_retry;
    if (hopeless(f.why) || now - since >= patience) {
        return f;
    }
    f.how = core::result::again;
    world_.inbox.wait(between_attempts, {});
    return f;
}

core::finished transaction::stop(int attempt_number) {
    const auto graceful = attempt_number == 1 ? plan().limit.stop : core::milliseconds{0};
    return repeated({core::act::stop, {}}, world_.host.stop(graceful, plan().limit.operation));
}

core::finished transaction::restore(const std::string& target) {
    return repeated({core::act::restore, target}, world_.host.restore(target, snapshot_name(), plan().limit.operation));
}

/// Writes the lock key while it is (`when_own`) or is not this transaction's own. False when the configuration changed
/// under every attempt.
core::expected<bool> transaction::write_lock(const std::string& value, bool when_own) {
    for (int i = 0; i < swap_attempts; ++i) {
        BELAY_TRY_VOID(examine());
        if ((examined_.lock == own_lock()) != when_own) {
            return true;
        }
        BELAY_TRY(auto, swap, world_.host.replace_lock(value, examined_.etag, request_limit));
        if (swap == ports::swapped::done) {
            return true;
        }
    }
    return false;
}

/// Before the start the lock key is made ours again: the restore brought back the one of the snapshot's moment, which a
/// belay that recovers had written under another process number.
core::finished transaction::start() {
    const auto own_key_then_start = [&]() -> core::expected<void> {
        BELAY_TRY_VOID(write_lock(own_lock(), false));
        return world_.host.start(plan().limit.operation);
    };
    return repeated({core::act::start, {}}, own_key_then_start());
}

core::finished transaction::discard(const std::string& target) {
    auto f =
        repeated({core::act::discard, target}, world_.host.discard(target, snapshot_name(), plan().limit.operation));
    if (f.how == core::result::failed) {
        emit(core::warned{
            fmt::format("snapshot {1} of instance {0} could not be deleted ({2}): `incus snapshot delete {0} {1}`",
                        plan().instance, snapshot_name(), core::describe(f.why))});
    }
    return f;
}

/// Takes the key off, if it is ours.
core::finished transaction::unlock() {
    const auto take_off = [&]() -> core::expected<void> {
        BELAY_TRY(const bool, taken, write_lock({}, true));
        return taken ? core::expected<void>{}
                     : core::failure(core::reason::locked, "its configuration changes all the time");
    };
    if (!held_) {
        return {}; // another belay of this host holds the instance: nothing on it is ours
    }
    auto f = repeated({core::act::unlock, {}}, take_off());
    if (f.how == core::result::failed) {
        emit(core::warned{fmt::format("the lock of instance {} could not be taken off ({}); the next belay replaces it",
                                      plan().instance, core::describe(f.why))});
    }
    return f;
}

} // namespace belay::run
