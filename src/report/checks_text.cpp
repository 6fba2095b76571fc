// SPDX-License-Identifier: Apache-2.0
#include "report/checks_text.hpp"

#include "report/pieces.hpp"
#include "report/table.hpp"
#include "report/width.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::report {

namespace {

/// The last line: what the required checks mean for the instance.
std::string verdict_line(const std::string& instance, std::span<const core::judged> round, const style& look) {
    const auto required = std::ranges::count_if(round, &core::judged::required);
    const auto failed = std::ranges::count_if(round, [](const auto& c) { return c.required && !c.acceptable; });
    if (failed > 0) {
        return fmt::format("{} {}: {} of {} required checks {} not pass.\n", mark(tone::bad, look), instance, failed,
                           required, failed == 1 ? "does" : "do");
    }
    if (required == 0) {
        return fmt::format("{} {}: no required check ran.\n", mark(tone::warn, look), instance);
    }
    return fmt::format("{} {}: every required check passes.\n", mark(tone::good, look), instance);
}

} // namespace

std::string checks_table(std::span<const listed_check> checks, const style& look) {
    std::vector<std::vector<std::string>> rows;
    rows.reserve(checks.size());
    for (const auto& check : checks) {
        rows.push_back({safe(check.name, look), std::string(core::to_word(check.where)), safe(check.summary, look),
                        safe(check.path, look)});
    }
    auto whole = look;
    whole.width.reset(); // a path that is cut is of no use
    return table(rows, whole);
}

std::string check_verdicts(const std::string& instance, std::span<const core::reading> readings, const style& look) {
    const auto round = core::judge_baseline({readings.begin(), readings.end()});
    std::size_t longest = 0;
    for (const auto& check : readings) {
        longest = std::max(longest, display_width(safe(check.name, look)));
    }
    std::string text;
    for (std::size_t i = 0; i < readings.size(); ++i) {
        // A check that passes with something bad is no failure, but nobody should have to look twice to see it.
        const auto how = tone_of(round[i], false);
        text += fmt::format("{} {}  {}\n", mark(how == tone::good && !readings[i].bad.empty() ? tone::warn : how, look),
                            pad(safe(readings[i].name, look), longest), verdict_text(round[i], false, look));
        for (const auto& finding : readings[i].bad) {
            text += fmt::format("    bad: {}\n", safe(finding, look));
        }
    }
    return text + verdict_line(instance, round, look);
}

std::string check_verdicts(const std::string& instance, std::span<const core::judged> round, const style& look) {
    return check_lines(round, true, look) + verdict_line(instance, round, look);
}

} // namespace belay::report
