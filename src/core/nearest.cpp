// SPDX-License-Identifier: Apache-2.0
#include "core/nearest.hpp"

#include <algorithm>
#include <vector>

namespace belay::core {

namespace {

constexpr std::size_t most_edits = 3;

std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const auto above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

} // namespace

std::string nearest(std::string_view name, std::span<const std::string> known) {
    std::string found;
    auto best = std::min(most_edits + 1, name.size()); // else everything of it would be replaced
    for (const auto& candidate : known) {
        if (const auto d = distance(name, candidate); d < best) {
            best = d;
            found = candidate;
        }
    }
    return found;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> known) {
    const auto found = nearest(name, known);
    return found.empty() ? found : ", did you mean '" + found + "'?";
}

} // namespace belay::core
