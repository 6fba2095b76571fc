// SPDX-License-Identifier: Apache-2.0
#include "report/pieces.hpp"

#include "core/durations.hpp"
#include "report/narrator.hpp"
#include "report/width.hpp"

#include <algorithm>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <iterator>

namespace belay::report {

namespace {

constexpr std::size_t label_width = 14;

std::string_view word_for(core::health how) {
    switch (how) {
    case core::health::pass:
        return "pass";
    case core::health::fail:
        return "fail";
    case core::health::skip:
        return "skipped";
    case core::health::not_yet:
        return "not ready";
    case core::health::none:
        return "did not run";
    }
    return "";
}

core::health now(const core::judged& check, bool against_baseline) {
    return against_baseline ? check.final : check.baseline;
}

} // namespace

std::string phase_line(std::string_view label, double seconds, bool ok, const style& look) {
    const auto time = fmt::format("{:>7}", core::format_seconds(seconds));
    return fmt::format("{} {} {}", mark(ok ? tone::good : tone::bad, look), pad(label, label_width),
                       paint(time, tone::quiet, look));
}

tone tone_of(const core::judged& check, bool against_baseline) {
    if (!check.acceptable) {
        return check.required ? tone::bad : tone::warn;
    }
    const auto how = now(check, against_baseline);
    return how == core::health::fail || how == core::health::not_yet ? tone::warn : tone_of(how);
}

std::string verdict_text(const core::judged& check, bool against_baseline, const style& look) {
    const auto how = now(check, against_baseline);
    // A pass that lost something is none: the findings make it a failure.
    const bool worse = !check.acceptable && how == core::health::pass;
    std::string text(worse ? "fail" : word_for(how));
    if (against_baseline && check.acceptable && how == core::health::fail) {
        text += " as before";
    }
    if (!check.required) {
        text += " (only warns)";
    }
    const auto seen = describe(check, against_baseline);
    return safe(seen.empty() ? text : text + ", " + seen, look);
}

std::string check_lines(std::span<const core::judged> checks, bool against_baseline, const style& look) {
    constexpr std::size_t most_columns = 36; // what a check says must not begin beyond the edge of the screen
    std::vector<std::string> names;
    std::size_t longest = 0;
    for (const auto& check : checks) {
        names.push_back(fit(safe(check.name, look), most_columns, look.utf8));
        longest = std::max(longest, display_width(names.back()));
    }
    std::string lines;
    for (std::size_t i = 0; i < checks.size(); ++i) {
        lines += fmt::format("    {} {}  {}\n", mark(tone_of(checks[i], against_baseline), look),
                             pad(names[i], longest), verdict_text(checks[i], against_baseline, look));
    }
    return lines;
}

std::vector<core::judged> worth_a_line(std::span<const core::judged> checks, bool against_baseline) {
    std::vector<core::judged> chosen;
    std::ranges::copy_if(checks, std::back_inserter(chosen), [&](const auto& check) {
        const auto how = tone_of(check, false);
        return against_baseline || how == tone::bad || how == tone::warn;
    });
    return chosen;
}

std::string tally(std::span<const core::judged> checks, bool against_baseline) {
    using core::health;
    std::string text;
    for (const auto how : {health::pass, health::fail, health::not_yet, health::skip, health::none}) {
        const auto count =
            std::ranges::count_if(checks, [&](const auto& check) { return now(check, against_baseline) == how; });
        if (count > 0) {
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, word_for(how));
        }
    }
    return fmt::format("{} check{}: {}", checks.size(), checks.size() == 1 ? "" : "s", text);
}

std::string facts(const std::vector<std::pair<std::string, std::string>>& list, const style& look) {
    std::size_t longest = 0;
    for (const auto& [name, said] : list) {
        longest = said.empty() ? longest : std::max(longest, name.size());
    }
    std::string text;
    for (const auto& [name, said] : list) {
        if (!said.empty()) {
            text += fmt::format("  {}  {}\n", paint(pad(name, longest), tone::quiet, look), said);
        }
    }
    return text;
}

namespace {

std::tm calendar(core::wall_time time) {
    return fmt::gmtime(
        std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(time)));
}

} // namespace

std::string utc(core::wall_time time) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", calendar(time));
}

std::string minute(core::wall_time time) {
    return fmt::format("{:%Y-%m-%d %H:%M}", calendar(time));
}

std::string start_of(const core::report& r) {
    return r.started == core::wall_time{} ? "-" : utc(r.started);
}

std::string hooks_text(std::span<const core::check_spec> hooks) {
    std::string text;
    for (const auto& hook : hooks) {
        text += (text.empty() ? "" : "; ") + hook.name;
    }
    return text;
}

} // namespace belay::report
