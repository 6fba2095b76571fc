// SPDX-License-Identifier: Apache-2.0
#include "core/chronicle.hpp"

#include "core/manual.hpp"
#include "core/next.hpp"
#include "core/text.hpp"

#include <algorithm>
#include <utility>

namespace belay::core {

namespace {

/// The round that a report shows: every check of the baseline, with what the latest round after the upgrade said.
std::vector<judged> merged(std::vector<judged> checks, const std::vector<judged>& round) {
    for (const auto& now : round) {
        const auto known = std::ranges::find(checks, now.name, &judged::name);
        if (known == checks.end()) {
            checks.push_back(now);
        } else {
            *known = now;
        }
    }
    return checks;
}

/// The exit status of `incus exec` itself when it lost the daemon cannot be told from the command's, so it counts only
/// when the command is why the transaction ended, or when it succeeded.
bool exit_is_known(const finished& e) {
    return e.command && (e.how == result::ok || e.why.code == reason::command_failed);
}

} // namespace

void chronicle::see(const record& r) {
    if (transient(r.what)) {
        return;
    }
    if (txn_.empty()) {
        txn_ = r.txn;
        opened_ = r.time;
        first_boottime_ = r.boottime;
        last_time_ = r.time;
    }
    take_time(r);
    if (const auto* begin = std::get_if<core::started>(&r.what)) {
        begin_phase(r, *begin);
    } else if (const auto* end = std::get_if<finished>(&r.what)) {
        end_phase(*end);
        take_snapshots(*end);
        take_downtime(*end);
        take_keepsakes(*end);
    } else if (const auto* warning = std::get_if<warned>(&r.what)) {
        warnings_.push_back(warning->message);
    }
    fold(state_, r.what);
}

/// The time since boot goes on over a restart of the host by the time of day: nothing else knows how long it was off.
void chronicle::take_time(const record& r) {
    const bool restarted = was_restarted(r.what) || r.boottime + booted_later_ < last_boottime_;
    if (restarted) {
        const auto away = std::max(r.time - last_time_, milliseconds{0});
        booted_later_ = last_boottime_ + std::chrono::duration<double>(away).count() - r.boottime;
    }
    last_boottime_ = r.boottime + booted_later_;
    last_time_ = r.time;
}

/// Whether the process that goes on runs in another start of the host than the one before it.
bool chronicle::was_restarted(const event& what) {
    if (const auto* begin = std::get_if<opened>(&what)) {
        boot_id_ = begin->boot_id;
    }
    const auto* next = std::get_if<resumed>(&what);
    return next != nullptr && std::exchange(boot_id_, next->boot_id) != next->boot_id;
}

void chronicle::begin_phase(const record& r, const core::started& e) {
    if (e.what.what == act::stop && !stopped_at_) {
        stopped_at_ = last_boottime_;
    }
    if (e.what.what == act::upgrade) {
        ran_command_ = true;
    }
    if (e.what.what == act::snapshot) {
        snapshot_exists_ = true; // whether it is whole is another question
    }
    const auto name = phase_name(e.what.what, state_.decision);
    const bool goes_on = !phases_.empty() && phases_.back().name == name && phases_.back().target == e.what.target;
    if (!goes_on) {
        phases_.push_back({std::string(name), e.what.target, r.time, 0, false, {}});
    }
}

void chronicle::end_phase(const core::finished& e) {
    if (phases_.empty()) {
        return;
    }
    auto& current = phases_.back();
    current.seconds += e.seconds;
    current.ok = e.how == result::ok;
    current.message = current.ok ? std::string{} : describe(e.why);
    if (e.what.what == act::baseline) {
        checks_ = judge_baseline(e.checks);
    }
    take_judgements(e);
    if (exit_is_known(e)) {
        command_exit_ = e.command->exit_code;
    }
}

/// After a rollback a report shows what was wrong with the upgrade, unless the old state has something wrong too.
void chronicle::take_judgements(const core::finished& e) {
    if (e.what.what == act::reverify && verified_ && e.how == result::ok) {
        return;
    }
    verified_ = verified_ || e.what.what == act::verify;
    checks_ = merged(std::move(checks_), e.judgements);
}

void chronicle::take_snapshots(const core::finished& e) {
    const bool own = std::ranges::find(state_.how.targets, e.what.target) != state_.how.targets.end();
    if (e.what.what == act::discard && own && e.how == result::ok) {
        snapshot_exists_ = false;
    }
}

void chronicle::take_downtime(const finished& e) {
    if (e.what.what == act::start && e.how == result::ok && stopped_at_) {
        downtime_ += last_boottime_ - *stopped_at_;
        stopped_at_.reset();
    }
    downtime_ += e.down_seconds.value_or(0);
}

/// What stays of the transaction.
void chronicle::take_keepsakes(const finished& e) {
    if (!e.evidence.empty()) {
        evidence_ = e.evidence;
    }
    if (!e.copy.empty()) {
        failed_copy_ = e.copy;
    }
    if (e.what.what == act::keep && e.how == result::ok) {
        expires_ = e.expires;
    }
}

std::string chronicle::message(outcome how) const {
    if (how == outcome::unchanged) {
        return "the command succeeded and changed no package: there is nothing to undo";
    }
    if (how == outcome::committed) {
        return "the upgrade is kept: " +
               std::string(checks_.empty() ? "the instance runs" : "every required check passes");
    }
    std::string text;
    if (state_.how.undoes_kept && state_.restored()) {
        text = "the upgrade of transaction " + state_.how.undoes + " is undone";
    }
    for (const auto& e : state_.why) {
        const auto sentence = describe(e);
        if (text.find(sentence) == std::string::npos) {
            text += (text.empty() ? "" : "; then ") + sentence;
        }
    }
    return text;
}

report chronicle::summary(outcome how) const {
    const auto& plan = state_.how;
    report r;
    r.transaction = txn_;
    r.instance = plan.instance;
    r.project = plan.project;
    r.command = plan.command.argv;
    r.how = how;
    r.undoes = plan.undoes;
    const bool kept = how == outcome::committed || how == outcome::unchanged;
    r.why = kept || state_.why.empty() ? reason::ok : state_.why.front().code;
    r.message = message(how);
    r.exit_code = plan.undoes_kept ? exit_code_of_undo(how) : exit_code(how);
    r.command_exit = command_exit_;
    r.snapshot = snapshot_exists_ ? snapshot_name(txn_) : std::string{};
    r.snapshot_expires = expires_;
    r.started = opened_.value_or(wall_time{});
    r.seconds = last_boottime_ - first_boottime_;
    r.phases = phases_;
    if (state_.pending && !phases_.empty()) {
        r.phases.back().message = "has not ended";
    }
    r.checks = checks_;
    r.packages = state_.packages;
    r.evidence = evidence_;
    r.failed_copy = failed_copy_;
    r.warnings = warnings_;
    for (const auto& e : state_.why) {
        if (kept) {
            r.warnings.push_back(describe(e));
        }
    }
    r.downtime_seconds = downtime_;
    r.log = ran_command_ && !plan.command.interactive ? log_file_ : std::string{};
    if (how == outcome::stuck) {
        r.manual = manual_commands(state_, txn_);
    }
    return r;
}

} // namespace belay::core
