// SPDX-License-Identifier: Apache-2.0
#include "core/chronicle.hpp"

#include "core/incus_commands.hpp"
#include "core/next.hpp"
#include "core/text.hpp"

#include <algorithm>

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
    }
    last_boottime_ = r.boottime;
    if (const auto* begin = std::get_if<core::started>(&r.what)) {
        begin_phase(r, *begin);
    } else if (const auto* end = std::get_if<finished>(&r.what)) {
        end_phase(*end);
        take_snapshots(*end);
        take_downtime(r, *end);
    } else if (const auto* warning = std::get_if<warned>(&r.what)) {
        warnings_.push_back(warning->message);
    }
    fold(state_, r.what);
}

void chronicle::begin_phase(const record& r, const core::started& e) {
    if (e.what.what == act::stop && !stopped_at_ && downtime_ == 0) {
        stopped_at_ = r.boottime;
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
    if (e.what.what == act::discard && e.how == result::ok) {
        snapshot_exists_ = false;
    }
}

void chronicle::take_downtime(const record& r, const core::finished& e) {
    if (e.what.what == act::start && e.how == result::ok && stopped_at_) {
        downtime_ += r.boottime - *stopped_at_;
        stopped_at_.reset();
    }
    downtime_ += e.down_seconds.value_or(0);
}

std::string chronicle::message(outcome how) const {
    if (how == outcome::committed) {
        return "the upgrade is kept: " +
               std::string(checks_.empty() ? "the instance runs" : "every required check passes");
    }
    std::string text;
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
    const bool kept = how == outcome::committed || how == outcome::unchanged;
    r.why = kept || state_.why.empty() ? reason::ok : state_.why.front().code;
    r.message = message(how);
    r.exit_code = exit_code(how);
    r.command_exit = command_exit_;
    r.snapshot = snapshot_exists_ ? snapshot_name(txn_) : std::string{};
    r.started = opened_.value_or(wall_time{});
    r.seconds = last_boottime_ - first_boottime_;
    r.phases = phases_;
    if (state_.pending && !phases_.empty()) {
        r.phases.back().message = "has not ended";
    }
    r.checks = checks_;
    r.warnings = warnings_;
    for (const auto& e : state_.why) {
        if (kept) {
            r.warnings.push_back(describe(e));
        }
    }
    r.downtime_seconds = downtime_;
    r.log = ran_command_ && !plan.command.interactive ? log_file_ : std::string{};
    if (how == outcome::stuck) {
        r.manual = manual_commands(plan.instance, plan.project, txn_);
    }
    return r;
}

namespace {

bool reached(const report& r, std::string_view name) {
    return std::ranges::find(r.phases, name, &phase::name) != r.phases.end();
}

} // namespace

std::vector<std::string> manual_commands(const std::string& instance, const std::string& project,
                                         const std::string& txn) {
    const incus_commands incus(instance, project);
    return {incus.line("stop --force"), incus.line("snapshot restore", snapshot_name(txn)), incus.unlock(),
            incus.line("start")};
}

way_out end_by_hand(const report& so_far) {
    const incus_commands incus(so_far.instance, so_far.project);
    if (reached(so_far, "commit")) {
        return {"The upgrade was decided to be kept; what is left is the lock. To end it by hand:", {incus.unlock()}};
    }
    if (reached(so_far, "start")) {
        return {"The old state was restored and started. Look whether it runs; what is left is the lock. To end it by "
                "hand:",
                {incus.unlock()}};
    }
    if (reached(so_far, "upgrade")) {
        return {"The upgrade had begun. To bring the old state back by hand, in this order:",
                manual_commands(so_far.instance, so_far.project, so_far.transaction)};
    }
    if (!reached(so_far, "lock")) {
        return {"Nothing was changed.", {}};
    }
    way_out left{"The upgrade had not begun. To clean up by hand, in this order:", {}};
    if (reached(so_far, "pause")) {
        left.commands.push_back(incus.line("resume"));
    }
    if (!so_far.snapshot.empty()) {
        left.commands.push_back(incus.line("snapshot delete", so_far.snapshot));
    }
    left.commands.push_back(incus.unlock());
    return left;
}

} // namespace belay::core
