// SPDX-License-Identifier: Apache-2.0
// Aligned columns.
#pragma once
#include "report/style.hpp"

#include <string>
#include <vector>

namespace belay::report {

/// A line per row, columns two spaces apart. The last column is cut to the width of the style, but never below 12.
std::string table(const std::vector<std::vector<std::string>>& rows, const style& look);

} // namespace belay::report
