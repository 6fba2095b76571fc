// SPDX-License-Identifier: Apache-2.0
// Transactions of the past, read from their journals.
#pragma once
#include "journal/reader.hpp"
#include "journal/transaction_journal.hpp"
#include "report/text.hpp"

#include <filesystem>
#include <span>

namespace belay::cli {

/// The report of a transaction, from the ends of its journal when it has ended. For one that has not, what it did so
/// far and whether its process still lives. Errors as of journal::read_journal.
core::expected<report::history_entry> load_summary(const std::filesystem::path& state, const std::string& txn);

/// The same with every phase also of a transaction that has not ended.
core::expected<report::history_entry> load_whole(const std::filesystem::path& state, const std::string& txn);

/// One report document; of a transaction that has not ended `outcome`, `reason` and `exit_code` are null and `state` is
/// "running" or "interrupted".
std::string as_json(const report::history_entry& entry);

/// An array of them.
std::string as_json(std::span<const report::history_entry> entries);

} // namespace belay::cli
