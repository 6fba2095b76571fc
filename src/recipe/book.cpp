// SPDX-License-Identifier: Apache-2.0
#include "recipe/book.hpp"

#include "core/text.hpp"
#include "recipe/json.hpp"

#include <fmt/format.h>

namespace belay::recipe {

namespace fs = std::filesystem;

namespace {

/// A check of the recipe that is a path is meant from where the recipe is, and not from where belay is called.
void anchor(std::vector<std::string>& checks, const fs::path& folder) {
    for (auto& check : checks) {
        if (check.starts_with("./") || check.starts_with("../")) {
            check = core::shell_quote(folder.string()) + "/" + check;
        }
    }
}

core::expected<settings> load(const fs::path& file) {
    const auto text = checks::read_text(file);
    if (!text) {
        return core::failure(
            core::reason::usage,
            fmt::format("recipe {} cannot be read: is it a file, and are its permissions right?", checks::shown(file)));
    }
    BELAY_TRY(auto, recipe, read(*text, file.string()));
    std::error_code ignored;
    const auto folder = fs::absolute(file, ignored).parent_path();
    anchor(recipe.checks, folder);
    anchor(recipe.wanted, folder);
    return recipe;
}

} // namespace

core::expected<entry> book::find(const std::string& name) const {
    BELAY_TRY(const auto, file, shelf_.find(name));
    BELAY_TRY(auto, recipe, load(file));
    return entry{name, file, std::move(recipe)};
}

std::vector<entry> book::list() const {
    std::vector<entry> all;
    for (const auto& [name, file] : shelf_.list()) {
        const auto trusted = shelf_.check_trust(file);
        all.push_back({name, file, trusted ? load(file) : std::unexpected(trusted.error())});
    }
    return all;
}

} // namespace belay::recipe
