// SPDX-License-Identifier: Apache-2.0
#include "report/coverage_text.hpp"

#include "core/coverage.hpp"
#include "core/text.hpp"
#include "report/table.hpp"

#include <fmt/format.h>

namespace belay::report {

namespace {

std::string what_becomes_of(const core::disk& d, const core::plan& how) {
    switch (core::coverage_of(d, how)) {
    case core::coverage::instance:
        return "with the instance";
    case core::coverage::volume:
        return "snapshotted and restored with it";
    case core::coverage::read_only:
        return "read-only";
    case core::coverage::left_out:
        return "left out by --volumes";
    case core::coverage::shared:
        return fmt::format("shared with {}", fmt::join(d.users, ", "));
    case core::coverage::outside:
        return "on the host";
    }
    return {};
}

bool goes_back(const core::disk& d, const core::plan& how) {
    const auto what = core::coverage_of(d, how);
    return what == core::coverage::instance || what == core::coverage::volume || what == core::coverage::read_only;
}

} // namespace

std::vector<coverage_row> coverage_rows(const core::instance_facts& facts, const core::plan& how) {
    std::vector<coverage_row> rows;
    for (const auto& d : facts.disks) {
        coverage_row row{tone::good, d.device, d.path.empty() ? "(block)" : d.path, d.source, what_becomes_of(d, how)};
        if (core::uncovered(d, how)) {
            row.how = tone::bad;
            row.what += ": NOT covered";
        } else if (!goes_back(d, how)) {
            row.how = tone::warn;
            row.what += ": not covered, accepted with --uncovered";
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string uncovered_options(const core::instance_facts& facts, const core::plan& how) {
    std::string options;
    for (const auto& d : facts.disks) {
        if (core::uncovered(d, how)) {
            options += " --uncovered " + core::shell_quote(core::name_of(d));
        }
    }
    return options;
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
