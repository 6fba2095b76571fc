// SPDX-License-Identifier: Apache-2.0
#include "report/narrator.hpp"

#include "core/coverage.hpp"
#include "core/durations.hpp"
#include "core/next.hpp"
#include "core/text.hpp"
#include "report/pieces.hpp"

#include <fmt/format.h>
#include <utility>

namespace belay::report {

namespace {

using core::act;

std::string listed(const std::vector<std::string>& items) {
    constexpr std::size_t most = 6;
    std::string text;
    for (std::size_t i = 0; i < items.size() && i < most; ++i) {
        text += (i == 0 ? "" : ", ") + items[i];
    }
    return items.size() > most ? fmt::format("{} and {} more", text, items.size() - most) : text;
}

/// The required checks of a round that are not content, by name.
std::string discontent(const std::vector<core::judged>& round) {
    std::vector<std::string> names;
    for (const auto& check : round) {
        if (!check.acceptable && check.required) {
            names.push_back(check.name);
        }
    }
    return listed(names);
}

std::string confirm_detail(const std::optional<core::wall_time>& until) {
    return until ? fmt::format("waits until {}, then the upgrade is undone", utc(*until))
                 : std::string("waits for a confirmation");
}

std::string verify_detail(const core::limits& limit) {
    const auto retry = fmt::format("the checks have {} to pass", core::format_duration(limit.retry_for));
    return limit.soak.count() == 0
               ? retry
               : fmt::format("{} and must stay good for {}", retry, core::format_duration(limit.soak));
}

} // namespace

std::vector<notice> narrator::see(const core::record& r) {
    std::vector<notice> told;
    txn_ = r.txn;
    instance_ = r.instance;
    std::visit([&](const auto& e) { add(e, told); }, r.what);
    return told;
}

void narrator::add(const core::opened& e, std::vector<notice>& told) {
    how_ = e.how;
    decision_.reset();
    commit_.reset();
    repeats_.reset();
    seconds_ = 0;
    goes_on_ = false;
    told.push_back(remark{remark::kind::head, fmt::format("{}  {}", instance_, txn_)});
}

void narrator::add(const core::started& e, std::vector<notice>& told) {
    const bool repeated = std::exchange(repeats_, std::nullopt) == e.what;
    if (repeated || (decision_ == core::verdict::commit && commit_)) {
        return;
    }
    said_.clear();
    soaks_ = false;
    round_ = 0;
    if (decision_ == core::verdict::commit) {
        commit_ = phase_ended{e.what.what, "commit", 0, true, {}, {}, false};
    }
    phase_began begun{e.what.what, label_of(e.what), detail_of(e)};
    begun.interactive = e.what.what == act::upgrade && how_.command.interactive;
    if (e.what.what == act::confirm) {
        begun.open = {{"to keep", "belay confirm " + txn_}, {"to undo", "belay rollback " + txn_}};
        begun.asks = !goes_on_;
    }
    told.push_back(std::move(begun));
}

void narrator::add(const core::finished& e, std::vector<notice>& told) {
    seconds_ += e.seconds;
    if (e.facts) {
        core::settle(how_, *e.facts);
    }
    if (e.how == core::result::again) {
        auto text = core::describe(e.why);
        const bool news = !text.empty() && text != said_;
        told.push_back(phase_status{text.empty() ? "trying again" : text + "; trying again", news, 0});
        said_ = std::move(text);
        repeats_ = e.what;
        return;
    }
    const bool ok = e.how == core::result::ok;
    const auto message = ok ? std::string{} : core::describe(e.why);
    if (commit_) {
        commit_->seconds += seconds_;
        commit_->ok = commit_->ok && ok;
        commit_->message += commit_->message.empty() || message.empty() ? message : "; " + message;
    } else {
        const bool judged = !e.judgements.empty();
        auto checks = judged ? e.judgements : core::judge_baseline(e.checks);
        const bool told_by_checks = !core::acceptable(checks);
        told.push_back(phase_ended{e.what.what, label_of(e.what), seconds_, ok,
                                   told_by_checks ? std::string{} : message, std::move(checks), judged});
        tell_results(e, told);
    }
    seconds_ = 0;
}

/// What came of a phase, beside its success.
void narrator::tell_results(const core::finished& e, std::vector<notice>& told) const {
    const auto detail = [&](std::string text) { told.push_back(remark{remark::kind::detail, std::move(text)}); };
    if (e.packages) {
        detail("packages: " + core::one_line(*e.packages));
    }
    if (!e.evidence.empty()) {
        detail(fmt::format("saved: {}", fmt::join(e.evidence, ", ")));
    }
    if (!e.copy.empty()) {
        detail(fmt::format("{} has the broken state, and is stopped", e.copy));
    }
    if (e.facts && e.why.code == core::reason::uncovered) {
        told.push_back(not_covered{coverage_rows(*e.facts, how_), core::uncovered_options(*e.facts, how_)});
    }
}

void narrator::add(const core::decided& e, std::vector<notice>& told) {
    decision_ = e.what;
    if (e.what == core::verdict::undo) {
        told.push_back(remark{remark::kind::decision, "going back to the snapshot"});
    }
}

void narrator::add(const core::interrupted& e, std::vector<notice>& told) {
    told.push_back(remark{remark::kind::warning, core::describe(e.why)});
}

void narrator::add(const core::warned& e, std::vector<notice>& told) {
    told.push_back(remark{remark::kind::warning, e.message});
}

void narrator::add(const core::resumed&, std::vector<notice>& told) {
    commit_.reset();
    repeats_.reset();
    seconds_ = 0;
    goes_on_ = true;
    told.push_back(remark{remark::kind::head, fmt::format("{}  {} was interrupted and goes on", instance_, txn_)});
}

void narrator::add(const core::closed& e, std::vector<notice>& told) {
    end_commit(told);
    told.push_back(ended{e.summary});
}

/// The last round of a baseline, and a round that ends a soak, are told by the end of their phase.
void narrator::add(const core::checked& e, std::vector<notice>& told) {
    ++round_;
    const auto names = discontent(e.judgements);
    if (e.what.what == act::confirm) {
        return add_round_of_confirm(names, told);
    }
    if (soaks_ || e.what.what == act::baseline) {
        return;
    }
    auto text = names.empty() ? fmt::format("round {}: every required check passes", round_)
                              : fmt::format("round {}: waiting for {}", round_, names);
    told.push_back(phase_status{std::move(text), !names.empty() && names != said_, 0});
    said_ = names;
}

/// The checks go on while a confirmation is waited for: only a change is worth a line.
void narrator::add_round_of_confirm(const std::string& discontented, std::vector<notice>& told) {
    auto text = discontented.empty()
                    ? std::string(said_.empty() ? "every required check passes" : "every required check passes again")
                    : fmt::format("waiting for {}: the upgrade is undone if that lasts {}", discontented,
                                  core::format_duration(how_.limit.retry_for));
    told.push_back(phase_status{std::move(text), discontented != said_, 0});
    said_ = discontented;
}

void narrator::add(const core::soaking& e, std::vector<notice>& told) {
    if (e.what.what == act::confirm) {
        told.push_back(phase_status{said_.empty() ? std::string{} : "waiting for " + said_, false, e.seconds_left});
        return;
    }
    const bool first = !std::exchange(soaks_, true);
    told.push_back(phase_status{"the checks pass and must stay good", first, e.seconds_left});
}

std::string narrator::label_of(const core::key& what) const {
    const auto name = std::string(core::phase_name(what.what, decision_));
    const bool several = !what.target.empty() && how_.targets.size() > 1 && !commit_;
    return several ? name + " " + what.target : name;
}

/// What happens around the snapshots.
std::string narrator::detail_of_moment(act what) const {
    const bool stops = how_.mode == core::snapshot_mode::stopped;
    if (what == act::pre) {
        return hooks_text(how_.pre);
    }
    if (what == act::quiesce) {
        return hooks_text(how_.quiesce);
    }
    if (what == act::resume) {
        return hooks_text(how_.resume);
    }
    if (what == act::pause) {
        return stops ? "stopping the instance for its snapshots" : "freezing the instance for its snapshots";
    }
    return what == act::unpause && stops ? "starting the instance again" : "";
}

/// Only phases that may last, and where it says something that the label does not.
std::string narrator::detail_of(const core::started& e) const {
    if (e.what.what == act::keep_failed) {
        return "copying the broken state to " + core::failed_copy_name(how_.instance, txn_);
    }
    if (e.what.what == act::upgrade) {
        return core::shell_line(how_.command.argv);
    }
    if (e.what.what == act::verify) {
        return verify_detail(how_.limit);
    }
    if (e.what.what == act::restart) {
        return how_.restart == core::restart_policy::if_needed ? "restarting the instance, if that is needed"
                                                               : "restarting the instance";
    }
    if (e.what.what == act::confirm) {
        return confirm_detail(e.until);
    }
    return detail_of_moment(e.what.what);
}

void narrator::end_commit(std::vector<notice>& told) {
    if (commit_) {
        told.push_back(*commit_);
        commit_.reset();
    }
}

std::string describe(const core::judged& check, bool against_baseline) {
    std::vector<std::string> parts;
    if (auto seen = core::with_baseline(check); !seen.empty()) {
        parts.push_back(std::move(seen));
    }
    if (against_baseline && check.final == core::health::skip && check.baseline == core::health::pass) {
        parts.emplace_back("does not apply any more, and passed before");
    }
    if (!check.lost_good.empty()) {
        parts.push_back("lost " + listed(check.lost_good));
    }
    if (!check.new_bad.empty()) {
        parts.push_back("new " + listed(check.new_bad));
    }
    return fmt::format("{}", fmt::join(parts, "; "));
}

} // namespace belay::report
