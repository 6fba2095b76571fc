// SPDX-License-Identifier: Apache-2.0
// What people are told to do by hand, what a restore would change, and what is known of storage drivers.
#include "core/differences.hpp"
#include "core/drivers.hpp"
#include "core/manual.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay::core;
using commands = std::vector<std::string>;

namespace {

const std::string txn = "20261123t224000z-3f9c";
const std::string pool = "/var/lib/incus/storage-pools/p";

/// A restore that failed with the daemon's words.
error failed(const std::string& cause) {
    return {reason::restore_failed, "snapshot belay-x of instance web1 could not be restored", cause};
}

/// As Incus 6.0 says it (driver btrfs, RestoreVolume).
error leftover_in_the_way(const std::string& path) {
    return failed("Failed to rename \"" + path + "\" to \"" + path + ".incustmp\": rename " + path + " " + path +
                  ".incustmp: file exists");
}

error only_the_leftover(const std::string& path) {
    return failed("Failed to rename \"" + path + "\" to \"" + path + ".incustmp\": rename " + path + " " + path +
                  ".incustmp: no such file or directory");
}

state of_instance(const std::string& project = "default") {
    plan how;
    how.instance = "web1";
    how.project = project;
    return apply({}, opened{how});
}

void done(state& s, act what, const std::string& target = {}) {
    fold(s, started{{what, target}});
    fold(s, finished{.what = {what, target}});
}

/// An instance of project "lab 1" whose transaction did these acts and died.
state after(std::initializer_list<act> acts) {
    auto s = of_instance("lab 1");
    for (const auto what : acts) {
        done(s, what, what == act::snapshot || what == act::restore || what == act::discard ? "root" : "");
    }
    return s;
}

} // namespace

TEST_CASE("a subvolume that a cut restore left is deleted beside the instance, or moved back when it is all there is") {
    CHECK(mending_commands({leftover_in_the_way("/pool/containers/web1")}) ==
          commands{"if rmdir /pool/containers/web1 2>/dev/null; then mv /pool/containers/web1.incustmp "
                   "/pool/containers/web1; else rmdir /pool/containers/web1.incustmp 2>/dev/null || "
                   "btrfs subvolume delete /pool/containers/web1.incustmp; fi"});
}

TEST_CASE("a subvolume that is all that a cut restore left is moved back") {
    CHECK(mending_commands({only_the_leftover(pool + "/containers/pp_p1")}) ==
          commands{"mv /var/lib/incus/storage-pools/p/containers/pp_p1.incustmp "
                   "/var/lib/incus/storage-pools/p/containers/pp_p1"});
}

TEST_CASE("an odd path is quoted for the shell") {
    CHECK(mending_commands({leftover_in_the_way("/srv/my pool/it's; rm -rf x/web1")}) ==
          commands{"if rmdir '/srv/my pool/it'\\''s; rm -rf x/web1' 2>/dev/null; then "
                   "mv '/srv/my pool/it'\\''s; rm -rf x/web1.incustmp' '/srv/my pool/it'\\''s; rm -rf x/web1'; "
                   "else rmdir '/srv/my pool/it'\\''s; rm -rf x/web1.incustmp' 2>/dev/null || "
                   "btrfs subvolume delete '/srv/my pool/it'\\''s; rm -rf x/web1.incustmp'; fi"});
    CHECK(mending_commands({only_the_leftover("/srv/$(x)/web1")}) ==
          commands{"mv '/srv/$(x)/web1.incustmp' '/srv/$(x)/web1'"});
}

TEST_CASE("the latest error counts that can be mended") {
    const auto first = leftover_in_the_way(pool + "/containers/web1");
    const auto later = only_the_leftover(pool + "/containers/web1");
    CHECK(mending_commands({first, later}).front().starts_with("mv "));
    CHECK(mending_commands({later, first}).front().starts_with("if rmdir "));
    CHECK(mending_commands({first, failed("dataset is busy")}).front().starts_with("if rmdir "));
}

