// SPDX-License-Identifier: Apache-2.0
#include "cli/past.hpp"

#include "codec/report_json.hpp"
#include "core/chronicle.hpp"
#include "core/lock_rule.hpp"
#include "core/manual.hpp"
#include "core/time_text.hpp"
#include "incus/socket.hpp"
#include "journal/files.hpp"
#include "ports/threads.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <thread>

namespace belay::cli {

namespace {

using json = nlohmann::ordered_json;

report::ending ending_of(const known_transaction& known) {
    if (known.state.end) {
        return report::ending::closed;
    }
    if (known.state.waits_for_confirmation()) {
        return report::ending::waiting;
    }
    return known.owned ? report::ending::running : report::ending::interrupted;
}

std::string_view word_of(const report::history_entry& entry) {
    switch (entry.how) {
    case report::ending::closed:
        return "superseded";
    case report::ending::running:
        return "running";
    case report::ending::waiting:
        return "waiting";
    case report::ending::interrupted:
        return "interrupted";
    }
    return {};
}

json document(const report::history_entry& entry) {
    auto one = json::parse(codec::to_json(entry.summary, -1));
    if (entry.how != report::ending::closed) {
        one["outcome"] = one["reason"] = one["exit_code"] = nullptr;
        one["state"] = word_of(entry);
    } else if (!entry.superseded_by.empty()) {
        one["outcome"] = one["state"] = word_of(entry);
        one["superseded_by"] = entry.superseded_by;
    }
    one["undoable"] = entry.undoable;
    one["undo_until"] = entry.undo_until ? json(core::to_rfc3339(*entry.undo_until)) : json(nullptr);
    if (entry.until) {
        one["confirm_until"] = core::to_rfc3339(*entry.until);
    }
    return one;
}

std::string written(const json& document) {
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

/// The process that a record says it was written by, if it does.
long pid_in(const core::event& e, long before) {
    if (const auto* opened = std::get_if<core::opened>(&e)) {
        return opened->pid;
    }
    const auto* resumed = std::get_if<core::resumed>(&e);
    return resumed != nullptr ? resumed->pid : before;
}

report::history_entry entry_of(const known_transaction& known) {
    report::history_entry entry{.summary = known.so_far, .how = ending_of(known)};
    if (entry.how == report::ending::waiting) {
        entry.until = known.state.until;
    }
    if (entry.how == report::ending::interrupted) {
        auto out = core::end_by_hand(known.state, known.txn);
        entry.way_out = known.begun ? std::move(out.sentence)
                                    : std::string("Its journal is empty: belay ended before it did anything.");
        entry.summary.manual = std::move(out.commands);
    }
    return entry;
}

bool took_back(const report::history_entry& entry) {
    const bool restored =
        entry.summary.how == core::outcome::rolled_back || entry.summary.how == core::outcome::rolled_back_unhealthy;
    return entry.how == report::ending::closed && restored && !entry.summary.undoes.empty();
}

} // namespace

core::expected<known_transaction> load_known(const std::filesystem::path& state, const std::string& txn) {
    const auto files = journal::files_of(state, txn);
    known_transaction known;
    known.txn = txn;
    known.owned = journal::is_locked(files.journal); // before the reading: what is written after that is not missed
    BELAY_TRY(const auto, contents, journal::read_journal(files.journal));
    core::chronicle chronicle(files.log.string());
    for (const auto& r : contents.records) {
        chronicle.see(r);
        known.pid = pid_in(r.what, known.pid);
    }
    known.state = chronicle.current();
    known.begun = !contents.records.empty();
    known.torn = contents.torn;
    const auto* end = known.begun ? std::get_if<core::closed>(&contents.records.back().what) : nullptr;
    known.so_far = end != nullptr ? end->summary : chronicle.summary(core::outcome::stuck);
    known.so_far.transaction = txn;
    if (end == nullptr) {
        known.so_far.manual.clear();
    }
    return known;
}

core::expected<report::history_entry> load_summary(const std::filesystem::path& state, const std::string& txn,
                                                   codec::detail how) {
    BELAY_TRY(auto, end, journal::read_report(journal::journal_of(state, txn), how));
    if (!end) {
        return load_whole(state, txn);
    }
    return report::history_entry{.summary = *std::move(end)};
}

core::expected<report::history_entry> load_whole(const std::filesystem::path& state, const std::string& txn) {
    BELAY_TRY(const auto, known, load_known(state, txn));
    return entry_of(known);
}

void mark_superseded(std::vector<report::history_entry>& entries) {
    for (auto undo = entries.begin(); undo != entries.end(); ++undo) {
        if (!took_back(*undo)) {
            continue;
        }
        const auto first = std::find_if(entries.begin(), undo, [&](const auto& entry) {
            return entry.summary.transaction == undo->summary.undoes; // or its journal is gone
        });
        for (auto earlier = first == undo ? entries.begin() : first; earlier != undo; ++earlier) {
            const auto& r = earlier->summary;
            const bool same = r.instance == undo->summary.instance && r.project == undo->summary.project;
            const bool kept = earlier->how == report::ending::closed && r.how == core::outcome::committed;
            const bool since = first != undo || r.transaction >= undo->summary.undoes;
            if (same && kept && since && earlier->superseded_by.empty()) {
                earlier->superseded_by = undo->summary.transaction;
            }
        }
    }
}

namespace {

/// Those at these places, on all processors when there is enough to do: each line of a history takes one of them some
/// 30 microseconds. `first` is done on this thread, and meanwhile the others begin.
void do_all(std::size_t size, const std::function<void(std::size_t)>& what, const std::function<void()>& first) {
    constexpr std::size_t worth_a_thread = 50;
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (auto i = next++; i < size; i = next++) {
            what(i);
        }
    };
    std::vector<std::jthread> others;
    const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
    while (others.size() + 1 < std::min(processors, size / worth_a_thread)) {
        if (!ports::begin_thread(others, work)) {
            break; // those that are there do it all
        }
    }
    first();
    work();
}

} // namespace

core::expected<std::vector<report::history_entry>> load_history(const std::filesystem::path& state,
                                                                std::vector<core::error>& unreadable, codec::detail how,
                                                                const see_newest& see) {
    BELAY_TRY(const auto, txns, journal::list_transactions(state));
    std::vector<report::history_entry> entries(txns.size());
    std::vector<std::optional<core::error>> problems(txns.size());
    const auto load = [&](std::size_t i) {
        if (auto past = load_summary(state, txns[i], how)) {
            entries[i] = *std::move(past);
        } else {
            problems[i] = std::move(past).error();
        }
    };
    const auto older = see ? txns.size() - std::min(txns.size(), seen_first) : txns.size();
    do_all(older, load, [&] {
        std::vector<report::history_entry> newest;
        for (auto i = older; i < txns.size(); ++i) {
            load(i);
            if (!problems[i]) {
                newest.push_back(entries[i]);
            }
        }
        if (see) {
            see(newest);
        }
    });
    std::size_t readable = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (problems[i]) {
            unreadable.push_back(*std::move(problems[i]));
        } else if (readable++ != i) {
            entries[readable - 1] = std::move(entries[i]);
        }
    }
    entries.resize(readable);
    const auto begin = [](const auto& entry) { return entry.summary.started; };
    if (!std::ranges::is_sorted(entries, {}, begin)) { // within a second the IDs are in no order
        std::ranges::stable_sort(entries, {}, begin);
    }
    mark_superseded(entries);
    return entries;
}

