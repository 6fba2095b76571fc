// SPDX-License-Identifier: Apache-2.0
// The report that the events add up to: times over restarts of the host, downtime, messages, exit codes.
#include "core/chronicle.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace belay::core;
using Catch::Approx;

namespace {

/// Events with both clocks: seconds of the time of day and seconds since boot.
struct story {
    chronicle so_far;
    std::uint64_t seq{0};

    void at(double wall, double boot, event what) {
        record r;
        r.seq = ++seq;
        r.time = wall_time{milliseconds{1'777'636'800'000 + static_cast<std::int64_t>(wall * 1e3)}};
        r.boottime = boot;
        r.txn = "20260501t120000z-ab12";
        r.instance = "web1";
        r.what = std::move(what);
        so_far.see(r);
    }

    report now(outcome how = outcome::rolled_back) const { return so_far.summary(how); }
};

plan of_web1() {
    plan how;
    how.instance = "web1";
    return how;
}

opened opened_in(const std::string& boot) {
    return {of_web1(), 1, boot, {}};
}

started begin(act what, const std::string& target = {}) {
    return {{what, target}, 1, {}};
}

finished end(act what, const std::string& target = {}) {
    return {.what = {what, target}};
}

finished failed(act what, reason code, const std::string& message) {
    return {.what = {what, {}}, .how = result::failed, .why = {code, message}};
}

} // namespace

