// SPDX-License-Identifier: Apache-2.0
// A published decision as a line of JSON: what the file `decision` of a transaction holds.
#pragma once
#include "core/decision.hpp"

#include <string>
#include <string_view>

namespace belay::codec {

/// One line without its newline.
std::string to_json_line(const core::decision& d);

/// Reads what to_json_line writes. Error: io_error. Never throws.
core::expected<core::decision> decision_from_json(std::string_view line);

} // namespace belay::codec