namespace {

bool claims_to_be_undoable(const report::history_entry& entry, core::wall_time now) {
    const auto& r = entry.summary;
    return entry.how == report::ending::closed && r.how == core::outcome::committed && entry.superseded_by.empty() &&
           !r.snapshot.empty() && (!r.snapshot_expires || *r.snapshot_expires > now);
}

incus::instance_name instance_of(const report::history_entry& entry) {
    return {entry.summary.project, entry.summary.instance};
}

/// The instances of those that claim that they can be undone, in their order, each once.
std::vector<incus::instance_name> to_be_asked(std::span<const report::history_entry> entries, core::wall_time now) {
    std::set<incus::instance_name> names;
    for (const auto& entry : entries) {
        if (claims_to_be_undoable(entry, now)) {
            names.insert(instance_of(entry));
        }
    }
    return {names.begin(), names.end()};
}

/// What the daemon says counts, also about the end: anybody can change it.
void take_word(report::history_entry& entry, const std::vector<core::snapshot_entry>& there) {
    const auto found = std::ranges::find(there, entry.summary.snapshot, &core::snapshot_entry::name);
    const auto holder = found == there.end() ? std::nullopt : core::parse_lock(found->lock);
    entry.undoable = holder && holder->txn == entry.summary.transaction;
    entry.undo_until = entry.undoable ? found->expires : std::nullopt;
}

} // namespace

