// SPDX-License-Identifier: Apache-2.0
// The acts up to the upgrade: examining, locking, the snapshot and the command.
#include "core/coverage.hpp"
#include "core/durations.hpp"
#include "core/text.hpp"
#include "core/waiting_command.hpp"
#include "run/baseline.hpp"
#include "run/limits.hpp"
#include "run/outcome.hpp"
#include "run/preflight.hpp"
#include "run/transaction.hpp"

#include <fmt/format.h>

namespace belay::run {

namespace {

/// How long the status of an instance that goes down may lag behind.
constexpr core::milliseconds going_down_limit{5'000};

/// How long an operation on the instance is waited for before a signal is looked for again.
constexpr core::milliseconds one_turn{500};

/// Says by its exit status whether a restart would change anything: 0 it would, 1 it would not.
constexpr std::string_view restart_needed_script = R"sh(
[ -e /run/reboot-required ] || [ -e /var/run/reboot-required ] && exit 0
if command -v needs-restarting >/dev/null 2>&1; then
    needs-restarting -r >/dev/null 2>&1 || exit 0
elif command -v dnf >/dev/null 2>&1 && dnf -q needs-restarting --help >/dev/null 2>&1; then
    dnf -q needs-restarting -r >/dev/null 2>&1 || exit 0
fi
for maps in /proc/[0-9]*/maps; do
    while read -r _ _ _ _ inode file; do
        case "$inode $file" in 0\ *) ;; *.so*' (deleted)') exit 0 ;; esac
    done <"$maps"
done 2>/dev/null
exit 1
)sh";

/// Exit status 0 when the instance has booted, as far as it can tell.
constexpr std::string_view booted_script = R"sh(
[ -d /run/systemd/system ] || exit 0
case $(systemctl is-system-running 2>/dev/null) in initializing | starting) exit 1 ;; esac
exit 0
)sh";

} // namespace

core::expected<void> transaction::examine() {
    BELAY_TRY(auto, now, world_.host.examine(request_limit));
    examined_ = std::move(now);
    if (daemon_.empty()) {
        daemon_ = examined_.daemon;
    }
    return {};
}

core::finished transaction::preflight() {
    if (auto done = examine(); !done) {
        return failed(done.error());
    }
    // First of all: what another transaction left half-done must not be started, mended or upgraded.
    if (auto opinion = opinion_on_lock(); opinion.how == core::lock_state::held) {
        auto f = failed(std::move(opinion.why));
        f.facts = examined_.facts;
        return f;
    }
    if (auto allowed = check_facts(examined_.facts, plan()); !allowed) {
        auto f = failed(allowed.error());
        f.facts = examined_.facts;
        return f;
    }
    if (plan().checks.empty()) {
        prepare_command(); // the baseline takes no time then
    }
    auto f = outcome_of(plan().undoes_kept ? find_snapshot() : check_restorable());
    if (f.how == core::result::failed && world_.inbox.interrupts().stop_requested()) {
        f = cancelled(std::move(f));
    }
    f.facts = examined_.facts;
    return f;
}

/// With what the facts decide, which the state knows only when the preflight is over.
core::plan transaction::settled_plan() const {
    auto how = plan();
    core::settle(how, examined_.facts);
    return how;
}

/// Somebody else's operation is waited for in turns, so that a signal ends the wait.
core::expected<void> transaction::check_restorable() {
    auto how = settled_plan();
    how.limit.busy = std::min(plan().limit.busy, one_turn);
    const auto give_up = world_.clock.monotonic() + plan().limit.busy;
    for (;;) {
        auto done = world_.host.check_restorable(examined_.facts, how, request_limit);
        const bool busy = !done && done.error().code == core::reason::locked;
        if (!busy || world_.clock.monotonic() >= give_up || world_.inbox.interrupts().stop_requested()) {
            return done;
        }
    }
}

