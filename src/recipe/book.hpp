// SPDX-License-Identifier: Apache-2.0
// Finds the recipes that are installed, and reads them.
#pragma once
#include "checks/shelf.hpp"
#include "recipe/settings.hpp"

namespace belay::recipe {

/// A name in the book, with the recipe or what is wrong with it. A masked name is not listed.
struct entry {
    std::string name;
    std::filesystem::path file;
    core::expected<settings> recipe;
};

class book {
public:
    /// `folders` in the order of their precedence. `uid`: who runs belay.
    book(std::vector<std::filesystem::path> folders, unsigned uid)
        : shelf_(std::move(folders), uid, "recipe", ".json") {}

    /// The recipe of a name: the file NAME.json or NAME, found as shelf::find does. Error: usage.
    core::expected<entry> find(const std::string& name) const;

    /// Every recipe, sorted by name.
    std::vector<entry> list() const;

private:
    checks::shelf shelf_;
};

} // namespace belay::recipe
