// SPDX-License-Identifier: Apache-2.0
#include "core/leftovers.hpp"

#include "core/incus_commands.hpp"
#include "core/names.hpp"
#include "core/plan.hpp"
#include "core/text.hpp"

#include <algorithm>

namespace belay::core {

namespace {

constexpr std::string_view copy_mark = "-failed-";

std::string label(const seen_instance& instance) {
    return "instance " + printable(instance.name) +
           (instance.project == "default" ? std::string{} : " (project " + printable(instance.project) + ")");
}

std::string unset(const seen_instance& instance, std::string_view key) {
    return incus_commands(instance.name, instance.project).line("config unset", std::string(key));
}

bool has_snapshot(const seen_instance& instance, const std::string& txn) {
    const auto name = snapshot_name(txn);
    return std::ranges::find(instance.snapshots, name) != instance.snapshots.end();
}

finding lock_of_nobody(const seen_instance& instance, const lock_holder& holder, const onlooker& who) {
    const auto head = label(instance) + " is locked by transaction " + holder.txn;
    if (holder.machine_id != who.machine_id) {
        const auto of = head + " of another machine (" + printable(holder.machine_id) + ")";
        return who.clustered ? note("lock", of + ": it is ended there")
                             : fault("lock",
                                     of + ", as an instance that was copied or moved from there still is; when the "
                                          "transaction is not under way there, the lock can go",
                                     {unset(instance, lock_key_name)});
    }
    const auto pid = std::to_string(holder.pid);
    if (who.alive(holder)) {
        return note("lock", head + ", whose process runs (pid " + pid + ") and has another state directory");
    }
    const auto gone = head + ", whose process is gone (pid " + pid +
                      ") and which no journal here knows: `belay recover` as the user, and with the --state-dir, that "
                      "began it ends it. When that state directory is lost, ";
    if (has_snapshot(instance, holder.txn)) {
        auto back = "belay rollback " + shell_quote(instance.name) + " --snapshot " + snapshot_name(holder.txn);
        back += instance.project == "default" ? "" : " --project " + shell_quote(instance.project);
        return fault("lock", gone + "go back to its snapshot", {std::move(back)});
    }
    return fault("lock", gone + "take the lock off; it left no snapshot", {unset(instance, lock_key_name)});
}

void judge_lock_key(const seen_instance& instance, const onlooker& who, std::vector<finding>& all) {
    using enum journal_knowledge;
    if (instance.lock.empty()) {
        return;
    }
    const auto holder = parse_lock(instance.lock);
    if (!holder) {
        all.push_back(fault("lock",
                            label(instance) + " has a lock that belay did not write (" + std::string(lock_key_name) +
                                " = '" + printable(instance.lock) + "'): find out who did, then take it off",
                            {unset(instance, lock_key_name)}));
        return;
    }
    const auto known = who.journal(holder->txn, instance.uuid).how;
    switch (known) {
    case open:
    case running:
    case waiting:
    case stuck:
        if (holder->machine_id != who.machine_id) { // a journal that came here with a copy of the whole host
            all.push_back(lock_of_nobody(instance, *holder, who));
        }
        return;
    case closed:
    case other_instance:
        all.push_back(fault("lock",
                            label(instance) + " carries the lock of transaction " + holder->txn +
                                (known == closed ? ", which has ended: a restore or a copy brought it back"
                                                 : ", which was about another instance: this one is a copy"),
                            {unset(instance, lock_key_name)}));
        return;
    case unknown:
        all.push_back(lock_of_nobody(instance, *holder, who));
        return;
    }
}

/// Whether a lock on the instance names the transaction: then what the lock says goes for the rest as well.
bool locked_by(const seen_instance& instance, const std::string& txn) {
    const auto holder = parse_lock(instance.lock);
    return holder && holder->txn == txn;
}

void judge_restored_key(const seen_instance& instance, const onlooker& who, std::vector<finding>& all) {
    using enum journal_knowledge;
    if (instance.restored.empty()) {
        return;
    }
    const auto known = who.journal(instance.restored, instance.uuid).how;
    if (known == open || known == running || known == waiting || known == stuck ||
        (known == unknown && locked_by(instance, instance.restored))) {
        return;
    }
    all.push_back(fault("restored-key",
                        label(instance) + " carries " + std::string(restored_key_name) + " of transaction " +
                            printable(instance.restored) + ", which needs it no more",
                        {unset(instance, restored_key_name)}));
}

void judge_snapshot(const seen_instance& instance, const std::string& name, const onlooker& who,
                    std::vector<finding>& all) {
    using enum journal_knowledge;
    const auto txn = transaction_in(name);
    if (!txn) {
        return;
    }
    const auto said = who.journal(*txn, instance.uuid);
    const auto what = label(instance) + " has snapshot " + name;
    std::vector<std::string> mend{incus_commands(instance.name, instance.project).line("snapshot delete", name)};
    if (said.how == closed && !said.keeps_snapshot) {
        all.push_back(fault("snapshot", what + ", whose transaction ended without one", std::move(mend)));
    } else if (said.how == other_instance) {
        all.push_back(fault("snapshot", what + " of a transaction of another instance, of which this one is a copy",
                            std::move(mend)));
    } else if (said.how == unknown && !locked_by(instance, *txn)) {
        const auto unknown_to = what + ", whose transaction no journal here knows, so that nothing deletes it. Unless "
                                       "another state directory does, or somebody wants to go back to it, it can go";
        const bool sure = who.sees_all && !who.clustered;
        all.push_back({sure ? weight::fault : weight::note, "snapshot", unknown_to, std::move(mend)});
    }
}

void judge_copy(const seen_instance& instance, std::vector<finding>& all) {
    const auto at = instance.name.rfind(copy_mark);
    if (at == std::string::npos || at == 0 || !is_transaction_id(instance.name.substr(at + copy_mark.size()))) {
        return;
    }
    all.push_back(note("failed-copy",
                       label(instance) + " is the broken state of " + instance.name.substr(0, at) +
                           ", kept by --keep-failed. When it has been looked at, it can go",
                       {incus_commands(instance.name, instance.project).line("delete")}));
}

} // namespace

std::vector<finding> leftovers_of(const seen_instance& instance, const onlooker& who) {
    if (!instance.readable) {
        const auto where = instance.location.empty()
                               ? std::string("the daemon does not show its configuration")
                               : "cluster member " + printable(instance.location) + " does not answer for it";
        return {fault("instance", label(instance) + " could not be looked at: " + where, {"incus cluster list"})};
    }
    std::vector<finding> all;
    judge_lock_key(instance, who, all);
    judge_restored_key(instance, who, all);
    for (const auto& name : instance.snapshots) {
        judge_snapshot(instance, name, who, all);
    }
    judge_copy(instance, all);
    return all;
}

} // namespace belay::core
