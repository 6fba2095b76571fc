// SPDX-License-Identifier: Apache-2.0
#include "core/verdicts.hpp"

#include "core/text.hpp"

#include <algorithm>
#include <iterator>

namespace belay::core {

namespace {

const reading* find(const std::vector<reading>& readings, const std::string& name) {
    const auto found = std::ranges::find(readings, name, &reading::name);
    return found == readings.end() ? nullptr : &*found;
}

std::vector<std::string> difference(const std::set<std::string>& from, const std::set<std::string>& without) {
    std::vector<std::string> rest;
    std::ranges::set_difference(from, without, std::back_inserter(rest));
    return rest;
}

/// What the exit status alone says; findings come on top.
bool status_acceptable(health before, health now, bool accept_unhealthy) {
    switch (now) {
    case health::pass:
        return true;
    case health::skip:
        return before != health::pass;
    case health::fail:
    case health::not_yet:
    case health::none:
        return accept_unhealthy && (before == health::fail || before == health::not_yet);
    }
    return false;
}

judged judge_one(const reading* before, const reading& now, const judge_policy& policy) {
    judged result{now.name, now.where, now.required, before ? before->how : health::none, now.how, now.summary,
                  {},       {},        true};
    const bool has_findings = now.how == health::pass || now.how == health::fail;
    if (before && before->summary != now.summary) {
        result.baseline_summary = before->summary;
    }
    if (before && has_findings) {
        result.new_bad = difference(now.bad, before->bad);
        result.lost_good = difference(before->good, now.good);
        std::erase_if(result.lost_good, [&](const auto& finding) {
            return std::ranges::any_of(policy.expect_lost,
                                       [&](const auto& pattern) { return glob_match(pattern, finding); });
        });
    }
    result.acceptable = status_acceptable(result.baseline, now.how, policy.accept_unhealthy) &&
                        result.new_bad.empty() && result.lost_good.empty();
    return result;
}

std::string listed(const std::vector<std::string>& findings) {
    constexpr std::size_t most = 8;
    std::string text;
    for (std::size_t i = 0; i < findings.size() && i < most; ++i) {
        text += (i == 0 ? "" : ", ") + printable(findings[i]);
    }
    if (findings.size() > most) {
        text += " and " + std::to_string(findings.size() - most) + " more";
    }
    return text;
}

std::string status_sentence(const judged& check) {
    switch (check.final == health::none ? check.baseline : check.final) {
    case health::pass:
        return {};
    case health::skip:
        return "does not apply any more, and passed before";
    case health::not_yet:
        return "is still not ready";
    case health::fail:
        return "fails";
    case health::none:
        return "did not run";
    }
    return {};
}

} // namespace

std::string with_baseline(const judged& check) {
    const bool was_good = check.baseline == health::pass && check.final != health::pass && check.final != health::none;
    if (!was_good || check.baseline_summary.empty()) {
        return check.summary;
    }
    return check.summary + (check.summary.empty() ? "before: " : "; before: ") + check.baseline_summary;
}

namespace {

std::string explain_one(const judged& check) {
    std::vector<std::string> parts;
    if (const auto status = status_sentence(check); !status.empty()) {
        const auto seen = with_baseline(check);
        parts.push_back(seen.empty() ? status : status + " (" + printable(seen) + ")");
    }
    if (!check.lost_good.empty()) {
        parts.push_back("lost " + listed(check.lost_good));
    }
    if (!check.new_bad.empty()) {
        parts.push_back("new " + listed(check.new_bad));
    }
    std::string text = "check " + check.name + ": ";
    for (std::size_t i = 0; i < parts.size(); ++i) {
        text += (i == 0 ? "" : "; ") + parts[i];
    }
    return text;
}

} // namespace

std::vector<judged> judge(const std::vector<reading>& baseline, const std::vector<reading>& now,
                          const judge_policy& policy) {
    std::vector<judged> round;
    round.reserve(now.size());
    for (const auto& current : now) {
        round.push_back(judge_one(find(baseline, current.name), current, policy));
    }
    return round;
}

std::vector<judged> judge_baseline(const std::vector<reading>& baseline) {
    std::vector<judged> round;
    round.reserve(baseline.size());
    for (const auto& first : baseline) {
        round.push_back({first.name,
                         first.where,
                         first.required,
                         first.how,
                         health::none,
                         first.summary,
                         {},
                         {},
                         first.how == health::pass || first.how == health::skip});
    }
    return round;
}

bool acceptable(const std::vector<judged>& round) {
    return std::ranges::all_of(round, [](const judged& check) { return check.acceptable || !check.required; });
}

bool baseline_acceptable(const std::vector<reading>& baseline) {
    return acceptable(judge_baseline(baseline));
}

bool waits(const std::vector<reading>& round) {
    return std::ranges::any_of(round, [](const reading& now) { return now.required && now.how == health::not_yet; });
}

std::string explain(const std::vector<judged>& round) {
    std::string text;
    std::string accept;
    for (const auto& check : round) {
        if (check.acceptable || !check.required) {
            continue;
        }
        text += (text.empty() ? "" : ". ") + explain_one(check);
        for (const auto& finding : check.lost_good) {
            accept += " --expect-lost " + shell_quote(glob_escape(finding));
        }
    }
    if (!accept.empty()) {
        text += ". If the loss is intended, run again with" + accept;
    }
    return text;
}

} // namespace belay::core