TEST_CASE("an error that says nothing of a leftover cannot be mended") {
    const auto path = pool + "/containers/web1";
    for (const auto& cause : std::vector<std::string>{
             "",
             "dataset is busy",
             "Failed to rename \"" + path,
             "Failed to rename \"" + path + "\"",
             "Failed to rename \"" + path + "\" to \"/elsewhere.incustmp\": file exists",
             "Failed to rename \"" + path + "\" to \"" + path + ".incustmp\": permission denied",
             "Failed to rename \"\" to \".incustmp\": file exists",
         }) {
        INFO(cause);
        CHECK(mending_commands({failed(cause)}).empty());
    }
    CHECK(mending_commands({}).empty());
}

TEST_CASE("a stuck transaction is ended by hand from where it got stuck") {
    auto s = of_instance("lab 1");
    fold(s, decided{verdict::undo});
    const commands restore{"incus snapshot restore web1 belay-" + txn + " --project 'lab 1'",
                           "incus config unset web1 user.belay.transaction --project 'lab 1'",
                           "incus start web1 --project 'lab 1'"};
    SECTION("the stop failed") {
        auto all = restore;
        all.insert(all.begin(), "incus stop --force web1 --project 'lab 1'");
        CHECK(manual_commands(s, txn) == all);
    }
    SECTION("the stop succeeded, and a second one would be an error") {
        done(s, act::stop);
        CHECK(manual_commands(s, txn) == restore);
    }
    SECTION("the restore failed for a leftover, which is mended first") {
        done(s, act::stop);
        const auto leftover = leftover_in_the_way(pool + "/containers/lab 1_web1");
        s.why.push_back(leftover);
        auto all = restore;
        all.insert(all.begin(), mending_commands({leftover}).front());
        CHECK(manual_commands(s, txn) == all);
    }
    SECTION("it was restored, and only the lock and the start are left") {
        done(s, act::stop);
        s.why.push_back(leftover_in_the_way(pool + "/containers/web1"));
        done(s, act::restore, "root");
        CHECK(manual_commands(s, txn) == commands{restore[1], restore[2]});
    }
    SECTION("the snapshot is gone, and only the lock is left") {
        s.why.push_back({reason::not_restorable, "somebody deleted it"});
        CHECK(manual_commands(s, txn) == commands{restore[1]});
    }
    SECTION("the instance is gone, and nothing is left") {
        s.why.push_back({reason::not_found, "there is another one of that name"});
        CHECK(manual_commands(s, txn).empty());
    }
    SECTION("an undo restores the snapshot of the upgrade, not its own") {
        done(s, act::stop);
        s.how.restores = "belay-20250101t000000z-0001";
        CHECK(manual_commands(s, txn).front() ==
              "incus snapshot restore web1 belay-20250101t000000z-0001 --project 'lab 1'");
    }
}

TEST_CASE("an interrupted transaction is ended by hand from how far it came") {
    using enum act;
    const std::string recover = "`belay recover` ends it. ";
    const std::string flags = " --project 'lab 1'";
    const auto unset = "incus config unset web1 user.belay.transaction" + flags;
    const commands go_back{"incus stop --force web1" + flags, "incus snapshot restore web1 belay-" + txn + flags, unset,
                           "incus start web1" + flags};
    SECTION("nothing was changed") {
        const auto out = end_by_hand(after({preflight}), txn);
        CHECK(out.sentence == recover + "Nothing was changed.");
        CHECK(out.commands.empty());
    }
    SECTION("before the upgrade") {
        CHECK(end_by_hand(after({preflight, lock, baseline}), txn).commands == commands{unset});
        auto s = after({preflight, lock, baseline, pause, snapshot});
        const auto out = end_by_hand(s, txn);
        CHECK(out.sentence == recover + "The upgrade had not begun. To clean up by hand, in this order:");
        CHECK(out.commands ==
              commands{"incus resume web1" + flags, "incus snapshot delete web1 belay-" + txn + flags, unset});
    }
    SECTION("from the upgrade on") {
        const auto out = end_by_hand(after({preflight, lock, snapshot, upgrade}), txn);
        CHECK(out.sentence == recover + "The upgrade had begun. To bring the old state back by hand, in this order:");
        CHECK(out.commands == go_back);
    }
    SECTION("restored") {
        auto s = after({preflight, lock, snapshot, upgrade});
        fold(s, decided{verdict::undo});
        done(s, stop);
        done(s, restore, "root");
        CHECK(end_by_hand(s, txn).commands == commands{unset, go_back[3]});
    }
    SECTION("decided to be kept, and nothing of it is undone by hand") {
        auto s = after({preflight, lock, snapshot, upgrade, verify});
        fold(s, decided{verdict::commit});
        const auto out = end_by_hand(s, txn);
        CHECK(out.sentence.find("decided to be kept") != std::string::npos);
        CHECK(out.commands == commands{unset});
    }
}

