// SPDX-License-Identifier: Apache-2.0
// Wall time as text: RFC 3339, UTC, milliseconds.
#pragma once
#include "core/event.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace belay::core {

/// "2026-11-23T22:40:00.123Z" (RFC 3339, section 5.6). Years before 0 and after 9999 have no such form: the nearest
/// moment that has one is written.
std::string to_rfc3339(wall_time time);

/// Reads what to_rfc3339 writes; the fraction may be missing or have up to nine digits, of which the first three count.
/// Nothing for any other text, also for a date that no calendar has.
std::optional<wall_time> from_rfc3339(std::string_view text);

} // namespace belay::core
