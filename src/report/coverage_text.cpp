// SPDX-License-Identifier: Apache-2.0
#include "report/coverage_text.hpp"

#include "core/coverage.hpp"
#include "core/text.hpp"
#include "report/table.hpp"

#include <fmt/format.h>

namespace belay::report {

std::vector<coverage_row> coverage_rows(const core::instance_facts& facts, const core::plan& how) {
    std::vector<coverage_row> rows;
    for (const auto& d : facts.disks) {
        const auto what = core::coverage_of(d, how);
        coverage_row row{tone::good, d.device, d.path.empty() ? "(block)" : d.path, d.source, core::words_for(what, d)};
        if (core::uncovered(d, how)) {
            row.how = tone::bad;
            row.what += ": NOT covered";
        } else if (!core::goes_back(what)) {
            row.how = tone::warn;
            row.what += ": not covered, accepted with --uncovered";
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string coverage_table(const std::vector<coverage_row>& rows, const style& look) {
    std::vector<std::vector<std::string>> cells;
    for (const auto& row : rows) {
        cells.push_back({"  ", mark(row.how, look), safe(row.device, look), safe(row.path, look),
                         safe(row.source, look), safe(row.what, look)});
    }
    return table(cells, look);
}

} // namespace belay::report
