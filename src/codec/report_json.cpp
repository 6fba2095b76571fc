// SPDX-License-Identifier: Apache-2.0
#include "codec/report_json.hpp"

#include "codec/shapes.hpp"

namespace belay::codec {

std::string to_json(const core::report& report, int indent) {
    return dumped(writer::written(report), indent);
}

std::string to_json(const std::vector<core::report>& reports, int indent) {
    return dumped(writer::written(reports), indent);
}

core::expected<core::report> report_from_json(std::string_view text) {
    return whole_object<core::report>(text, "report");
}

} // namespace belay::codec
