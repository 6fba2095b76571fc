// SPDX-License-Identifier: Apache-2.0
#include "recipe/book.hpp"

#include "recipe/json.hpp"

#include <fmt/format.h>

namespace belay::recipe {

namespace fs = std::filesystem;

namespace {

core::expected<settings> load(const fs::path& file) {
    const auto text = checks::read_text(file);
    if (!text) {
        return core::failure(core::reason::usage,
                             fmt::format("recipe {} cannot be read: look at its permissions", checks::shown(file)));
    }
    return read(*text, file.string());
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
