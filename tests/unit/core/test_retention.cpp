// SPDX-License-Identifier: Apache-2.0
#include "core/retention.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <sstream>

using namespace belay::core;
using namespace std::chrono_literals;

namespace {

constexpr wall_time noon{milliseconds{1'777'636'800'000}};
const std::string own = "20260501t120000z-ab12";
const std::string own_key = own + " machine boot 42";

std::string id(int number) {
    return "20260501t12000" + std::to_string(number) + "z-0000";
}

/// Transactions from the oldest to the newest, a word each: `k` kept, `f` failed with its snapshot there, `o` open;
/// `u2` an undo of the second one that left its snapshot, `U2` one that left none; `k-` kept, and its snapshot is gone;
/// `kv` kept, and only the snapshot of its volume is there.
std::vector<candidate> past(const std::string& words) {
    std::vector<candidate> all;
    std::istringstream in(words);
    for (std::string word; in >> word;) {
        const int number = static_cast<int>(all.size()) + 1;
        candidate c{{id(number), "uuid", noon + number * 1s}, {"root", "pool/data"}};
        c.run.how = word.front() == 'k' ? standing::kept : word.front() == 'o' ? standing::open : standing::failed;
        if (word.front() == 'u' || word.front() == 'U') {
            c.run.undoes = id(word.back() - '0');
        }
        if (word.back() == '-' || word.front() == 'U') {
            c.targets.clear();
        }
        if (word.back() == 'v') {
            c.targets = {"pool/data"};
        }
        all.push_back(std::move(c));
    }
    return all;
}

/// The numbers of those that go.
std::string goes(std::vector<candidate> all, int keep) {
    std::string numbers;
    for (const auto& c : outdated(std::move(all), keep)) {
        numbers += c.run.txn.substr(14, 1);
    }
    return numbers;
}

/// An upgrade that took snapshots of the instance and of a volume, to its end.
std::vector<record> journal(std::optional<outcome> end) {
    std::vector<record> all;
    const auto add = [&](event what) {
        all.push_back({1, all.size() + 1, noon + all.size() * 10s, 0, own, "web1", std::move(what)});
    };
    plan how;
    how.keep = 3;
    add(opened{how});
    finished seen{{act::preflight, {}}};
    seen.facts.emplace().uuid = "uuid";
    add(seen);
    for (const auto* target : {"root", "pool/data"}) {
        add(started{{act::snapshot, target}});
        add(finished{{act::snapshot, target}});
    }
    if (end) {
        report r;
        r.how = *end;
        add(closed{r});
    }
    return all;
}

} // namespace

TEST_CASE("what goes when a number of kept upgrades is to stay", "[core]") {
    struct row {
        const char* past;
        int keep;
        const char* goes;
    };

    const auto table = std::vector<row>{
        {"", 2, ""},
        {"k k", 2, ""},
        {"k k k", 2, "1"},
        {"k k k k", 2, "12"},
        {"k k k", 1, "12"},
        {"k k k", 0, ""},      // any number
        {"k k f", 2, ""},      // a failed run pushes nothing out
        {"k f f f k", 2, ""},  // and stays between those that stay
        {"k f k k", 2, "12"},  // but goes with what is older
        {"f f f", 1, ""},      // without a kept one nothing goes
        {"o k k k", 2, "2"},   // what has not ended never goes
        {"k o k k", 2, "1"},   //
        {"k k o", 2, ""},      // and does not count
        {"k k- k", 2, ""},     // one whose snapshot is gone cannot be gone back to
        {"k k- k k", 2, "1"},  //
        {"k k k-", 2, ""},     //
        {"k kv k k", 2, "12"}, // a volume's snapshot that was left over
        {"k kv k", 2, ""},     //
        {"k k u2 k", 2, ""},   // an upgrade that was taken back is none
        {"k k u2 k k", 2, "123"},
        {"k k U2 k", 2, ""},     // also where the undo left nothing
        {"k k k U1 k", 2, ""},   // and those that were taken back with it
        {"k k U2 k k", 2, "12"}, //
    };
    for (const auto& r : table) {
        CAPTURE(r.past, r.keep);
        CHECK(goes(past(r.past), r.keep) == r.goes);
        auto shuffled = past(r.past);
        std::ranges::reverse(shuffled);
        CHECK(goes(shuffled, r.keep) == r.goes);
    }
}

TEST_CASE("all targets of a transaction go together", "[core]") {
    const auto old = outdated(past("k k"), 1);
    REQUIRE(old.size() == 1);
    CHECK(old.front().targets == std::vector<std::string>{"root", "pool/data"});
}

TEST_CASE("what a journal tells about the snapshots of its transaction", "[core]") {
    const auto run = past_of(journal(outcome::committed));
    CHECK(run.txn == own);
    CHECK(run.uuid == "uuid");
    CHECK(run.begun == noon);
    CHECK(run.how == standing::kept);
    CHECK(run.keep == 3);
    CHECK(run.taken ==
          std::vector<taken_snapshot>{{"root", noon + 20s, noon + 30s}, {"pool/data", noon + 40s, noon + 50s}});
    CHECK(past_of(journal(std::nullopt)).how == standing::open);
    CHECK(past_of(journal(outcome::stuck)).how == standing::open);
    CHECK(past_of(journal(outcome::rolled_back_unhealthy)).how == standing::failed);
    CHECK(past_of({}).how == standing::open);
}

TEST_CASE("a snapshot is belay's only when name, key and journal say so", "[core]") {
    const auto run = past_of(journal(outcome::committed));
    const snapshot_entry s{"belay-" + own, noon + 25s, own_key};
    CHECK(took(run, "uuid", "root", s));
    CHECK_FALSE(took(run, "uuid of a copy", "root", s));
    CHECK_FALSE(took(run, "", "root", s));
    CHECK_FALSE(took(run, "uuid", "root", {"belay-foo", s.created, own_key}));
    CHECK_FALSE(took(run, "uuid", "root", {s.name, s.created, ""}));
    CHECK_FALSE(took(run, "uuid", "root", {s.name, s.created, id(1) + " machine boot 42"}));
    auto unknown = run;
    unknown.uuid.clear();
    CHECK_FALSE(took(unknown, "", "root", s));
}

TEST_CASE("a volume's snapshot is belay's only when it is of the time at which belay took it", "[core]") {
    const auto run = past_of(journal(outcome::committed));
    const auto at = [&](wall_time created) { return snapshot_entry{"belay-" + own, created}; };
    CHECK(took(run, "uuid", "pool/data", at(noon + 40s)));
    CHECK(took(run, "uuid", "pool/data", at(noon + 50s)));
    CHECK(took(run, "uuid", "pool/data", at(noon + 38s)));
    CHECK_FALSE(took(run, "uuid", "pool/data", at(noon + 30s)));
    CHECK_FALSE(took(run, "uuid", "pool/data", at(noon + 60s)));
    CHECK_FALSE(took(run, "uuid", "pool/other", at(noon + 45s)));
    CHECK_FALSE(took(run, "uuid", "other/data", at(noon + 45s)));
}

TEST_CASE("the transaction in the name of a snapshot", "[core]") {
    CHECK(transaction_in("belay-" + own) == own);
    for (const auto* name : {"belay-foo", "belay-", "snap0", "belay-20260501t120000z-ab12x"}) {
        CHECK_FALSE(transaction_in(name));
    }
}
