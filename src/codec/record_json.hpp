// SPDX-License-Identifier: Apache-2.0
// A record of the event stream as a line of JSON: what the journal holds and what `--format jsonl` prints.
#pragma once
#include "core/event.hpp"

#include <string>
#include <string_view>

namespace belay::codec {

/// One line without its newline. First the envelope, `v seq time boottime txn instance type target`, then the event's
/// own keys, in an order that does not change. Invalid UTF-8 is replaced by U+FFFD (also where `output` was cut within
/// a character), so the line is always valid JSON.
std::string to_json_line(const core::record& r);

/// How much of a record is read.
enum class detail {
    whole,
    brief, ///< without what is in lists of objects: checks, phases, packages, disks are empty. Several times as fast
};

/// Reads what to_json_line writes. Keys that it does not know are passed over. Error: io_error, when the line is no
/// such record, is of a newer version (which the message names) or of an unknown type. What a brief reading passes over
/// is not looked at: it is for lines whose checksum was verified. Never throws.
core::expected<core::record> from_json_line(std::string_view line, detail how = detail::whole);

/// Whether a line is JSON that says it is a record of a newer version, whatever else it holds. from_json_line has the
/// error then.
bool is_newer(std::string_view line);

} // namespace belay::codec
