// SPDX-License-Identifier: Apache-2.0
// Going on in another process: what `resumed` and `observed` mean for what is known, and what follows from it.
#include "core/next.hpp"
#include "play.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay::core;
using belay::testing::all_ok;
using belay::testing::play;

namespace {

key about(act what) {
    const bool per_target = what == act::snapshot || what == act::restore || what == act::discard;
    return {what, per_target ? "root" : ""};
}

void begin(state& s, act what, std::optional<wall_time> until = {}) {
    fold(s, started{about(what), 1, until});
}

void end(state& s, act what, result how = result::ok) {
    finished f{.what = about(what), .how = how};
    f.why = how == result::ok ? error{} : error{reason::io_error, "failed"};
    fold(s, f);
}

void done(state& s, std::initializer_list<act> acts) {
    for (const auto what : acts) {
        begin(s, what);
        end(s, what);
    }
}

/// A transaction up to the snapshot.
state up_to_snapshot(plan how = {}) {
    auto s = apply({}, opened{std::move(how)});
    done(s, {act::preflight, act::lock, act::baseline, act::snapshot});
    return s;
}

/// A transaction whose upgrade has begun.
state in_upgrade() {
    auto s = up_to_snapshot();
    begin(s, act::upgrade);
    return s;
}

/// One that waits for its confirmation.
state in_confirm() {
    plan how;
    how.confirms = true;
    auto s = up_to_snapshot(how);
    done(s, {act::upgrade, act::verify});
    begin(s, act::confirm, wall_time{milliseconds{60'000}});
    return s;
}

/// One that is being undone, up to some acts.
state in_undo(std::initializer_list<act> acts = {}) {
    auto s = in_upgrade();
    end(s, act::upgrade, result::failed);
    fold(s, decided{verdict::undo});
    done(s, acts);
    return s;
}

observed seen(lock_owner lock, bool restored = false) {
    return {.settled = true, .lock = lock, .restored = restored};
}

std::string goes_on(state s, const observed& host = {.settled = true}) {
    fold(s, resumed{});
    return play(std::move(s), all_ok, host);
}

} // namespace

TEST_CASE("a process that takes over makes what is known stale, and nothing pending") {
    auto s = in_upgrade();
    fold(s, resumed{});
    CHECK(s.stale);
    CHECK_FALSE(s.pending);
    CHECK(s.why == std::vector<error>{
                       {reason::interrupted, "belay died before the upgrade was decided", "", false},
                   });
    fold(s, seen(lock_owner::ours));
    CHECK_FALSE(s.stale);
    CHECK(s.lock == lock_owner::ours);
    CHECK(s.why.size() == 1);
}

TEST_CASE("what failed for the dead process is tried again, what succeeded is not") {
    auto s = in_undo({act::stop});
    begin(s, act::restore);
    end(s, act::restore, result::failed);
    report r;
    r.how = outcome::stuck;
    fold(s, closed{r});
    fold(s, resumed{});
    CHECK_FALSE(s.end);
    CHECK(s.ok(act::stop));
    CHECK_FALSE(s.done.at(about(act::restore)).last);
    CHECK(s.done.at(about(act::restore)).attempts == 1); // so that the next attempt is the second
    CHECK(play(s, all_ok) == "observe restore start reverify discard unlock rolled-back");
}

TEST_CASE("before the lock was tried the host is not asked") {
    auto s = apply({}, opened{plan{}});
    SECTION("nothing was done") {}
    SECTION("preflight was interrupted") {
        begin(s, act::preflight);
    }
    SECTION("preflight is done") {
        done(s, {act::preflight});
    }
    CHECK(goes_on(s) == "refuse! refused");
}

TEST_CASE("a lock that may have been set is asked about, and taken off") {
    auto s = apply({}, opened{plan{}});
    done(s, {act::preflight});
    begin(s, act::lock);
    CHECK(goes_on(s) == "observe refuse! unlock refused");
    CHECK(goes_on(s, seen(lock_owner::nobody)) == "observe refuse! unlock refused");
}

TEST_CASE("a snapshot that was interrupted is never restored") {
    auto s = apply({}, opened{plan{}});
    done(s, {act::preflight, act::lock, act::baseline});
    begin(s, act::snapshot);
    CHECK(goes_on(s) == "observe refuse! unpause discard unlock refused"); // a dead daemon may have left it frozen
}

TEST_CASE("an instance whose lock was taken off by hand is left alone") {
    SECTION("in the upgrade") {
        CHECK(goes_on(in_upgrade(), seen(lock_owner::nobody)) == "observe undo! stuck");
    }
    SECTION("decided to undo") {
        CHECK(goes_on(in_undo({act::stop}), seen(lock_owner::nobody)) == "observe stuck");
    }
    SECTION("while it waited") {
        CHECK(goes_on(in_confirm(), seen(lock_owner::nobody)) == "observe undo! stuck");
    }
    SECTION("before the upgrade: there is a snapshot to take away, and nothing else") {
        CHECK(goes_on(up_to_snapshot(), seen(lock_owner::nobody)) == "observe refuse! discard unlock refused");
    }
}

TEST_CASE("a confirmation that waits ends with its reason when its lock was taken off") {
    auto s = in_confirm();
    fold(s, resumed{});
    REQUIRE(s.why.empty());
    fold(s, seen(lock_owner::nobody));
    REQUIRE(s.why.size() == 1);
    CHECK(s.why[0].code == reason::interrupted);
    CHECK(s.why[0].message == "the lock of this transaction was taken off the instance");
    CHECK_FALSE(s.waits_for_confirmation());
}

TEST_CASE("an instance that another transaction holds is left alone") {
    CHECK(goes_on(in_upgrade(), seen(lock_owner::other)) == "observe undo! stuck");
    CHECK(goes_on(in_undo(), seen(lock_owner::other)) == "observe stuck");
    SECTION("a restore that was done does not give it back") {
        CHECK(goes_on(in_undo({act::stop, act::restore, act::start}), seen(lock_owner::other)) ==
              "observe rolled-back-unhealthy");
        CHECK(goes_on(in_undo({act::stop, act::restore, act::start, act::reverify}), seen(lock_owner::other)) ==
              "observe rolled-back");
    }
}

TEST_CASE("a decision to keep is finished, whoever holds the instance now") {
    auto s = in_upgrade();
    end(s, act::upgrade);
    done(s, {act::verify});
    fold(s, decided{verdict::commit});
    for (const auto owner : {lock_owner::ours, lock_owner::nobody, lock_owner::other}) {
        CHECK(goes_on(s, seen(owner)) == "observe unlock committed");
    }
}

TEST_CASE("a lock that is gone after the restore was this transaction's own doing") {
    const auto s = in_undo({act::stop, act::restore, act::start, act::reverify, act::discard, act::unlock});
    CHECK(goes_on(s, seen(lock_owner::nobody)) == "observe rolled-back");
}

TEST_CASE("an instance that says it was restored is not restored again") {
    SECTION("the journal ends in the restore") {
        CHECK(goes_on(in_undo({act::stop}), seen(lock_owner::ours, true)) ==
              "observe start reverify discard unlock rolled-back");
    }
    SECTION("the journal ends in the upgrade") {
        auto s = in_upgrade();
        fold(s, resumed{});
        CHECK(play(s, all_ok, seen(lock_owner::ours, true)) ==
              "observe undo! start reverify discard unlock rolled-back");
    }
    SECTION("the journal ends with the decision to keep, which somebody could not write down as undone") {
        auto s = in_upgrade();
        end(s, act::upgrade);
        done(s, {act::verify});
        fold(s, decided{verdict::commit});
        fold(s, resumed{});
        CHECK(play(s, all_ok, seen(lock_owner::ours, true)) ==
              "observe undo! start reverify discard unlock rolled-back");
        fold(s, seen(lock_owner::ours, true));
        CHECK(s.restored());
        CHECK(s.tried(act::restore, "root"));
        CHECK_FALSE(s.decision);
        REQUIRE(s.why.size() == 1);
        CHECK(s.why[0].message == "the upgrade was undone while the journal could not be written: its reason is lost");
    }
    SECTION("by hand, lock and all") {
        CHECK(goes_on(in_undo({act::stop}), seen(lock_owner::nobody, true)) ==
              "observe start reverify discard unlock rolled-back");
    }
}

TEST_CASE("a host that cannot be asked leaves the transaction stuck, with its reason") {
    const observed nothing_seen{.settled = false, .why = {reason::no_daemon, "the daemon does not answer", "", true}};
    for (const auto& s : {in_upgrade(), in_undo(), in_confirm()}) {
        CHECK(goes_on(s, nothing_seen) == "observe stuck");
    }
    auto s = in_undo();
    fold(s, resumed{});
    fold(s, nothing_seen);
    CHECK(s.why.back().code == reason::no_daemon);
    SECTION("and it is asked again by the next process") {
        CHECK(goes_on(s) == "observe stop restore start reverify discard unlock rolled-back");
    }
}

TEST_CASE("a confirmation outlives its process, with its deadline") {
    auto s = in_confirm();
    CHECK(s.waits_for_confirmation());
    fold(s, resumed{});
    CHECK(s.waits_for_confirmation());
    CHECK(s.why.empty());
    fold(s, seen(lock_owner::ours));
    const auto todo = next(s);
    REQUIRE(std::holds_alternative<perform>(todo));
    CHECK(std::get<perform>(todo) == perform{{act::confirm, {}}, 2, true, wall_time{milliseconds{60'000}}});
    SECTION("again and again") {
        begin(s, act::confirm, s.until);
        CHECK(goes_on(s) == "observe confirm commit! unlock committed");
    }
}

TEST_CASE("a transaction waits only while nothing has ended its confirmation") {
    auto s = in_confirm();
    REQUIRE(s.waits_for_confirmation());
    SECTION("confirmed") {
        end(s, act::confirm);
    }
    SECTION("not confirmed in time") {
        end(s, act::confirm, result::failed);
    }
    SECTION("decided") {
        fold(s, decided{verdict::undo});
    }
    SECTION("interrupted") {
        fold(s, interrupted{{reason::interrupted, "by SIGTERM"}});
    }
    SECTION("closed") {
        fold(s, closed{});
    }
    CHECK_FALSE(s.waits_for_confirmation());
}

TEST_CASE("a transaction that was not yet confirming when it was interrupted does not wait") {
    plan how;
    how.confirms = true;
    auto s = up_to_snapshot(how);
    done(s, {act::upgrade});
    begin(s, act::verify);
    CHECK_FALSE(s.waits_for_confirmation());
    CHECK(goes_on(s) == "observe undo! stop restore start reverify discard unlock rolled-back");
}

TEST_CASE("a confirmation that succeeded before the process died is kept after one more look at the health") {
    auto s = in_confirm();
    end(s, act::confirm);
    CHECK(goes_on(s) == "observe confirm commit! unlock committed");
}

TEST_CASE("an undo of a kept upgrade that was interrupted before its decision undoes nothing") {
    plan how;
    how.undoes_kept = how.takes_present = true;
    auto s = apply({}, opened{how});
    done(s, {act::preflight, act::lock});
    SECTION("with the snapshot of the present under way") {
        begin(s, act::snapshot);
        CHECK(goes_on(s) == "observe refuse! unpause discard unlock refused");
    }
    SECTION("with it taken") {
        done(s, {act::snapshot});
        CHECK(goes_on(s) == "observe refuse! discard unlock refused");
    }
}

TEST_CASE("an undo of a kept upgrade that was decided is finished, and keeps the way back") {
    plan how;
    how.undoes_kept = how.takes_present = true;
    how.discards = {"belay-newer"};
    auto s = apply({}, opened{how});
    CHECK(play(s, all_ok) == "preflight lock snapshot undo! discard stop restore start reverify unlock rolled-back");
    done(s, {act::preflight, act::lock, act::snapshot});
    fold(s, decided{verdict::undo});
    CHECK(goes_on(s) == "observe discard stop restore start reverify unlock rolled-back");
}