/// What an undo restores must be there, and what it needs. Looked at again, although whoever asked for it has seen it:
/// this is the last look before the lock.
core::expected<void> transaction::find_snapshot() {
    BELAY_TRY(const auto, found, world_.host.examine_snapshot(restored_snapshot(), request_limit));
    if (!found.missing.empty()) {
        return core::failure(core::reason::not_restorable,
                             fmt::format("snapshot {} of instance {} needs what does not exist any more: {}",
                                         restored_snapshot(), plan().instance, fmt::join(found.missing, ", ")));
    }
    for (const auto& target : plan().targets) {
        if (target == "root") {
            continue; // it was just read
        }
        BELAY_TRY(const bool, there, world_.host.has_snapshot(target, restored_snapshot(), request_limit));
        if (!there) {
            return core::failure(core::reason::not_restorable,
                                 fmt::format("volume {} has no snapshot {}: the instance cannot go back without it",
                                             target, restored_snapshot()));
        }
    }
    return {};
}

std::string transaction::own_lock() const {
    return core::to_text(world_.locks.self(request_.txn));
}

/// What the key on the instance, as it was read last, means for this transaction.
core::lock_opinion transaction::opinion_on_lock() const {
    const auto self = world_.locks.self(request_.txn);
    const auto holder = core::parse_lock(examined_.lock);
    const auto known =
        holder ? world_.locks.knowledge(holder->txn, examined_.facts.uuid) : core::journal_knowledge::unknown;
    return core::judge_lock(examined_.lock, self, plan().instance, known, holder && world_.locks.alive(*holder),
                            plan().takes_over ? plan().undoes : std::string{});
}

/// One try at the key: true when it is ours now, false when the configuration had changed and was read again.
core::expected<bool> transaction::swap_lock() {
    const auto opinion = opinion_on_lock();
    switch (opinion.how) {
    case core::lock_state::ours:
        return true;
    case core::lock_state::held:
        return std::unexpected(opinion.why);
    case core::lock_state::stale:
    case core::lock_state::free:
        break;
    }
    const ports::instance_change own{{{std::string(core::lock_key_name), own_lock()}}};
    BELAY_TRY(auto, swap, world_.host.change(own, examined_.etag, request_limit));
    if (swap == ports::swapped::done) {
        if (opinion.how == core::lock_state::stale) {
            emit(core::warned{opinion.warning});
        }
        return true;
    }
    BELAY_TRY_VOID(examine());
    BELAY_TRY_VOID(check_facts(examined_.facts, plan()));
    return false;
}

core::finished transaction::lock() {
    if (!held_) {
        auto held = world_.locks.take(examined_.facts.server, plan().project, plan().instance, request_.txn);
        if (!held) {
            return failed(held.error());
        }
        held_ = *std::move(held);
    }
    prepare_baseline();
    for (int i = 0; i < swap_attempts; ++i) {
        auto ours = swap_lock();
        if (!ours) {
            return patient({core::act::lock, {}}, failed(ours.error()));
        }
        if (*ours) {
            core::finished f;
            f.facts = examined_.facts;
            return f;
        }
    }
    return failed({core::reason::locked,
                   fmt::format("the configuration of instance {} changes all the time: something else works on it; "
                               "find out what (`incus monitor`), and try again",
                               plan().instance)});
}

/// What a snapshot that was cut short has left: it may be there without being whole, and a daemon that died in it may
/// have left the instance frozen (driver dir).
core::expected<void> transaction::clear_half_made(const std::string& target) {
    if (!plan().pauses) {
        BELAY_TRY_VOID(world_.host.unpause(plan().limit.operation));
    }
    return world_.host.discard(target, snapshot_name(), plan().limit.operation);
}

core::finished transaction::snapshot(const std::string& target, int attempt_number) {
    auto done = attempt_number > 1 ? clear_half_made(target) : core::expected<void>{};
    if (done) {
        done = world_.host.snapshot(target, snapshot_name(), plan().limit.operation, [this] { begin_beside(); });
    }
    return patient({core::act::snapshot, target}, outcome_of(done));
}

ports::guest_command transaction::command_in_guest() const {
    const auto& command = plan().command;
    return {.argv = command.argv,
            .env = request_.env,
            .user = command.user,
            .group = command.group,
            .cwd = command.cwd,
            .interactive = command.interactive};
}

