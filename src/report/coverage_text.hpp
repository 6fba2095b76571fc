// SPDX-License-Identifier: Apache-2.0
// Which disks of an instance go back in a rollback, and which do not.
#pragma once
#include "core/event.hpp"
#include "report/style.hpp"

#include <string>
#include <vector>

namespace belay::report {

/// What becomes of the disks of an instance, as columns: a mark, device, path, source, how. Texts are not made safe
/// yet.
struct coverage_row {
    tone how{};
    std::string device;
    std::string path;
    std::string source;
    std::string what; ///< "with the instance", "read-only", "shared with c2: a rollback leaves it", …
};

/// A row for each disk. How it is covered follows from core::coverage_of.
std::vector<coverage_row> coverage_rows(const core::instance_facts& facts, const core::plan& how);

/// A table of them, indented by four.
std::string coverage_table(const std::vector<coverage_row>& rows, const style& look);

} // namespace belay::report
