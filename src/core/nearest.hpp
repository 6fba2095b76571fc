// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the known name that is nearest to one that nobody knows.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace belay::core {

/// The first of the known names with the smallest edit distance (Levenshtein) to `name`; empty when each needs more
/// than three edits, or as many as the name has letters.
std::string nearest(std::string_view name, std::span<const std::string> known);

/// ", did you mean 'NAME'?", or nothing when no known name is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

} // namespace belay::core
