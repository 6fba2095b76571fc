// SPDX-License-Identifier: Apache-2.0
// The report of a transaction as JSON: what `--format json` prints. Described by report/report.schema.json.
#pragma once
#include "core/report.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace belay::codec {

/// One document without a newline at its end; on one line when `indent` is negative. Invalid UTF-8 is replaced by
/// U+FFFD.
std::string to_json(const core::report& report, int indent);

/// Several instances: an array, in their order.
std::string to_json(const std::vector<core::report>& reports, int indent);

/// Reads what to_json writes for one report. Keys that it does not know are passed over. Error: io_error, with the path
/// of the key. Never throws.
core::expected<core::report> report_from_json(std::string_view text);

} // namespace belay::codec
