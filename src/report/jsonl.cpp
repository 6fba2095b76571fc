// SPDX-License-Identifier: Apache-2.0
#include "report/jsonl.hpp"

#include "codec/record_json.hpp"
#include "codec/report_json.hpp"

#include <cassert>

namespace belay::report {

void jsonl::on(const core::record& r) {
    if (std::holds_alternative<core::output>(r.what)) {
        return;
    }
    out_.write(codec::to_json_line(r) + "\n");
}

std::string report_document(std::span<const core::report> reports, bool array) {
    if (!array) {
        assert(reports.size() == 1);
        return codec::to_json(reports.front(), 2) + "\n";
    }
    return codec::to_json(std::vector(reports.begin(), reports.end()), 2) + "\n";
}

} // namespace belay::report