TEST_CASE("an interrupted undo of a kept upgrade is ended by hand with the snapshot of that upgrade") {
    using enum act;
    const std::string flags = " --project 'lab 1'";
    const auto unset = "incus config unset web1 user.belay.transaction" + flags;
    const std::string before = "belay-20250101t000000z-0001";
    auto s = after({preflight, lock, snapshot});
    s.how.undoes_kept = s.how.takes_present = true;
    s.how.undoes = "20250101t000000z-0001";
    s.how.restores = before;
    SECTION("before it began: the snapshot of the present goes, the instance stays as it is") {
        const auto out = end_by_hand(s, txn);
        CHECK(out.sentence == "`belay recover` ends it. The undo had not begun. To clean up by hand, in this order:");
        CHECK(out.commands == commands{"incus snapshot delete web1 belay-" + txn + flags, unset});
    }
    SECTION("once it began: it is finished, and the snapshot of the present is the way back") {
        fold(s, decided{verdict::undo});
        done(s, stop);
        const auto out = end_by_hand(s, txn);
        CHECK(out.sentence == "`belay recover` ends it. The undo had begun. To finish it by hand, in this order:");
        CHECK(out.commands ==
              commands{"incus snapshot restore web1 " + before + flags, unset, "incus start web1" + flags});
    }
}

TEST_CASE("what a restore would change is told key by key, without what programs keep for themselves") {
    using devices = std::map<std::string, settings>;
    CHECK(differences({{"limits.memory", "2GiB"},
                       {"limits.cpu", "2"},
                       {"user.note", "new"},
                       {"volatile.uuid.generation", "g-2"},
                       {"user.belay.transaction", "t m b 1"}},
                      {{"limits.memory", "1GiB"}, {"limits.cpu", "2"}, {"boot.autostart", "true"}}, {}, {}) ==
          std::vector<std::string>{"config boot.autostart: (unset) -> true", "config limits.memory: 2GiB -> 1GiB",
                                   "config user.note: new -> (unset)"});
    CHECK(differences({}, {}, devices{{"eth1", {{"type", "nic"}}}, {"root", {{"size", "5GiB"}, {"path", "/"}}}},
                      devices{{"data", {{"type", "disk"}}}, {"root", {{"size", ""}, {"path", "/"}, {"pool", "p"}}}}) ==
          std::vector<std::string>{"device data: comes back", "device eth1: goes away",
                                   "device root pool: (unset) -> p", "device root size: 5GiB -> (unset)"});
    CHECK(differences({{"a", ""}}, {}, {}, {}).empty()); // empty is unset
    CHECK(differences({{"a", "1"}}, {{"a", "1"}}, devices{{"d", {{"k", "v"}}}}, devices{{"d", {{"k", "v"}}}}).empty());
}

TEST_CASE("what is known of the storage drivers") {
    for (const auto* newest : {"zfs", "linstor", "truenas", "lvmcluster"}) {
        CHECK(restores_only_newest(newest));
    }
    for (const auto* any : {"btrfs", "dir", "lvm", "ceph", "", "zfs2"}) {
        CHECK_FALSE(restores_only_newest(any));
    }
    for (const auto* quick : {"btrfs", "zfs", "ceph"}) {
        CHECK(never_copies(quick));
    }
    CHECK_FALSE(never_copies("dir"));
    CHECK_FALSE(never_copies("")); // of a pool that may not be read
}

TEST_CASE("what was moved aside is put back when there is nothing in its place") {
    CHECK(mend_of_moved("/p/w 1", false) == "mv '/p/w 1.incustmp' '/p/w 1'");
    CHECK(mend_of_moved("/p/w1", true) == "if rmdir /p/w1 2>/dev/null; then mv /p/w1.incustmp /p/w1; else rmdir "
                                          "/p/w1.incustmp 2>/dev/null || btrfs subvolume delete /p/w1.incustmp; fi");
}
