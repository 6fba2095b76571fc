// SPDX-License-Identifier: Apache-2.0
#include "cli/wish.hpp"

#include "cli/selection.hpp"
#include "cli/surroundings.hpp"
#include "core/text.hpp"
#include "recipe/book.hpp"

#include <fmt/format.h>

namespace belay::cli {

core::expected<recipe::settings> merged_wish(const std::optional<std::string>& recipe,
                                             const recipe::settings& command_line) {
    if (!recipe) {
        return command_line;
    }
    BELAY_TRY(auto, found, installed_recipes().find(*recipe));
    // Looked at on its own first, so that a mistake in the recipe is not taken for one in the command line.
    if (auto checks = select_checks(*found.recipe, installed_checks()); !checks) {
        return core::failure(core::reason::usage,
                             fmt::format("recipe {}: {}", checks::shown(found.file), core::describe(checks.error())));
    }
    return recipe::merged(*std::move(found.recipe), command_line);
}

} // namespace belay::cli
