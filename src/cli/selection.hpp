// SPDX-License-Identifier: Apache-2.0
// Which checks a run has: the default ones, less those that were taken out, and those that were added.
#pragma once
#include "checks/library.hpp"
#include "cli/arguments.hpp"

#include <array>

namespace belay::cli {

/// What runs without any configuration.
inline constexpr std::array<const char*, 3> default_checks{"listening", "services", "packages"};

/// The checks in the order in which they are shown. A default one that is masked is left out; one that is also asked
/// for as --wanted only warns. Errors: usage (unknown check, not executable, not a default one, …).
core::expected<std::vector<core::check_spec>> select_checks(const check_options& options,
                                                            const checks::library& library);

} // namespace belay::cli
