// SPDX-License-Identifier: Apache-2.0
// Reads journals. A torn last line is what a crash leaves, and is passed over; any other damage is an error, because
// whoever acts on half a history may delete the one snapshot that is needed.
#pragma once
#include "codec/record_json.hpp"
#include "core/event.hpp"
#include "journal/transaction_journal.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace belay::journal {

struct journal_contents {
    std::vector<core::record> records;
    bool torn{};               ///< there was a last line that is not whole
    std::uint64_t good_size{}; ///< where the last whole line ends, in bytes
    std::string last_sum;      ///< the checksum that the next line follows
};

/// The whole journal. A last line is torn when it has no newline or is no JSON. Errors, all io_error and with the file,
/// the line and what to do: damage (a line that is altered, missing, doubled or foreign, garbage or NUL bytes before
/// the last line), a record of a newer version anywhere, a file that cannot be read. An empty file has no records, and
/// neither has a missing one in an existing directory: that is what an early crash leaves.
core::expected<journal_contents> read_journal(const std::filesystem::path& file);

/// Whether an error of these functions means damage: not a journal of a newer belay, and not one that may not be read.
bool is_damage(const core::error& e);

/// The last record; nothing where read_journal has no records. All lines are verified, but only the last one is
/// understood: errors as of read_journal, except that a sound line before it may hold whatever record.
core::expected<std::optional<core::record>> read_last(const std::filesystem::path& file, codec::detail how);

/// The report of a transaction that has ended, by the last line of its journal; nothing of one that has not. Errors as
/// of read_last.
core::expected<std::optional<core::report>> read_report(const std::filesystem::path& file, codec::detail how);

/// The IDs of all transactions, oldest first; none when there is no state directory.
core::expected<std::vector<std::string>> list_transactions(const std::filesystem::path& state);

/// The transactions of an instance, oldest first (of `project`, if given). Those whose first record cannot be read
/// belong to no instance.
core::expected<std::vector<std::string>> transactions_of(const std::filesystem::path& state,
                                                         const std::string& instance,
                                                         const std::optional<std::string>& project);

/// An instance that a transaction was about.
struct known_instance {
    std::string project;
    std::string name;

    auto operator<=>(const known_instance&) const = default;
};

/// Every instance that the first record of a transaction names, sorted. Journals that cannot be read name none. Error:
/// io_error.
core::expected<std::vector<known_instance>> known_instances(const std::filesystem::path& state);

/// The transaction that a person means: its ID, the beginning of just one ID, or the name of an instance, for which it
/// is the newest one (of `project`, if given). A beginning of an ID comes before a name.
/// Errors: usage, when there is none or several begin so; io_error.
core::expected<std::string> find_transaction(const std::filesystem::path& state, const std::string& text,
                                             const std::optional<std::string>& project = std::nullopt);

} // namespace belay::journal
