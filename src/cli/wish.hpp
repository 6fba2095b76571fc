// SPDX-License-Identifier: Apache-2.0
// What a user wants of a run or a check: the recipe, with the command line over it.
#pragma once
#include "core/error.hpp"
#include "recipe/settings.hpp"

#include <optional>
#include <string>

namespace belay::cli {

/// The settings of the command line merged over those of the recipe, if there is one. Error: usage, with the recipe's
/// file where the mistake is in that.
core::expected<recipe::settings> merged_wish(const std::optional<std::string>& recipe,
                                             const recipe::settings& command_line);

} // namespace belay::cli
