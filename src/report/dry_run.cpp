// SPDX-License-Identifier: Apache-2.0
#include "report/dry_run.hpp"

#include "core/coverage.hpp"
#include "core/durations.hpp"
#include "core/next.hpp"
#include "core/text.hpp"
#include "report/coverage_text.hpp"
#include "report/pieces.hpp"
#include "report/table.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::report {

namespace {

using core::act;
using core::format_duration;

void append_phase(std::vector<std::string>& phases, const core::key& what, std::optional<core::verdict> decision) {
    auto name = std::string(core::phase_name(what.what, decision));
    name += what.target.empty() || what.target == "root" ? "" : " " + what.target;
    if (phases.empty() || phases.back() != name) {
        phases.push_back(name);
    }
}

/// Plays the transaction against the rules: every act succeeds, but for the upgrade if it is to fail.
std::vector<std::string> play(const core::plan& how, const core::instance_facts& found, bool fails) {
    core::state s;
    core::fold(s, core::opened{how});
    std::vector<std::string> phases;
    for (;;) {
        const auto step = core::next(s);
        if (const auto* act_now = std::get_if<core::perform>(&step)) {
            const bool now = fails && act_now->what.what == act::upgrade;
            if (!fails || s.decision) {
                append_phase(phases, act_now->what, s.decision);
            }
            core::fold(s, core::started{act_now->what, act_now->attempt, {}});
            core::finished end;
            end.what = act_now->what;
            end.how = now ? core::result::failed : core::result::ok;
            if (end.what.what == act::preflight) {
                end.facts = found; // which volumes there are, and so which snapshots
            }
            core::fold(s, end);
        } else if (const auto* decision = std::get_if<core::decide>(&step)) {
            core::fold(s, core::decided{decision->what});
        } else {
            return phases;
        }
    }
}

std::string check_table(const core::plan& how, const style& look) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& check : how.checks) {
        rows.push_back({"   ", safe(check.name, look), std::string(core::to_word(check.where)),
                        check.required ? "required" : "only warns",
                        fmt::format("within {}", format_duration(check.timeout))});
    }
    return table(rows, look);
}

std::string identity(const core::command_spec& command) {
    std::string text;
    text += command.user ? fmt::format(", user {}", *command.user) : "";
    text += command.group ? fmt::format(", group {}", *command.group) : "";
    text += command.cwd.empty() ? "" : ", in " + command.cwd;
    text += command.env_names.empty() ? "" : fmt::format(", with {}", fmt::join(command.env_names, ", "));
    text += command.interactive ? ", interactive" : "";
    return text.empty() ? text : text.substr(2);
}

std::string limits_text(const core::plan& how) {
    const auto& limit = how.limit;
    const auto upgrade = limit.upgrade.count() == 0 ? "none" : format_duration(limit.upgrade);
    return fmt::format("upgrade {}, checks pass within {}, stay good for {}{}, graceful stop {}", upgrade,
                       format_duration(limit.retry_for), format_duration(limit.soak),
                       how.confirms ? ", confirmed within " + format_duration(limit.confirm) : std::string{},
                       format_duration(limit.stop));
}

/// What the instance does while its snapshots are taken.
std::string snapshots_text(const core::plan& how, const core::instance_facts& found) {
    auto settled = how;
    core::settle(settled, found);
    if (!settled.pauses) {
        return "while the instance runs on";
    }
    return how.mode == core::snapshot_mode::stopped ? "while the instance is stopped"
                                                    : "while the instance is frozen, so that all are of one moment";
}

/// "the snapshot of a kept upgrade is kept for 7d, at most 2 of them"
std::string retention_text(const core::plan& how) {
    if (!how.retains) {
        return {};
    }
    auto text = how.keep_for.count() == 0 ? std::string("snapshot kept for ever")
                                          : "snapshot kept " + format_duration(how.keep_for);
    text += how.keep == 0 ? "" : fmt::format(", at most {}", how.keep);
    return how.drops_unchanged ? text + "; none when no package changed" : text;
}

/// What is saved before a rollback, and how long that may take.
std::string evidence_text(const core::plan& how) {
    if (!how.saves_evidence) {
        return "none is saved";
    }
    std::string text = "checks, packages";
    for (const auto& one : how.collectors) {
        text += ", " + one.name + (one.file.empty() ? " (" + core::shell_line(one.args) + ")" : std::string{});
    }
    return text + ", within " + format_duration(how.limit.evidence);
}

} // namespace

std::string dry_run_text(const core::plan& how, const core::instance_facts& found, const style& look) {
    std::vector<std::pair<std::string, std::string>> list{
        {"instance", fmt::format("{}, {}{}{}", how.instance, safe(found.type, look),
                                 how.project == "default" ? "" : ", project " + safe(how.project, look),
                                 found.running ? ", running" : ", not running")},
        {"command", safe(core::shell_line(how.command.argv), look)},
        {"as", safe(identity(how.command), look)},
        {"pool", fmt::format("{} ({})", safe(found.pool, look), safe(found.driver, look))},
    };
    list.emplace_back("phases", safe(fmt::format("{}", fmt::join(play(how, found, false), ", ")), look));
    list.emplace_back("on failure", safe(fmt::format("{}", fmt::join(play(how, found, true), ", ")), look));
    list.emplace_back("limits", limits_text(how));
    list.emplace_back("restart", how.restart == core::restart_policy::never ? "" : core::to_word(how.restart));
    list.emplace_back("may be lost", safe(fmt::format("{}", fmt::join(how.expect_lost, ", ")), look));
    list.emplace_back("snapshots", snapshots_text(how, found));
    list.emplace_back("first", safe(hooks_text(how.pre), look));
    list.emplace_back("before them", safe(hooks_text(how.quiesce), look));
    list.emplace_back("after them", safe(hooks_text(how.resume), look));
    list.emplace_back("retention", retention_text(how));
    list.emplace_back("evidence", safe(evidence_text(how), look));
    list.emplace_back("broken state",
                      how.keeps_failed ? "copied to a stopped instance " + how.instance + "-failed-TXN" : "");
    list.emplace_back("checks", how.checks.empty() ? "none: only that the instance runs" : "");
    auto text = fmt::format("A dry run: nothing was changed on {}.\n{}", how.instance, facts(list, look));
    if (const auto rows = coverage_rows(found, how); !rows.empty()) {
        text += fmt::format("  {}\n{}", paint("disks", tone::quiet, look), coverage_table(rows, look));
    }
    if (const auto options = core::uncovered_options(found, how); !options.empty()) {
        text += "    belay would refuse; to accept that, add" + safe(options, look) + "\n";
    }
    if (!how.checks.empty()) {
        text += fmt::format("  {}\n{}", paint("checks", tone::quiet, look), check_table(how, look));
    }
    return text;
}

} // namespace belay::report
