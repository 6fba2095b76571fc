// SPDX-License-Identifier: Apache-2.0
#include "report/table.hpp"

#include "report/width.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace belay::report {

namespace {

constexpr std::size_t narrowest = 12;

std::vector<std::size_t> widths_of(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], display_width(row[i]));
        }
    }
    return widths;
}

/// The column that may be as wide as a whole script in one of its rows.
std::vector<std::size_t>::const_iterator last_of(const std::vector<std::size_t>& widths) {
    return widths.empty() ? widths.end() : std::prev(widths.end());
}

} // namespace

std::string table(const std::vector<std::vector<std::string>>& rows, const style& look) {
    const auto widths = widths_of(rows);
    constexpr std::size_t between = 2;
    std::string text;
    text.reserve(rows.size() * std::accumulate(widths.begin(), last_of(widths), widths.size() * between));
    for (const auto& row : rows) {
        std::size_t used = 0;
        for (std::size_t i = 0; i + 1 < row.size(); ++i) {
            append_padded(text, row[i], widths[i] + between);
            used += widths[i] + between;
        }
        if (!row.empty()) {
            const auto room =
                look.width ? std::max(narrowest, *look.width - std::min(*look.width, used)) : row.back().size();
            text += fit(row.back(), room, look.utf8);
        }
        text.erase(text.find_last_not_of(' ') + 1); // no further than to the end of the line before
        text += '\n';
    }
    return text;
}

} // namespace belay::report
