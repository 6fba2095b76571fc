// SPDX-License-Identifier: Apache-2.0
#include "codec/report_json.hpp"

#include "codec/shapes.hpp"
#include "core/text.hpp"

namespace belay::codec {

std::string to_json(const core::report& report, int indent) {
    return dumped(writer::written(report), indent);
}

std::string to_json(const std::vector<core::report>& reports, int indent) {
    return dumped(writer::written(reports), indent);
}

core::expected<core::report> report_from_json(std::string_view text) {
    const auto object = json::parse(text, nullptr, false);
    if (!object.is_object()) {
        return core::failure(core::reason::io_error, "no report: not a JSON object");
    }
    core::report report;
    std::string problem;
    reader fields_of(object, "", problem);
    fields(fields_of, report);
    if (!problem.empty()) {
        return core::failure(core::reason::io_error, "a report that is not whole: " + core::printable(problem));
    }
    return report;
}

} // namespace belay::codec