void mark_undoable(std::span<report::history_entry> entries, core::wall_time now, const ask_snapshots& ask) {
    for (auto& entry : entries) {
        entry.undoable = claims_to_be_undoable(entry, now);
        if (entry.undoable) {
            entry.undo_until = entry.summary.snapshot_expires;
        }
    }
    const auto which = to_be_asked(entries, now);
    if (which.empty()) {
        return;
    }
    const auto answers = ask(which);
    for (auto& entry : entries) {
        const auto at = static_cast<std::size_t>(std::ranges::lower_bound(which, instance_of(entry)) - which.begin());
        if (entry.undoable && at < answers.size() && answers[at]) {
            take_word(entry, *answers[at]);
        }
    }
}

void early_question::begin(std::span<const report::history_entry> newest, core::wall_time now) {
    asked_ = to_be_asked(newest, now);
    if (asked_.empty()) {
        return;
    }
    try {
        answers_ = std::async(std::launch::async, ask_, asked_);
    } catch (const std::system_error&) { // no thread to be had
        asked_.clear();
    }
}

snapshot_lists early_question::answers(const std::vector<incus::instance_name>& which) {
    std::map<incus::instance_name, snapshot_lists::value_type> known;
    const auto take = [&](const std::vector<incus::instance_name>& names, snapshot_lists&& lists) {
        for (std::size_t i = 0; i < std::min(names.size(), lists.size()); ++i) {
            known.emplace(names[i], std::move(lists[i]));
        }
    };
    if (answers_.valid()) {
        take(asked_, answers_.get());
    }
    std::vector<incus::instance_name> others;
    std::ranges::set_difference(which, asked_, std::back_inserter(others));
    if (!others.empty()) {
        take(others, ask_(others));
    }
    snapshot_lists all;
    for (const auto& name : which) {
        if (auto found = known.extract(name)) {
            all.push_back(std::move(found.mapped()));
        } else {
            all.emplace_back(core::failure(core::reason::no_daemon, "nobody answered"));
        }
    }
    return all;
}

snapshot_lists ask_incus(const std::vector<incus::instance_name>& which) {
    constexpr core::milliseconds moment{2'000};
    const auto socket = incus::find_socket(incus::real_surroundings());
    return socket ? incus::snapshots_of(*socket, which, moment) : snapshot_lists{};
}

core::expected<std::string> find_asked(const std::filesystem::path& state, const std::string& text,
                                       const std::string& project) {
    BELAY_TRY(const auto, of_instance, journal::transactions_of(state, text, project));
    for (auto txn = of_instance.rbegin(); txn != of_instance.rend(); ++txn) {
        const auto past = load_summary(state, *txn, codec::detail::brief);
        if (past && past->how == report::ending::waiting) {
            return *txn;
        }
    }
    return journal::find_transaction(state, text, project);
}

std::string superseded_by(const std::filesystem::path& state, const std::string& txn) {
    std::vector<core::error> unreadable;
    const auto all = load_history(state, unreadable);
    if (!all) {
        return {};
    }
    const auto same = std::ranges::find(*all, txn, [](const auto& entry) { return entry.summary.transaction; });
    return same == all->end() ? std::string{} : same->superseded_by;
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
