// SPDX-License-Identifier: Apache-2.0
#include "cli/past.hpp"

#include "codec/report_json.hpp"
#include "core/chronicle.hpp"
#include "journal/locks.hpp"

#include <nlohmann/json.hpp>

namespace belay::cli {

namespace {

using json = nlohmann::ordered_json;

/// Whether the process that wrote the journal last still runs on this host.
report::ending ending_of(const std::filesystem::path& state, const std::vector<core::record>& records) {
    core::lock_holder holder;
    for (const auto& r : records) {
        if (const auto* opened = std::get_if<core::opened>(&r.what)) {
            holder.pid = opened->pid;
            holder.boot_id = opened->boot_id;
        } else if (const auto* resumed = std::get_if<core::resumed>(&r.what)) {
            holder.pid = resumed->pid;
            holder.boot_id = resumed->boot_id;
        }
    }
    const journal::file_locks locks(state, journal::read_identity("/"));
    return locks.alive(holder) ? report::ending::running : report::ending::interrupted;
}

json document(const report::history_entry& entry) {
    auto one = json::parse(codec::to_json(entry.summary, -1));
    if (entry.how != report::ending::closed) {
        one["outcome"] = one["reason"] = one["exit_code"] = nullptr;
        one["state"] = entry.how == report::ending::running ? "running" : "interrupted";
    }
    return one;
}

std::string written(const json& document) {
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace

core::expected<report::history_entry> load_summary(const std::filesystem::path& state, const std::string& txn) {
    BELAY_TRY(const auto, ends, journal::read_ends(journal::files_of(state, txn).journal));
    if (ends.last) {
        if (const auto* closed = std::get_if<core::closed>(&ends.last->what)) {
            return report::history_entry{closed->summary, report::ending::closed};
        }
    }
    return load_whole(state, txn);
}

core::expected<report::history_entry> load_whole(const std::filesystem::path& state, const std::string& txn) {
    const auto files = journal::files_of(state, txn);
    BELAY_TRY(const auto, contents, journal::read_journal(files.journal));
    core::chronicle chronicle(files.log.string());
    for (const auto& r : contents.records) {
        chronicle.see(r);
    }
    if (!contents.records.empty()) {
        if (const auto* closed = std::get_if<core::closed>(&contents.records.back().what)) {
            return report::history_entry{closed->summary, report::ending::closed};
        }
    }
    auto summary = chronicle.summary(core::outcome::stuck);
    summary.transaction = txn;
    const auto how = ending_of(state, contents.records);
    summary.manual = how == report::ending::running ? std::vector<std::string>{} : core::end_by_hand(summary).commands;
    return report::history_entry{std::move(summary), how};
}

std::string as_json(const report::history_entry& entry) {
    return written(document(entry));
}

std::string as_json(std::span<const report::history_entry> entries) {
    auto list = json::array();
    for (const auto& entry : entries) {
        list.push_back(document(entry));
    }
    return written(list);
}

} // namespace belay::cli
