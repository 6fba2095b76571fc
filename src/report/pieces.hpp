// SPDX-License-Identifier: Apache-2.0
// The pieces of which views and texts are made: a phase's line, a check's line, a list of facts.
#pragma once
#include "core/event.hpp"
#include "report/style.hpp"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace belay::report {

/// "✓ snapshot       0.03s", without a newline.
std::string phase_line(std::string_view label, double seconds, bool ok, const style& look);

/// How much a person should mind what a check said.
tone tone_of(const core::judged& check, bool against_baseline);

/// What a check said, in words: "pass, 5 ports", "fail, lost tcp/53 any", "skipped". Safe in this style.
std::string verdict_text(const core::judged& check, bool against_baseline, const style& look);

/// A line for each check, indented, names aligned. Empty without checks.
std::string check_lines(std::span<const core::judged> checks, bool against_baseline, const style& look);

/// The checks that deserve a line: all that were compared with a baseline; of a baseline those that are not well.
std::vector<core::judged> worth_a_line(std::span<const core::judged> checks, bool against_baseline);

/// "3 checks: 2 pass, 1 skipped".
std::string tally(std::span<const core::judged> checks, bool against_baseline);

/// Names and what is said about them, aligned, each on a line that is indented by two. Empty ones are left out.
std::string facts(const std::vector<std::pair<std::string, std::string>>& list, const style& look);

/// "2026-05-01T12:00:00Z"
std::string utc(core::wall_time time);

/// "2026-05-01 12:00", UTC too, for what need not be exact.
std::string minute(core::wall_time time);

/// When a transaction began; "-" when its journal does not say.
std::string start_of(const core::report& r);

/// Hooks in a line: commands as they are, others by their names.
std::string hooks_text(std::span<const core::check_spec> hooks);

} // namespace belay::report
