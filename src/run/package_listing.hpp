// SPDX-License-Identifier: Apache-2.0
// How the packages of the instance are asked for, and whether the answer came whole.
#pragma once
#include "core/packages.hpp"
#include "core/plan.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace belay::run {

/// How long the packages may be asked for.
inline constexpr core::milliseconds list_limit{10'000};

/// Lists the packages between two marks. Incus now and then loses the output of a program that ends within
/// milliseconds, a program may be ended half-way, and of much output only the end may be there: what is missing would
/// read as packages that are gone.
std::string list_script();

/// The same as a check.
core::check_spec package_lister();

/// Nothing unless it is all there.
std::optional<core::package_list> whole_list(std::string_view text);

} // namespace belay::run