TEST_CASE("a transaction within one start of the host is timed by its clock alone") {
    story s;
    s.at(0, 1'000, opened_in("a"));
    s.at(5'000, 1'010, begin(act::stop)); // somebody set the time of day
    s.at(-5'000, 1'015, end(act::stop));
    s.at(0, 1'020, end(act::start));
    CHECK(s.now().seconds == Approx(20));
    CHECK(s.now().downtime_seconds == Approx(10));
}

TEST_CASE("the time that the host was off counts, as the time of day tells it") {
    story s;
    s.at(0, 100'000, opened_in("a"));
    s.at(10, 100'010, begin(act::stop));
    s.at(11, 100'011, end(act::stop));
    SECTION("the clock of the new start is behind") {
        s.at(311, 20, resumed{2, "b"}); // off for five minutes
        s.at(312, 21, begin(act::restore, "root"));
        s.at(313, 22, end(act::restore, "root"));
        s.at(314, 23, begin(act::start));
        s.at(315, 24, end(act::start));
        CHECK(s.now().seconds == Approx(315));
        CHECK(s.now().downtime_seconds == Approx(305));
    }
    SECTION("and behind once more") {
        s.at(311, 20, resumed{2, "b"});
        s.at(411, 5, resumed{3, "c"});
        s.at(416, 10, end(act::start));
        CHECK(s.now().seconds == Approx(416));
        CHECK(s.now().downtime_seconds == Approx(406));
    }
    SECTION("and no start of the host has an ID") {
        story t;
        t.at(0, 100'000, opened_in("unknown"));
        t.at(300, 20, resumed{2, "unknown"});
        CHECK(t.now().seconds == Approx(300));
    }
    SECTION("the time of day went back meanwhile, which makes no time negative") {
        s.at(-900, 20, resumed{2, "b"});
        s.at(-897, 23, end(act::start));
        CHECK(s.now().seconds == Approx(14));
        CHECK(s.now().downtime_seconds == Approx(4));
    }
}

TEST_CASE("a host that has been up for longer after its restart than before it was off all the same") {
    story s;
    s.at(0, 60, opened_in("a"));
    s.at(10, 70, begin(act::stop));
    s.at(86'410, 300, resumed{2, "b"}); // a day later, and up for five minutes
    s.at(86'420, 310, end(act::start));
    CHECK(s.now().seconds == Approx(86'420));
    CHECK(s.now().downtime_seconds == Approx(86'410));
}

TEST_CASE("another process of the same start of the host goes on with its clock") {
    story s;
    s.at(0, 60, opened_in("a"));
    s.at(10, 70, begin(act::stop));
    s.at(5'000, 100, resumed{2, "a"});
    s.at(5'010, 110, end(act::start));
    CHECK(s.now().seconds == Approx(50));
    CHECK(s.now().downtime_seconds == Approx(40));
}

TEST_CASE("the downtime of a restart and of the rollback after it are both counted") {
    story s;
    s.at(0, 0, opened_in("a"));
    s.at(1, 1, begin(act::restart));
    auto restarted = end(act::restart);
    restarted.down_seconds = 3;
    s.at(4, 4, restarted);
    s.at(10, 10, begin(act::stop));
    s.at(12, 12, end(act::stop));
    s.at(15, 15, end(act::start));
    CHECK(s.now().downtime_seconds == Approx(8));
}

TEST_CASE("a stop that is tried again is one downtime") {
    story s;
    s.at(0, 0, opened_in("a"));
    s.at(1, 1, begin(act::stop));
    auto again = end(act::stop);
    again.how = result::again;
    s.at(11, 11, again);
    s.at(12, 12, begin(act::stop));
    s.at(13, 13, end(act::stop));
    s.at(21, 21, end(act::start));
    CHECK(s.now().downtime_seconds == Approx(20));
}

TEST_CASE("an undo of a kept upgrade has exit codes and a message of its own") {
    story s;
    auto how = of_web1();
    how.undoes_kept = true;
    how.undoes = "20250101t000000z-0001";
    s.at(0, 0, opened{how});
    SECTION("done") {
        s.at(1, 1, decided{verdict::undo});
        s.at(2, 2, end(act::restore, "root"));
        s.at(3, 3, end(act::reverify));
        const auto r = s.now(outcome::rolled_back);
        CHECK(r.exit_code == 0);
        CHECK(r.why == reason::ok);
        CHECK(r.message == "the upgrade of transaction 20250101t000000z-0001 is undone");
        CHECK(r.undoes == "20250101t000000z-0001");
        s.at(4, 4, failed(act::reverify, reason::check_failed, "check dns: fail"));
        const auto unwell = s.now(outcome::rolled_back_unhealthy);
        CHECK(unwell.exit_code == 4);
        CHECK(unwell.why == reason::check_failed);
        CHECK(unwell.message == "the upgrade of transaction 20250101t000000z-0001 is undone; then check dns: fail");
    }
    SECTION("refused") {
        s.at(1, 1, failed(act::preflight, reason::not_restorable, "there is no snapshot"));
        const auto r = s.now(outcome::refused);
        CHECK(r.exit_code == 3);
        CHECK(r.message == "there is no snapshot");
    }
    SECTION("stuck") {
        s.at(1, 1, decided{verdict::undo});
        s.at(2, 2, failed(act::restore, reason::restore_failed, "dataset is busy"));
        const auto r = s.now(outcome::stuck);
        CHECK(r.exit_code == 5);
        CHECK(r.message == "dataset is busy");
        CHECK_FALSE(r.manual.empty());
    }
}

TEST_CASE("the exit code says in which state the instance is, and of an undo whether that was asked for") {
    CHECK(exit_code(outcome::committed) == 0);
    CHECK(exit_code(outcome::unchanged) == 0);
    CHECK(exit_code(outcome::rolled_back) == 1);
    CHECK(exit_code(outcome::refused) == 3);
    CHECK(exit_code(outcome::rolled_back_unhealthy) == 4);
    CHECK(exit_code(outcome::stuck) == 5);
    CHECK(exit_code_of_undo(outcome::rolled_back) == 0);
    for (const auto how : {outcome::refused, outcome::rolled_back_unhealthy, outcome::stuck}) {
        CHECK(exit_code_of_undo(how) == exit_code(how));
    }
}

TEST_CASE("a transaction that died says how far the upgrade had come") {
    story s;
    s.at(0, 0, opened_in("a"));
    SECTION("before the command") {
        s.at(1, 1, begin(act::lock));
        s.at(2, 2, resumed{2, "a"});
        const auto r = s.now(outcome::refused);
        CHECK(r.why == reason::interrupted);
        CHECK(r.message == "belay died before the upgrade began");
    }
    SECTION("in the command") {
        s.at(1, 1, begin(act::upgrade));
        s.at(2, 2, resumed{2, "a"});
        CHECK(s.now().message == "belay died before the upgrade was decided");
    }
}

TEST_CASE("an undo that died before it began says so") {
    story s;
    auto how = of_web1();
    how.undoes_kept = true;
    s.at(0, 0, opened{how});
    s.at(2, 2, resumed{2, "a"});
    CHECK(s.now(outcome::refused).message == "belay died before the undo began");
}

TEST_CASE("every word is read back as what it stands for, and no other text is a word") {
    const auto check = [](auto first, const auto& words) {
        for (std::size_t i = 0; i < words.size(); ++i) {
            const auto value = static_cast<decltype(first)>(i);
            CHECK_FALSE(words[i].empty());
            CHECK(to_word(value) == words[i]);
            CHECK(from_word<decltype(first)>(words[i]) == value);
        }
        CHECK_FALSE(from_word<decltype(first)>(""));
        CHECK_FALSE(from_word<decltype(first)>("OK"));
    };
    check(act{}, detail::act_words);
    check(result{}, detail::result_words);
    check(verdict{}, detail::verdict_words);
    check(outcome{}, detail::outcome_words);
    check(reason{}, detail::reason_words);
    check(health{}, detail::health_words);
    check(place{}, detail::place_words);
    check(lock_owner{}, detail::lock_owner_words);
    check(restart_policy{}, detail::restart_policy_words);
    // The last enumerator has the last word: nothing was forgotten.
    CHECK(to_word(act::unlock) == "unlock");
    CHECK(to_word(result::again) == "again");
    CHECK(to_word(reason::usage) == "usage");
    CHECK(to_word(lock_owner::ours) == "ours");
    CHECK(to_word(lock_owner::nobody) == "nobody");
    CHECK(to_word(lock_owner::other) == "other");
    CHECK(to_word(reason::no_confirm) == "no-confirm");
    CHECK(to_word(act::confirm) == "confirm");
}
