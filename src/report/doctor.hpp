// SPDX-License-Identifier: Apache-2.0
// What belay doctor found, as text and as JSON.
#pragma once
#include "core/findings.hpp"
#include "report/style.hpp"

#include <span>

namespace belay::report {

/// A line for each thing that was looked at, with the commands that mend it below, and a last sentence. `only_faults`:
/// what is in order and what is only worth knowing is left out.
std::string diagnosis(std::span<const core::finding> all, bool only_faults, const style& look);

/// An array of objects: level ("ok", "note" or "finding"), word, what, mend (an array of commands).
std::string diagnosis_document(std::span<const core::finding> all);

} // namespace belay::report