/// The command that waits already, or else the one that is begun now.
core::expected<ports::guest_exit> transaction::run_command(const ports::output_sink& sink) {
    const auto stop = world_.inbox.interrupts();
    if (is_waiting_beside()) {
        const auto command = std::move(beside_);
        return command->go_on(turn_of_command(), plan().limit.upgrade, sink, stop);
    }
    end_beside();
    prepare_verify();
    return world_.host.exec(command_in_guest(), plan().limit.upgrade, sink, stop);
}

core::finished transaction::upgrade() {
    std::uint64_t bytes = 0;
    const auto sink = [&](core::output::stream from, std::string_view piece) {
        bytes += piece.size();
        show(core::output{from, std::string(piece)});
        if (auto logged = world_.journal.log(piece); !logged && !log_failed_) {
            log_failed_ = true;
            emit(core::warned{core::describe(logged.error())});
        }
    };
    const auto end = run_command(sink);
    if (auto logged = world_.journal.finish_log(); !logged && !log_failed_) {
        emit(core::warned{core::describe(logged.error())});
    }
    if (end && end->how == ports::ended::exited && end->exit_code != 0) {
        prepare_evidence();
    }
    proved_running_ = end && end->proved_running;
    auto f = end ? ended_command(*end, bytes) : failed(why_not_begun(end.error()));
    // What it changed is seen by verify, or saved with the evidence.
    const bool no_evidence = f.command && f.how != core::result::ok && !plan().saves_evidence;
    if (const auto lister = no_evidence ? listing_after() : std::nullopt) {
        const auto stop = world_.inbox.interrupts();
        f.packages = packages_changed(world_.checks.run({}, lister, context(core::act::upgrade, 1), stop).listed);
    }
    return f;
}

core::finished transaction::ended_command(const ports::guest_exit& end, std::uint64_t bytes) {
    core::finished f;
    switch (end.how) {
    case ports::ended::cancelled:
        return cancelled(std::move(f));
    case ports::ended::timed_out:
        f.how = core::result::timed_out;
        f.why = {core::reason::timeout,
                 fmt::format("the command did not end within {}", core::format_duration(plan().limit.upgrade))};
        return f;
    case ports::ended::lost:
        f.how = core::result::failed;
        f.why = why_end_is_unknown(end.why);
        return f;
    case ports::ended::exited:
        break;
    }
    f.command = core::command_end{end.exit_code, bytes};
    if (end.exit_code != 0) {
        f.how = core::result::failed;
        f.why = why_command_failed(end.exit_code);
    }
    return f;
}

/// Whether the instance stopped, or restarted, since it was examined. An instance that goes down ends its programs with
/// 137 (a container) or 129 (a virtual machine) some time before its status says so: then it must prove that it runs.
core::expected<bool> transaction::went_down(int exit_code) {
    const bool suspicious = exit_code == 137 || exit_code == 129;
    const auto give_up = world_.clock.monotonic() + going_down_limit;
    for (;;) {
        BELAY_TRY(const auto, now, world_.host.examine(request_limit));
        if (!now.facts.running || now.facts.last_used_at != examined_.facts.last_used_at) {
            return true;
        }
        if (!suspicious || world_.host.prove_running(request_limit)) {
            return false;
        }
        if (world_.clock.monotonic() >= give_up) {
            return true; // nothing can be run in it any more
        }
        world_.inbox.wait(core::milliseconds{50}, {});
    }
}

/// What the daemon says became of it and of the instance, when a command did not end well; nothing, when both are
/// there.
std::optional<core::error> transaction::lost_meanwhile(int exit_code) {
    const auto down =
        daemon_was_lost() ? core::expected<bool>(core::failure(core::reason::no_daemon, "")) : went_down(exit_code);
    if (!down && down.error().code == core::reason::no_daemon) {
        return core::error{core::reason::daemon_lost,
                           "the Incus daemon was lost while the command ran, and with it the exit status",
                           core::describe(down.error())};
    }
    if (!down || *down) {
        return core::error{core::reason::instance_went_down,
                           fmt::format("instance {} went down while the command ran", plan().instance),
                           down ? std::string{} : core::describe(down.error())};
    }
    return std::nullopt;
}

