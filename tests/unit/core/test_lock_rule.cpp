// SPDX-License-Identifier: Apache-2.0
// What the key on an instance means: every case, and the sentence that a person gets.
#include "core/lock_rule.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay::core;
using enum journal_knowledge;

namespace {

const lock_holder self{"20261123t220000z-0001", "machine", "boot", 10};
const lock_holder other{"20261123t210000z-0002", "machine", "boot", 11};

lock_opinion opinion(journal_knowledge known, bool alive = false, const lock_holder& holder = other,
                     const std::string& takes_over = {}) {
    return judge_lock(to_text(holder), self, "web1", known, alive, takes_over);
}

/// The refusal, which has no warning.
std::string refusal(const lock_opinion& o) {
    CHECK(o.how == lock_state::held);
    CHECK(o.why.code == reason::locked);
    CHECK(o.warning.empty());
    return o.why.message;
}

/// What is said when the lock is replaced, which is no error.
std::string warning(const lock_opinion& o) {
    CHECK(o.how == lock_state::stale);
    CHECK(o.why == error{});
    return o.warning;
}

lock_holder of_machine(const std::string& id) {
    auto holder = other;
    holder.machine_id = id;
    return holder;
}

} // namespace

TEST_CASE("a lock of an interrupted transaction stays, and the refusal names belay recover") {
    CHECK(
        refusal(opinion(open, false)) ==
        "instance web1 is locked by transaction 20261123t210000z-0002, which was interrupted (pid 11 is gone): `belay "
        "recover` ends it, and `belay show 20261123t210000z-0002` says how far it came");
    // Its number may be another process's by now.
    CHECK(
        refusal(opinion(open, true)) ==
        "instance web1 is locked by transaction 20261123t210000z-0002, which was interrupted: `belay recover` ends it, "
        "and `belay show 20261123t210000z-0002` says how far it came");
}

TEST_CASE("a lock of a transaction that runs stays, and the refusal does not speak of recovery") {
    CHECK(refusal(opinion(running, true)) ==
          "instance web1 is in transaction 20261123t210000z-0002 of another belay (pid 11): wait for it, or look with "
          "`belay show 20261123t210000z-0002`");
}

TEST_CASE("a lock of a transaction that waits stays, and the refusal names confirm and rollback") {
    for (const bool alive : {false, true}) {
        CHECK(refusal(opinion(waiting, alive)) ==
              "instance web1 is locked by transaction 20261123t210000z-0002, which waits for a confirmation: `belay "
              "confirm 20261123t210000z-0002` keeps its upgrade, `belay rollback 20261123t210000z-0002` undoes it");
    }
}

TEST_CASE("a lock of a stuck transaction stays, and the refusal names the two ways out") {
    CHECK(
        refusal(opinion(stuck)) ==
        "instance web1 is locked by transaction 20261123t210000z-0002, which got stuck: `belay recover` tries again to "
        "end it, and `belay show 20261123t210000z-0002` prints the commands that end it by hand");
}

TEST_CASE("a lock of this machine that no journal here knows stays, and its process is named") {
    CHECK(
        refusal(opinion(unknown, true)) ==
        "instance web1 is locked by transaction 20261123t210000z-0002: held by pid 11, state directory elsewhere: wait "
        "for it, or run belay as the user (and with the --state-dir) that began it; when it is surely over, remove the "
        "lock with `incus config unset web1 user.belay.transaction`");
    CHECK(refusal(opinion(unknown, false)).find("held by pid 11 (not running any more), state directory elsewhere: ") !=
          std::string::npos);
}

TEST_CASE("a lock of another machine stays, whatever this host's process of that number does") {
    for (const auto known : {unknown, open, running, waiting, stuck}) {
        for (const bool alive : {false, true}) {
            CHECK(refusal(opinion(known, alive, of_machine("elsewhere"))) ==
                  "instance web1 is locked by transaction 20261123t210000z-0002 of another machine (elsewhere): end it "
                  "there; if this instance is a copy from there, remove the lock with `incus config unset web1 "
                  "user.belay.transaction`");
        }
    }
    CHECK(refusal(opinion(unknown, false, of_machine("\x1b[31mred"))).find('\x1b') == std::string::npos);
}

TEST_CASE("a lock that a restore or a copy brought back is replaced with a warning that says why") {
    for (const auto& machine : {"machine", "elsewhere"}) {
        for (const bool alive : {false, true}) {
            CHECK(warning(opinion(closed, alive, of_machine(machine))) ==
                  "replaced the lock of transaction 20261123t210000z-0002, which has ended: a restore or a copy had "
                  "brought it back");
            CHECK(
                warning(opinion(other_instance, alive, of_machine(machine))) ==
                "replaced the lock of transaction 20261123t210000z-0002, which was about another instance: this one is "
                "a copy");
        }
    }
}

TEST_CASE("a lock that belay did not write stays, and who reads about it is safe from it") {
    const auto o = judge_lock("by\x1b[31m hand", self, "web1", unknown, false, {});
    CHECK(refusal(o) == "instance web1 has a lock that belay did not write (user.belay.transaction = 'by [31m hand'): "
                        "find out who did, then remove it with `incus config unset web1 user.belay.transaction`");
}

TEST_CASE("the lock of an undone transaction is taken over when its journal and its process are gone") {
    CHECK(warning(opinion(unknown, false, other, other.txn)) ==
          "took over the lock of transaction 20261123t210000z-0002, whose journal is gone");
    SECTION("not while its process runs") {
        CHECK(opinion(unknown, true, other, other.txn).how == lock_state::held);
    }
    SECTION("not that of any other transaction") {
        CHECK(opinion(unknown, false, other, "20261123t210000z-0003").how == lock_state::held);
        CHECK(opinion(unknown, false, other, {}).how == lock_state::held);
    }
    SECTION("not on another machine") {
        CHECK(opinion(unknown, false, of_machine("elsewhere"), other.txn).how == lock_state::held);
    }
}

TEST_CASE("a lock of this transaction is its own, whichever process of the machine wrote it") {
    const lock_holder dead{self.txn, self.machine_id, "boot-before", 9'999};
    for (const auto known : {unknown, open, running, waiting, closed, stuck, other_instance}) {
        const auto o = opinion(known, false, dead);
        CHECK(o.how == lock_state::ours);
        CHECK(o.warning.empty());
    }
    CHECK(opinion(open, false, {self.txn, "elsewhere", "boot", 10}).how == lock_state::held);
}

TEST_CASE("an instance without a key is free, whatever the journals say") {
    for (const auto known : {unknown, open, stuck}) {
        const auto o = judge_lock("", self, "web1", known, true, {});
        CHECK(o.how == lock_state::free);
        CHECK(o.why == error{});
    }
}

TEST_CASE("whose lock an instance carries, as a transaction sees it") {
    const auto seen = [](std::string_view text) { return owner_of(text, self.txn, self.machine_id); };
    CHECK(seen("") == lock_owner::nobody);
    CHECK(seen(to_text(self)) == lock_owner::ours);
    CHECK(seen(self.txn + " machine boot-before 9999") == lock_owner::ours);
    CHECK(seen(self.txn + " elsewhere boot 10") == lock_owner::other);
    CHECK(seen(to_text(other)) == lock_owner::other);
    CHECK(seen(self.txn) == lock_owner::other); // not what belay writes
    CHECK(seen("by hand") == lock_owner::other);
}
