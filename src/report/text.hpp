// SPDX-License-Identifier: Apache-2.0
// Texts about transactions that have ended, or stopped half-way: the last sentence of a run, history and show. Every
// text ends with a newline. Words of the instance in them are made safe.
#pragma once
#include "core/event.hpp"
#include "report/style.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace belay::report {

/// The end of a run: in which state the instance is, why, what became of the snapshot, and the commands that undo the
/// upgrade, give the space back or end a stuck transaction, each one ready to paste.
std::string closing_sentence(const core::report& r, const style& look);

/// The instance that holds the broken state, with the commands to look into it and to throw it away; empty when none is
/// kept. Names and what is said about them, as for facts().
std::vector<std::pair<std::string, std::string>> broken_state(const core::report& r);

/// Whether a transaction has an outcome. `running`: a process works on it; `waiting`: for a confirmation, whether a
/// process does or not; `interrupted`: none does.
enum class ending { closed, running, waiting, interrupted };

/// A line of the history.
struct history_entry {
    core::report summary;
    ending how{ending::closed};             ///< unless closed, the outcome in the summary means nothing
    std::optional<core::wall_time> until{}; ///< waiting: when the confirmation must have come
    std::string way_out{};       ///< interrupted: what ends it, before the commands in the summary's `manual`
    std::string superseded_by{}; ///< the transaction that took this one back
    bool undoable{false};        ///< kept, and its snapshot is still there
    std::optional<core::wall_time> undo_until{}; ///< undoable: when the snapshot expires; nothing: never
};

/// One line per transaction, in their order, columns aligned, without a head: transaction, instance, outcome, reason,
/// started, seconds, command. The command is cut when the style has a width. When one of them was kept, a column before
/// the command says until when it can be undone.
std::string history_table(std::span<const history_entry> entries, const style& look);

/// A file that was saved before a rollback.
struct evidence_file {
    std::string name;
    std::string path;
    std::uint64_t size{};
    std::vector<std::string> telling; ///< see core::telling_lines
};

/// One transaction whole: its outcome and why, the last lines of the command's output (raw; as many as are given), the
/// evidence, then phases, checks, packages, warnings and files. One that has no outcome: what it did so far and what
/// ends it.
std::string show(const history_entry& past, std::string_view log_tail, const style& look,
                 std::span<const evidence_file> evidence = {});

} // namespace belay::report
