// SPDX-License-Identifier: Apache-2.0
#include "core/durations.hpp"
#include "core/text.hpp"
#include "report/pieces.hpp"
#include "report/table.hpp"
#include "report/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::report {

namespace {

constexpr std::size_t columns = 8; // at most

std::string outcome_word(const history_entry& entry) {
    switch (entry.how) {
    case ending::closed:
        return entry.superseded_by.empty() ? std::string(core::to_word(entry.summary.how)) : "superseded";
    case ending::running:
        return "running";
    case ending::waiting:
        return "waiting";
    case ending::interrupted:
        return "interrupted";
    }
    return {};
}

bool was_kept(const history_entry& entry) {
    return entry.how == ending::closed && entry.summary.how == core::outcome::committed && entry.superseded_by.empty();
}

/// Until when an upgrade can be undone.
std::string undo_word(const history_entry& entry) {
    if (!was_kept(entry)) {
        return "-";
    }
    if (!entry.undoable) {
        return "not any more";
    }
    return entry.undo_until ? "undo until " + minute(*entry.undo_until) : "undo: no limit";
}

} // namespace

std::string history_table(std::span<const history_entry> entries, const style& look) {
    std::vector<std::vector<std::string>> rows;
    rows.reserve(entries.size());
    const bool tells_undo = std::ranges::any_of(entries, was_kept);
    for (const auto& entry : entries) {
        const auto& r = entry.summary;
        const bool closed = entry.how == ending::closed;
        auto& row = rows.emplace_back();
        row.reserve(columns);
        row.push_back(r.transaction);
        row.push_back(r.instance.empty() ? "-" : safe(r.instance, look));
        row.push_back(outcome_word(entry));
        row.push_back(closed ? std::string(core::to_word(r.why)) : "-");
        row.push_back(start_of(r));
        row.push_back(closed ? core::format_seconds(r.seconds) : "-");
        if (tells_undo) {
            row.push_back(undo_word(entry));
        }
        row.push_back(safe(r.undoes.empty() ? core::shell_line(r.command) : "(undo of " + r.undoes + ")", look));
    }
    return table(rows, look);
}

} // namespace belay::report
