// SPDX-License-Identifier: Apache-2.0
#include "core/durations.hpp"
#include "core/incus_commands.hpp"
#include "core/text.hpp"
#include "report/narrator.hpp"
#include "report/pieces.hpp"
#include "report/text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <ranges>

namespace belay::report {

namespace {

using list = std::vector<std::pair<std::string, std::string>>;

std::string incus(const std::string& what, const core::report& r, const std::string& rest = {}) {
    return core::incus_commands(r.instance, r.project).line(what, rest);
}

/// What is done to the snapshots of a transaction, the one of the instance last.
std::string for_each_target(const std::string& what, const core::report& r) {
    std::vector<std::string> targets;
    for (const auto& phase : r.phases) {
        if (phase.name == "snapshot" && std::ranges::find(targets, phase.target) == targets.end()) {
            targets.push_back(phase.target);
        }
    }
    if (targets.empty()) {
        targets.emplace_back("root");
    }
    std::string line;
    for (const auto& target : std::views::reverse(targets)) {
        line += (line.empty() ? "" : " && ") +
                core::incus_commands(r.instance, r.project).snapshot(what, target, r.snapshot);
    }
    return line;
}

/// By hand: the restore brings back the lock key of the snapshot's moment, which is in the way of other state
/// directories.
std::string restore_line(const core::report& r) {
    return fmt::format("{} && {} && {} && {}", incus("stop", r), for_each_target("restore", r),
                       core::incus_commands(r.instance, r.project).unlock(), incus("start", r));
}

std::string head(tone how, std::string_view sentence, const style& look) {
    return fmt::format("{} {}\n", mark(how, look), sentence);
}

/// What the command changed; empty when that is not known.
std::string packages_of(const core::report& r) {
    return r.packages ? core::one_line(*r.packages) : std::string{};
}

/// The facts that a failure has in common: why, what it cost, where to read on.
list reasons(const core::report& r, const style& look) {
    list all{{"why", safe(r.message, look)},
             {"down for", r.downtime_seconds > 0 ? core::format_seconds(r.downtime_seconds) : std::string{}},
             {"packages", safe(packages_of(r), look)},
             {"output", safe(r.log, look)},
             {"evidence", r.evidence.empty() ? std::string{} : "belay show " + r.transaction}};
    std::ranges::move(broken_state(r), std::back_inserter(all));
    return all;
}

/// "every required check passes", but never more than is true.
std::string health_of(const core::report& r) {
    std::string before;
    bool any = false;
    for (const auto& check : r.checks) {
        any = any || check.required;
        const bool bad = check.final == core::health::fail || check.final == core::health::not_yet;
        if (check.required && bad) {
            before += (before.empty() ? "" : ", ") + check.name;
        }
    }
    if (!before.empty()) {
        return fmt::format("no required check is worse than before, but not all pass ({})", before);
    }
    return any ? "every required check passes" : "it runs; no required check was there to look closer";
}

std::string committed(const core::report& r, const style& look) {
    auto text = head(tone::good,
                     fmt::format("{} is upgraded and kept: {} ({}).", r.instance, safe(health_of(r), look),
                                 core::format_seconds(r.seconds)),
                     look);
    if (r.snapshot.empty()) {
        return text;
    }
    text += facts({{"packages", safe(packages_of(r), look)}}, look);
    const auto until = r.snapshot_expires ? minute(*r.snapshot_expires) + " UTC" : std::string("you delete it");
    return text + facts({{"snapshot", r.snapshot + " stays until " + until},
                         {"to undo", "belay rollback " + r.transaction},
                         {"to free", for_each_target("delete", r)}},
                        look);
}

/// A kept upgrade that was taken back. The snapshot, if there is one, is of the moment before that.
std::string taken_back(const core::report& r, const style& look) {
    const bool healthy = r.how == core::outcome::rolled_back;
    list about;
    for (const auto& check : r.checks) {
        if (!healthy && !check.acceptable && check.required) {
            about.emplace_back("worse", safe(check.name, look) + ": " + verdict_text(check, true, look));
        }
    }
    about.emplace_back("why", healthy ? std::string{} : safe(r.message, look));
    about.emplace_back("down for", r.downtime_seconds > 0 ? core::format_seconds(r.downtime_seconds) : std::string{});
    if (!r.snapshot.empty()) {
        about.emplace_back("snapshot", r.snapshot + " has what was there before, until you delete it");
        about.emplace_back("way back", restore_line(r));
        about.emplace_back("to free", for_each_target("delete", r));
    }
    return head(healthy ? tone::good : tone::bad,
                fmt::format("{} is back in the state before transaction {}{}.", r.instance, r.undoes,
                            healthy ? ", running and as healthy as then" : ", but not as healthy as then: look at it"),
                look) +
           facts(about, look);
}

std::string rolled_back(const core::report& r, const style& look) {
    auto about = reasons(r, look);
    if (!r.snapshot.empty()) {
        about.emplace_back("snapshot", r.snapshot + " is still there");
        about.emplace_back("to free", for_each_target("delete", r));
    }
    const auto sentence = fmt::format("{} is back in its old state, running and as healthy as before.", r.instance);
    return head(tone::bad, sentence, look) + facts(about, look);
}

std::string rolled_back_unhealthy(const core::report& r, const style& look) {
    list about;
    for (const auto& check : r.checks) {
        if (!check.acceptable && check.required) {
            about.emplace_back("worse", safe(check.name, look) + ": " + verdict_text(check, true, look));
        }
    }
    std::ranges::move(reasons(r, look), std::back_inserter(about));
    about.emplace_back("snapshot", r.snapshot.empty() ? std::string{} : r.snapshot + " stays until you delete it");
    const auto sentence =
        fmt::format("{} is back in its old state, but not as healthy as before: look at it.", r.instance);
    return head(tone::bad, sentence, look) + facts(about, look);
}

std::string refused(const core::report& r, const style& look) {
    list about{{"why", safe(r.message, look)}};
    if (!r.snapshot.empty()) {
        about.emplace_back("snapshot", r.snapshot + " is left over");
        about.emplace_back("to free", for_each_target("delete", r));
    }
    const auto sentence = r.why == core::reason::not_found
                              ? fmt::format("Nothing was touched: there is no instance {}.", r.instance)
                              : fmt::format("{} is as it was: {}.", r.instance,
                                            r.undoes.empty() ? "the upgrade was not started" : "nothing was undone");
    return head(tone::bad, sentence, look) + facts(about, look);
}

/// Whether the first of the commands is about the storage, and not about the instance.
bool mends(const core::report& r) {
    return !r.manual.empty() && !r.manual.front().starts_with("incus ");
}

/// In which state a stuck transaction may have left the instance.
std::string stuck_sentence(const core::report& r) {
    if (!r.undoes.empty()) {
        return fmt::format("{} is in an unknown state: the undo could not be finished.", r.instance);
    }
    const auto reached = [&](std::string_view name) {
        return std::ranges::find(r.phases, name, &core::phase::name) != r.phases.end();
    };
    if (reached("commit")) {
        return fmt::format("{} is upgraded and to be kept, but that could not be finished.", r.instance);
    }
    return reached("upgrade") || reached("stop")
               ? fmt::format("{} is in an unknown state: the rollback could not be finished.", r.instance)
               : fmt::format("{} was not upgraded, but what was begun before could not be taken back.", r.instance);
}

std::string stuck(const core::report& r, const style& look) {
    auto text = head(tone::bad, stuck_sentence(r), look);
    auto about = reasons(r, look);
    if (r.manual.empty()) {
        return text + facts(about, look) + "  `belay recover` looks again; there is nothing to do by hand.\n";
    }
    about.emplace_back("kept", r.snapshot.empty() ? "the lock" : "the lock and the snapshot " + r.snapshot);
    text += facts(about, look);
    auto command = r.manual.begin();
    if (mends(r)) {
        text += "  On the server, this mends what stands in the way:\n    " + safe(*command++, look) + "\n";
        text += "  Then `belay recover` ends it. By hand, in this order:\n";
    } else {
        text += "  `belay recover` tries again to end it. By hand, in this order:\n";
    }
    for (; command != r.manual.end(); ++command) {
        text += "    " + safe(*command, look) + "\n";
    }
    return text;
}

} // namespace

std::vector<std::pair<std::string, std::string>> broken_state(const core::report& r) {
    if (r.failed_copy.empty()) {
        return {};
    }
    const core::incus_commands copy(r.failed_copy, r.project);
    return {{"broken state", r.failed_copy + ", stopped"},
            {"look into it", copy.line("start")},
            {"throw away", copy.line("delete")}};
}

std::string closing_sentence(const core::report& r, const style& look) {
    switch (r.how) {
    case core::outcome::committed:
        return committed(r, look);
    case core::outcome::unchanged:
        return head(tone::good,
                    fmt::format("{} is unchanged: no package changed, and the snapshot is gone.", r.instance), look);
    case core::outcome::rolled_back:
        return r.undoes.empty() ? rolled_back(r, look) : taken_back(r, look);
    case core::outcome::rolled_back_unhealthy:
        return r.undoes.empty() ? rolled_back_unhealthy(r, look) : taken_back(r, look);
    case core::outcome::refused:
        return refused(r, look);
    case core::outcome::stuck:
        return stuck(r, look);
    }
    return {};
}

} // namespace belay::report
