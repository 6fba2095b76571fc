// SPDX-License-Identifier: Apache-2.0
// Names: of instances and projects as the user gives them, of transactions as belay makes them.
#pragma once
#include "core/error.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace belay::core {

/// Whether this can be the name of a local instance: 1 to 63 letters, digits and dashes, no dash at either end, not a
/// mere number, as the daemon asks of new instances (tried with 6.0.4; its manual forbids a digit at the start as
/// well). REMOTE:NAME has an error of its own. Error: usage.
expected<void> check_instance_name(std::string_view name);

/// Whether this can be the name of a project: not empty, no '/', white space, quotes or control characters. Error:
/// usage.
expected<void> check_project_name(std::string_view name);

/// `YYYYMMDDtHHMMSSz-xxxx`, UTC and four random hex digits, so that names sort by time.
std::string make_transaction_id(std::chrono::sys_seconds now, std::uint16_t random);

bool is_transaction_id(std::string_view text);

/// The name of a transaction's snapshots.
std::string snapshot_name(const std::string& txn);

/// The transaction that a snapshot is named after; nothing when it is not named as belay does.
std::optional<std::string> transaction_in(std::string_view snapshot);

} // namespace belay::core
