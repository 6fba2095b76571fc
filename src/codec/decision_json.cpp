// SPDX-License-Identifier: Apache-2.0
#include "codec/decision_json.hpp"

#include "codec/shapes.hpp"

namespace belay::codec {

std::string to_json_line(const core::decision& d) {
    return dumped(writer::written(d));
}

core::expected<core::decision> decision_from_json(std::string_view line) {
    return whole_object<core::decision>(line, "decision");
}

} // namespace belay::codec
