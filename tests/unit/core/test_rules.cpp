// SPDX-License-Identifier: Apache-2.0
// Verdicts on checks, the lock key, and the parts of the state machine that the driver's tests do not reach.
#include "core/lock_rule.hpp"
#include "core/next.hpp"
#include "core/verdicts.hpp"
#include "play.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay::core;
using belay::testing::all_ok;
using belay::testing::play;

namespace {

reading said(health how, std::set<std::string> good = {}, std::set<std::string> bad = {}) {
    return {"check", place::guest, true, how, "seen", std::move(good), std::move(bad), 0};
}

bool good(const reading& before, const reading& now, const judge_policy& policy = {}) {
    return acceptable(judge({before}, {now}, policy));
}

const lock_holder self{"20261123t220000z-0001", "machine", "boot", 10};

lock_opinion opinion(const lock_holder& holder, journal_knowledge known, bool alive = false) {
    return judge_lock(to_text(holder), self, "web1", known, alive);
}

state opened_with(const plan& how) {
    return apply({}, opened{how});
}

} // namespace

TEST_CASE("the exit status of a check against its baseline") {
    CHECK(good(said(health::pass), said(health::pass)));
    CHECK_FALSE(good(said(health::pass), said(health::fail)));
    CHECK_FALSE(good(said(health::pass), said(health::not_yet)));
    CHECK_FALSE(good(said(health::pass), said(health::skip)));
    CHECK(good(said(health::skip), said(health::skip)));
    CHECK(good(said(health::skip), said(health::pass)));
    CHECK_FALSE(good(said(health::fail), said(health::fail)));
    CHECK(good(said(health::fail), said(health::fail), {true, {}}));
    CHECK(good(said(health::fail), said(health::pass)));
    CHECK_FALSE(good(said(health::pass), said(health::fail), {true, {}}));
}

TEST_CASE("findings are judged by what changed") {
    CHECK(good(said(health::pass, {}, {"unit a failed"}), said(health::pass, {}, {"unit a failed"})));
    CHECK_FALSE(good(said(health::pass), said(health::pass, {}, {"unit a failed"})));
    CHECK(good(said(health::pass, {}, {"unit a failed"}), said(health::pass)));
    CHECK_FALSE(good(said(health::pass, {"tcp/53 any"}), said(health::pass)));
    CHECK(good(said(health::pass), said(health::pass, {"tcp/53 any"})));
    CHECK(good(said(health::pass, {"tcp/53 any"}), said(health::pass), {false, {"tcp/53*"}}));
    // Findings count also when a failure is accepted.
    CHECK_FALSE(good(said(health::fail, {"tcp/53 any"}), said(health::fail), {true, {}}));
}

TEST_CASE("a failure explains itself, and a loss says how to accept it") {
    const auto round = judge({said(health::pass, {"unit it's.service", "tcp/80 [::1]"})}, {said(health::pass)}, {});
    const auto text = explain(round);
    CHECK(text.find("check check: lost tcp/80 [::1], unit it's.service") != std::string::npos);
    CHECK(text.find("--expect-lost 'tcp/80 \\[::1]' --expect-lost 'unit it'\\''s.service'") != std::string::npos);
}

TEST_CASE("a check that only warns does not decide") {
    auto now = said(health::fail);
    now.required = false;
    const auto round = judge({said(health::pass)}, {now}, {});
    CHECK(acceptable(round));
    CHECK(explain(round).empty());
}

TEST_CASE("the lock key is written and read") {
    CHECK(to_text(self) == "20261123t220000z-0001 machine boot 10");
    CHECK(parse_lock(to_text(self)) == self);
    for (const auto* bad :
         {"", "x", "20261123t220000z-0001 machine boot", "20261123t220000z-0001 machine boot 0",
          "20261123t220000z-0001 machine boot 1 2", "20261123t220000z-0001  boot 1", "web machine boot 1"}) {
        CHECK_FALSE(parse_lock(bad));
    }
}

TEST_CASE("who holds an instance") {
    CHECK(judge_lock("", self, "web1", journal_knowledge::unknown, false).how == lock_state::free);
    CHECK(opinion(self, journal_knowledge::open).how == lock_state::ours);
    const lock_holder other{"20261123t210000z-0002", "machine", "boot", 11};
    CHECK(opinion(other, journal_knowledge::closed).how == lock_state::stale);
    CHECK(opinion(other, journal_knowledge::other_instance).how == lock_state::stale);
    CHECK(opinion(other, journal_knowledge::open).how == lock_state::held);
    CHECK(opinion(other, journal_knowledge::stuck).how == lock_state::held);

    const auto elsewhere = opinion(other, journal_knowledge::unknown, true);
    CHECK(elsewhere.how == lock_state::held);
    CHECK(elsewhere.why.code == reason::locked);
    CHECK(elsewhere.why.message.find("held by pid 11, state directory elsewhere") != std::string::npos);

    auto far = other;
    far.machine_id = "elsewhere";
    CHECK(opinion(far, journal_knowledge::unknown).how == lock_state::held);
    CHECK(opinion(far, journal_knowledge::other_instance).how == lock_state::stale); // a copy of one of ours

    const auto foreign = judge_lock("by\x1b[31m hand", self, "web1", journal_knowledge::unknown, false);
    CHECK(foreign.how == lock_state::held);
    CHECK(foreign.why.message.find('\x1b') == std::string::npos);
}

