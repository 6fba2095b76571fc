// SPDX-License-Identifier: Apache-2.0
// Reads what a check printed: findings, and the line that people see.
#pragma once
#include "core/verdicts.hpp"

#include <string_view>

namespace belay::checks {

/// The health that an exit status stands for: 0 pass, 75 not yet (EX_TEMPFAIL of sysexits.h), 77 skip (as in the
/// Automake test protocol), anything else fail.
core::health health_of(int exit_status);

/// Takes the lines of a check's standard output into a reading: `good: …` and `bad: …` are findings, the last other
/// line is the summary. When there is none, the last line of its standard error is. All text is made printable.
void read_output(std::string_view out, std::string_view err, core::reading& into);

} // namespace belay::checks
