// SPDX-License-Identifier: Apache-2.0
// Recipes as JSON text, with comments. Knows no files.
#pragma once
#include "core/error.hpp"
#include "recipe/settings.hpp"

#include <string>
#include <string_view>

namespace belay::recipe {

/// Reads a recipe. `name` is what messages call it: its file. Error: usage, with `name:line:`, for text that is no JSON
/// (comments as in C++ are allowed), a key that is unknown (with the nearest one that is known) or there twice, and a
/// value that does not fit its key.
core::expected<settings> read(std::string_view text, const std::string& name);

/// A recipe that says what the settings say, as indented JSON with a line break at its end.
std::string write(const settings& what);

} // namespace belay::recipe