TEST_CASE("every act of the table has its place in the normal path") {
    plan how;
    how.pre = how.quiesce = how.resume = {check_spec{}};
    how.confirms = how.saves_evidence = how.keeps_failed = how.retains = true;
    how.restart = restart_policy::always;
    auto begin = opened_with(how);
    instance_facts facts;
    facts.driver = "zfs";
    facts.effective_schedule = "@hourly";
    facts.disks = {{"root", "/", "tank", true, false},
                   {"data", "/data", "pool/data", false, false, "pool", "data", "btrfs"}};
    fold(begin, finished{.what = {act::preflight, {}}, .how = result::again, .facts = facts});
    CHECK(play(begin, all_ok) == "preflight lock baseline pre quiesce pause snapshot snapshot unpause resume "
                                 "schedule-off upgrade restart verify "
                                 "confirm commit! keep schedule-on unlock committed");
    const auto fail_verify = [](const key& what, int) {
        return what.what == act::verify ? result::failed : result::ok;
    };
    CHECK(play(begin, fail_verify) ==
          "preflight lock baseline pre quiesce pause snapshot snapshot unpause resume schedule-off upgrade restart "
          "verify "
          "undo! evidence stop keep-failed restore restore start reverify discard discard schedule-on unlock "
          "rolled-back");
}

TEST_CASE("what was begun is taken back, and nothing else") {
    plan how;
    how.pre = how.quiesce = {check_spec{}};
    how.pauses = true;
    how.targets = {"root", "pool/data"};
    const auto second_fails = [](const key& what, int) {
        return what == key{act::snapshot, "pool/data"} ? result::failed : result::ok;
    };
    CHECK(play(opened_with(how), second_fails) == "preflight lock baseline pre quiesce pause snapshot snapshot refuse! "
                                                  "unpause resume discard discard unlock refused");
    const auto quiesce_fails = [](const key& what, int) {
        return what.what == act::quiesce ? result::failed : result::ok;
    };
    CHECK(play(opened_with(how), quiesce_fails) == "preflight lock baseline pre quiesce refuse! resume unlock refused");
    const auto resume_fails = [](const key& what, int) {
        return what.what == act::resume ? result::failed : result::ok;
    };
    CHECK(play(opened_with(how), resume_fails) ==
          "preflight lock baseline pre quiesce pause snapshot snapshot unpause resume undo! stop restore restore start "
          "reverify discard discard unlock rolled-back");
}

TEST_CASE("an unpause that fails for good after a failed snapshot is stuck") {
    plan how;
    how.pauses = true;
    const auto frozen = [](const key& what, int) {
        return what.what == act::snapshot || what.what == act::unpause ? result::failed : result::ok;
    };
    CHECK(play(opened_with(how), frozen) == "preflight lock baseline pause snapshot refuse! unpause unpause stuck");
}

TEST_CASE("another process goes on: undecided is undone, decided is finished, stuck is tried again") {
    plan how;
    auto s = opened_with(how);
    for (const auto what : {act::preflight, act::lock, act::baseline, act::snapshot}) {
        const key k{what, what == act::snapshot ? "root" : ""};
        fold(s, started{k, 1});
        fold(s, finished{.what = k});
    }
    SECTION("before the upgrade: refused, cleaned up") {
        fold(s, resumed{});
        CHECK(play(s, all_ok) == "observe refuse! discard unlock refused");
    }
    fold(s, started{{act::upgrade, {}}, 1});
    SECTION("in the upgrade: rolled back") {
        fold(s, resumed{});
        CHECK(play(s, all_ok) == "observe undo! stop restore start reverify discard unlock rolled-back");
    }
    fold(s, finished{.what = {act::upgrade, {}}});
    SECTION("decided to keep: finished") {
        fold(s, decided{verdict::commit});
        fold(s, resumed{});
        CHECK(play(s, all_ok) == "observe unlock committed");
    }
    SECTION("a restore that succeeded is not repeated") {
        fold(s, decided{verdict::undo});
        for (const auto& k : {key{act::stop, {}}, key{act::restore, "root"}}) {
            fold(s, started{k, 1});
            fold(s, finished{.what = k});
        }
        fold(s, started{{act::start, {}}, 1});
        fold(s, resumed{});
        CHECK(play(s, all_ok) == "observe start reverify discard unlock rolled-back");
    }
    SECTION("stuck") {
        fold(s, decided{verdict::undo});
        fold(s, started{{act::stop, {}}, 1});
        fold(s, finished{.what = {act::stop, {}}, .how = result::failed, .why = {reason::io_error, "x"}});
        report r;
        r.how = outcome::stuck;
        fold(s, closed{r});
        CHECK(std::holds_alternative<nothing>(next(s)));
        fold(s, resumed{});
        CHECK(play(s, all_ok) == "observe stop restore start reverify discard unlock rolled-back");
    }
    SECTION("a confirmation that waits is waited out") {
        s.how.confirms = true;
        fold(s, started{{act::verify, {}}, 1});
        fold(s, finished{.what = {act::verify, {}}});
        fold(s, started{{act::confirm, {}}, 1, wall_time{}});
        fold(s, resumed{});
        CHECK(play(s, all_ok) == "observe confirm commit! unlock committed");
    }
}

TEST_CASE("what must be on disk before the transaction goes on") {
    CHECK(durable(started{{act::lock, {}}}));
    CHECK(durable(started{{act::snapshot, "root"}}));
    CHECK(durable(finished{.what = {act::snapshot, "root"}}));
    CHECK(durable(started{{act::upgrade, {}}}));
    CHECK(durable(finished{.what = {act::restore, "root"}}));
    CHECK(durable(started{{act::discard, "root"}}));
    CHECK(durable(decided{verdict::undo}));
    CHECK(durable(closed{}));
    CHECK_FALSE(durable(started{{act::preflight, {}}}));
    CHECK(transient(output{}));
    CHECK(transient(checked{}));
    CHECK(transient(soaking{}));
    CHECK_FALSE(transient(warned{}));
}
