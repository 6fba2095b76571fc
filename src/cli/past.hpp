// SPDX-License-Identifier: Apache-2.0
// Transactions of the past, and those that still go on, read from their journals.
#pragma once
#include "core/state.hpp"
#include "incus/snapshot_lists.hpp"
#include "journal/reader.hpp"
#include "journal/transaction_journal.hpp"
#include "report/text.hpp"

#include <filesystem>
#include <functional>
#include <future>
#include <span>
#include <utility>
#include <vector>

namespace belay::cli {

/// All that the journal of a transaction says now.
struct known_transaction {
    std::string txn;
    core::state state;
    core::report so_far; ///< the report, when it has ended; else what it did so far
    bool begun{false};   ///< the journal holds anything at all
    bool torn{false};    ///< its last line is torn, and does not count
    bool owned{false};   ///< a process works on it
    long pid{};          ///< the process that wrote to it last
};

/// Errors as of journal::read_journal.
core::expected<known_transaction> load_known(const std::filesystem::path& state, const std::string& txn);

/// A line of the history, from the last line of the journal when the transaction has ended. The report of one that has
/// ended is as the reading `how` leaves it: a brief one has no phases, checks and packages. Errors as of
/// journal::read_report, and for what has not ended as of journal::read_journal.
core::expected<report::history_entry> load_summary(const std::filesystem::path& state, const std::string& txn,
                                                   codec::detail how = codec::detail::whole);

/// The same with every phase, also of a transaction that has not ended.
core::expected<report::history_entry> load_whole(const std::filesystem::path& state, const std::string& txn);

/// Finds out which of these transactions, all of one state directory and oldest first, were taken back by a later one:
/// an upgrade that was undone and every newer one of the same instance.
void mark_superseded(std::vector<report::history_entry>& entries);

/// Is shown the newest of a history, in no order, before the others are read.
using see_newest = std::function<void(std::span<const report::history_entry>)>;

/// So many of them.
inline constexpr std::size_t seen_first = 20;

/// The history of a state directory, oldest first, with what was superseded marked; journals that cannot be read go to
/// `unreadable`. Its entries are those of load_summary. Error: io_error.
core::expected<std::vector<report::history_entry>> load_history(const std::filesystem::path& state,
                                                                std::vector<core::error>& unreadable,
                                                                codec::detail how = codec::detail::brief,
                                                                const see_newest& see = {});

/// The transaction that took this one back; empty when none did.
std::string superseded_by(const std::filesystem::path& state, const std::string& txn);

/// The transaction that a person means who wants to confirm or to undo: by ID as journal::find_transaction; of an
/// instance the newest one that waits for a confirmation, else the newest. Errors: usage, io_error.
core::expected<std::string> find_asked(const std::filesystem::path& state, const std::string& text,
                                       const std::string& project);

/// Says which of them can be undone, and until when: upgrades that were kept and not taken back, and whose snapshot has
/// not expired. `ask` has a last word about those: what snapshots the instances have now.
using snapshot_lists = std::vector<core::expected<std::vector<core::snapshot_entry>>>;
using ask_snapshots = std::function<snapshot_lists(const std::vector<incus::instance_name>&)>;
void mark_undoable(std::span<report::history_entry> entries, core::wall_time now, const ask_snapshots& ask);

/// Asks the Incus of this host, all at once and only for a moment. Where it does not answer, its absence says nothing.
snapshot_lists ask_incus(const std::vector<incus::instance_name>& which);

/// Asks while the older transactions of a history are still read: what can be undone is mostly among the newest.
class early_question {
public:
    explicit early_question(ask_snapshots ask = ask_incus) : ask_(std::move(ask)) {}

    /// Once: begins to ask about the instances of those that claim that they can be undone.
    void begin(std::span<const report::history_entry> newest, core::wall_time now);

    /// As ask_snapshots, for mark_undoable(), once. Whoever was not asked about is asked about now.
    snapshot_lists answers(const std::vector<incus::instance_name>& which);

private:
    ask_snapshots ask_;
    std::vector<incus::instance_name> asked_; ///< in their order
    std::future<snapshot_lists> answers_;
};

/// One report document; of a transaction that has not ended `outcome`, `reason` and `exit_code` are null and `state` is
/// "running", "waiting" or "interrupted". One that was taken back has the outcome and the state "superseded".
/// `undoable` and `undo_until` (null: without a limit, or not undoable) as mark_undoable says.
std::string as_json(const report::history_entry& entry);

/// An array of them.
std::string as_json(std::span<const report::history_entry> entries);

} // namespace belay::cli