/// Nothing was started.
core::error transaction::why_not_begun(const core::error& why) {
    if (why.code == core::reason::no_daemon) {
        return {core::reason::daemon_lost, "the Incus daemon was lost before the command began", core::describe(why)};
    }
    if (why.code == core::reason::command_failed) {
        return why; // it says itself what is wrong with the command
    }
    if (auto lost = lost_meanwhile(0)) {
        return *std::move(lost);
    }
    return {core::reason::command_failed, "the command could not be started", core::describe(why)};
}

core::error transaction::why_end_is_unknown(const std::string& why) {
    if (auto lost = lost_meanwhile(0)) {
        return *std::move(lost);
    }
    return {core::reason::command_failed, "how the command ended is not known", why};
}

/// An exit status may come from the command or from the end of the instance. Who has lived in the instance since before
/// the command, and has run a program behind it, knows that it is the command's.
core::error transaction::why_command_failed(int exit_code) {
    if (auto lost = proved_running_ ? std::nullopt : lost_meanwhile(exit_code)) {
        return *std::move(lost);
    }
    const auto program = plan().command.argv.empty() ? std::string{} : core::printable(plan().command.argv.front());
    switch (exit_code) {
    case 126:
        return {core::reason::command_failed,
                fmt::format("the command could not be executed: '{}' (exit status 126)", program)};
    case 127:
        return {core::reason::command_failed,
                fmt::format("the command was not found in the instance: '{}' (exit status 127)", program)};
    default:
        break;
    }
    if (exit_code > 128) {
        return {core::reason::command_failed,
                fmt::format("the command exited with {} (signal {})", exit_code, exit_code - 128)};
    }
    return {core::reason::command_failed, fmt::format("the command exited with {}", exit_code)};
}

core::expected<bool> transaction::restart_needed() {
    const ports::guest_command what{.argv = {"sh", "-c", std::string(restart_needed_script)}};
    BELAY_TRY(auto, end,
              world_.host.exec(
                  what, plan().limit.retry_for, [](auto, auto) {}, world_.inbox.interrupts()));
    // Whoever cannot tell restarts: it is what the user allowed, and the safer error.
    return end.how != ports::ended::exited || end.exit_code != 1;
}

/// Waits until the instance has booted: a program can be run in it, and its systemd, if it has one, has no job any
/// more. Error: restart_failed, when it hangs.
core::expected<void> transaction::await_boot(core::milliseconds limit) {
    const auto stop = state().decision ? std::stop_token{} : world_.inbox.interrupts();
    const auto give_up = world_.clock.monotonic() + limit;
    for (pacing pace; !stop.stop_requested();) {
        const ports::guest_command what{.argv = {"sh", "-c", std::string(booted_script)}};
        const auto asked = world_.host.exec(
            what, request_limit, [](auto, auto) {}, stop);
        if (asked && asked->how == ports::ended::exited && asked->exit_code == 0) {
            return {};
        }
        if (world_.clock.monotonic() >= give_up) {
            break;
        }
        world_.inbox.wait(pace.next(), stop);
    }
    return core::failure(core::reason::restart_failed,
                         fmt::format("instance {} has not booted within {} (`systemctl list-jobs` in it shows what "
                                     "it waits for)",
                                     plan().instance, core::format_duration(limit)));
}

core::finished transaction::restart() {
    if (plan().restart == core::restart_policy::if_needed) {
        const auto needed = restart_needed();
        if (needed && !*needed) {
            return {};
        }
    }
    const auto begin = world_.clock.boottime();
    auto done = world_.host.stop(plan().limit.stop, plan().limit.operation);
    if (done) {
        done = world_.host.start(plan().limit.operation);
    }
    if (done) {
        done = await_boot(plan().limit.restart);
    }
    if (world_.inbox.interrupts().stop_requested()) {
        return cancelled({});
    }
    if (!done && away(done.error())) {
        return patient({core::act::restart, {}}, failed(done.error()));
    }
    if (!done) {
        return failed({core::reason::restart_failed,
                       fmt::format("instance {} did not come back from the restart", plan().instance),
                       core::describe(done.error())});
    }
    core::finished f;
    f.down_seconds = world_.clock.boottime() - begin;
    return f;
}

} // namespace belay::run
