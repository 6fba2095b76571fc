// SPDX-License-Identifier: Apache-2.0
// What surrounds the snapshots, so that all of them are of one good moment: hooks, a pause or a stop of the instance,
// and schedules that must not take one in between.
#include "core/coverage.hpp"
#include "core/durations.hpp"
#include "core/text.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <fmt/format.h>

namespace belay::run {

namespace {

/// How often the snapshot of a target is taken again because a schedule was quicker.
constexpr int most_snapshots = 3;

} // namespace

/// Error: hook_failed or, around the snapshots, snapshot_failed, with the last that it said; or that it could not be
/// run.
core::expected<void> transaction::run_hook(core::act when, const core::check_spec& hook, std::stop_token stop) {
    BELAY_TRY(const auto, said, world_.checks.run_hook(hook, context(when, 1), {}, stop));
    if (said.how == core::health::pass || said.how == core::health::skip) {
        return {};
    }
    const auto name = hook.file.empty() ? fmt::format("{} command", core::to_word(when))
                                        : fmt::format("{} hook {}", core::to_word(when), hook.name);
    return core::failure(when == core::act::pre ? core::reason::hook_failed : core::reason::snapshot_failed,
                         fmt::format("the {} of instance {} failed", core::printable(name), plan().instance),
                         said.summary);
}

/// Up to the first one that fails.
core::expected<void> transaction::run_hooks(core::act when, const std::vector<core::check_spec>& hooks) {
    const auto stop = world_.inbox.interrupts();
    for (const auto& hook : hooks) {
        if (!stop.stop_requested()) {
            BELAY_TRY_VOID(run_hook(when, hook, stop));
        }
    }
    return {};
}

/// Every one of them, and never cut short: what was quiesced must not stay so. The first error.
core::expected<void> transaction::resume_all() {
    core::expected<void> first;
    for (const auto& hook : plan().resume) {
        if (auto done = run_hook(core::act::resume, hook, {}); !done && first) {
            first = std::move(done);
        }
    }
    return first;
}

core::finished transaction::pre() {
    auto done = run_hooks(core::act::pre, plan().pre);
    if (world_.inbox.interrupts().stop_requested()) {
        return cancelled({});
    }
    return patient({core::act::pre, {}}, outcome_of(done));
}

core::finished transaction::quiesce() {
    auto done = run_hooks(core::act::quiesce, plan().quiesce);
    if (world_.inbox.interrupts().stop_requested()) {
        return cancelled({});
    }
    return patient({core::act::quiesce, {}}, outcome_of(done));
}

core::finished transaction::resume_hook() {
    return repeated({core::act::resume, {}}, resume_all());
}

core::finished transaction::pause() {
    if (plan().undoes_kept && !examined_.facts.running) {
        return {}; // what does not run changes nothing
    }
    if (plan().mode != core::snapshot_mode::stopped) {
        return patient({core::act::pause, {}}, outcome_of(world_.host.pause(plan().limit.operation)));
    }
    const auto begin = world_.clock.monotonic();
    paused_at_ = paused_at_.value_or(world_.clock.boottime());
    const auto done = world_.host.stop(plan().limit.stop, plan().limit.operation);
    if (done && plan().limit.stop > core::milliseconds{0} && world_.clock.monotonic() - begin >= plan().limit.stop) {
        emit(core::warned{
            fmt::format("instance {} did not stop within {} and was stopped by force: its snapshot is that "
                        "of a crash",
                        plan().instance, core::format_duration(plan().limit.stop))});
    }
    return patient({core::act::pause, {}}, outcome_of(done));
}

core::finished transaction::unpause() {
    const core::key self{core::act::unpause, {}};
    if (plan().mode != core::snapshot_mode::stopped) {
        return repeated(self, world_.host.unpause(plan().limit.operation));
    }
    auto done = world_.host.start(plan().limit.operation);
    std::optional<double> down;
    if (done && paused_at_) {
        down = world_.clock.boottime() - *paused_at_;
    }
    if (done && !state().decision) {
        if (auto booted = await_boot(plan().limit.restart); !booted) {
            emit(core::warned{core::describe(booted.error())});
        }
        done = examine(); // its last start is another one now, and not the upgrade's
    }
    auto f = repeated(self, std::move(done));
    if (f.how == core::result::ok) {
        f.down_seconds = down;
        paused_at_.reset();
    }
    return f;
}

/// A schedule that was quicker than its end has taken a newer snapshot, and then this storage restores only that one:
/// so the own one is taken again, unless it would not be of the same moment as the others any more.
core::expected<void> transaction::take_again(const std::string& target) {
    for (int i = 0; i < most_snapshots; ++i) {
        BELAY_TRY(const auto, all, world_.host.list_snapshots(target, plan().limit.operation));
        if (!all.empty() && all.back().name == snapshot_name()) {
            return {};
        }
        if (plan().pauses) {
            break;
        }
        BELAY_TRY_VOID(world_.host.discard(target, snapshot_name(), plan().limit.operation));
        BELAY_TRY_VOID(world_.host.snapshot(target, snapshot_name(), plan().limit.operation, {}));
    }
    return core::failure(core::reason::not_restorable,
                         fmt::format("a schedule took a newer snapshot of {} of instance {} than belay's own, and this "
                                     "storage restores only its newest one: try again",
                                     target, plan().instance));
}

core::finished transaction::switch_schedule_off(const std::string& target) {
    auto done = world_.host.schedule_off(target, plan().limit.operation);
    if (done) {
        done = take_again(target);
    }
    return patient({core::act::schedule_off, target}, outcome_of(done));
}

core::finished transaction::switch_schedule_on(const std::string& target) {
    const auto& facts = state().facts;
    const auto before = facts ? core::schedule_of(target, *facts) : std::nullopt;
    auto done = world_.host.schedule_on(target, before, plan().limit.operation);
    if (!done && done.error().code == core::reason::not_found) {
        done = {}; // what is gone takes no snapshots
    }
    auto f = repeated({core::act::schedule_on, target}, std::move(done));
    if (f.how == core::result::failed) {
        emit(core::warned{fmt::format("the snapshot schedule of {} of instance {} is still off ({}): `belay recover` "
                                      "puts it back",
                                      target, plan().instance, core::describe(f.why))});
    }
    return f;
}

} // namespace belay::run
