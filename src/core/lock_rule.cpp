// SPDX-License-Identifier: Apache-2.0
#include "core/lock_rule.hpp"

#include "core/names.hpp"
#include "core/text.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace belay::core {

namespace {

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
        const auto end = text.find(' ');
        words.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return words;
}

lock_opinion held(std::string message) {
    return {lock_state::held, {reason::locked, std::move(message)}, {}};
}

std::string unset_hint(const std::string& instance) {
    return "`incus config unset " + shell_quote(instance) + " " + std::string(lock_key_name) + "`";
}

lock_opinion opinion_on_own_host(const lock_holder& holder, const std::string& instance, journal_knowledge known,
                                 bool process_alive) {
    const std::string pid = std::to_string(holder.pid);
    switch (known) {
    case journal_knowledge::closed:
        return {lock_state::stale,
                {},
                "replaced the lock of transaction " + holder.txn +
                    ", which has ended: a restore or a copy had brought it back"};
    case journal_knowledge::other_instance:
        return {lock_state::stale,
                {},
                "replaced the lock of transaction " + holder.txn +
                    ", which was about another instance: this one is a copy"};
    case journal_knowledge::unknown:
        return held("instance " + instance + " is locked by transaction " + holder.txn + ": held by pid " + pid +
                    (process_alive ? "" : " (not running any more)") +
                    ", state directory elsewhere: wait for it, or run belay as the user (and with the --state-dir) "
                    "that began it; when it is surely over, remove the lock with " +
                    unset_hint(instance));
    case journal_knowledge::stuck:
        return held("instance " + instance + " is locked by transaction " + holder.txn +
                    ", which got stuck: `belay recover` tries again to end it, and `belay show " + holder.txn +
                    "` prints the commands that end it by hand");
    case journal_knowledge::running:
        return held("instance " + instance + " is in transaction " + holder.txn + " of another belay (pid " + pid +
                    "): wait for it, or look with `belay show " + holder.txn + "`");
    case journal_knowledge::waiting:
        return held("instance " + instance + " is locked by transaction " + holder.txn +
                    ", which waits for a confirmation: `belay confirm " + holder.txn +
                    "` keeps its upgrade, `belay rollback " + holder.txn + "` undoes it");
    case journal_knowledge::open:
        return held("instance " + instance + " is locked by transaction " + holder.txn + ", which was interrupted" +
                    (process_alive ? "" : " (pid " + pid + " is gone)") +
                    ": `belay recover` ends it, and `belay show " + holder.txn + "` says how far it came");
    }
    return held("instance " + instance + " is locked");
}

} // namespace

std::string to_text(const lock_holder& holder) {
    return holder.txn + " " + holder.machine_id + " " + holder.boot_id + " " + std::to_string(holder.pid);
}

std::optional<lock_holder> parse_lock(std::string_view text) {
    const auto words = words_of(text);
    if (words.size() != 4 || !is_transaction_id(words[0]) || std::ranges::any_of(words, &std::string::empty)) {
        return std::nullopt;
    }
    long pid{};
    const auto& number = words[3];
    const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), pid);
    if (problem != std::errc{} || end != number.data() + number.size() || pid <= 0) {
        return std::nullopt;
    }
    return lock_holder{words[0], words[1], words[2], pid};
}

lock_owner owner_of(std::string_view text, const std::string& txn, const std::string& machine_id) {
    if (text.empty()) {
        return lock_owner::nobody;
    }
    const auto holder = parse_lock(text);
    return holder && holder->txn == txn && holder->machine_id == machine_id ? lock_owner::ours : lock_owner::other;
}

lock_opinion judge_lock(std::string_view text, const lock_holder& self, const std::string& instance,
                        journal_knowledge known, bool process_alive, const std::string& takes_over) {
    if (text.empty()) {
        return {};
    }
    const auto holder = parse_lock(text);
    if (!holder) {
        return held("instance " + instance + " has a lock that belay did not write (" + std::string(lock_key_name) +
                    " = '" + printable(text) + "'): find out who did, then remove it with " + unset_hint(instance));
    }
    if (owner_of(text, self.txn, self.machine_id) == lock_owner::ours) {
        return {lock_state::ours, {}, {}};
    }
    const bool ended_here = known == journal_knowledge::closed || known == journal_knowledge::other_instance;
    if (holder->machine_id != self.machine_id && !ended_here) {
        return held("instance " + instance + " is locked by transaction " + holder->txn + " of another machine (" +
                    printable(holder->machine_id) +
                    "): end it there; if this instance is a copy from there, remove the lock with " +
                    unset_hint(instance));
    }
    if (holder->txn == takes_over && !process_alive) {
        return {lock_state::stale, {}, "took over the lock of transaction " + holder->txn + ", whose journal is gone"};
    }
    return opinion_on_own_host(*holder, instance, known, process_alive);
}

} // namespace belay::core
