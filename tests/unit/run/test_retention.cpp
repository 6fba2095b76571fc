// SPDX-License-Identifier: Apache-2.0
// What becomes of snapshots when an upgrade is kept.
#include "fakes/world.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using namespace belay::core;
using fakes::fake_world;

namespace {

constexpr wall_time long_ago{milliseconds{1'600'000'000'000}};

/// A world in which upgrades are retained.
struct retaining_world : fake_world {
    explicit retaining_world(int keep = 2) {
        plan.retains = true;
        plan.keep = keep;
        plan.keep_for = std::chrono::hours(7 * 24);
    }
};

std::string old_txn(int number) {
    return "20200101t00000" + std::to_string(number) + "z-0000";
}

/// A transaction of the past, its snapshot and its journal.
void add_past(fake_world& w, int number, standing how = standing::kept) {
    const auto txn = old_txn(number);
    past_run run{txn, w.incus.facts.uuid, long_ago + std::chrono::hours(number), how};
    run.taken = {{"root", run.begun, run.begun}};
    w.locks.history.push_back(run);
    auto& s = w.incus.snapshots["belay-" + txn];
    s.complete = true;
    s.config[std::string(lock_key_name)] = txn + " machine boot 7";
}

/// The journal of the transaction that is about to run.
void add_own(fake_world& w) {
    past_run run{fake_world::default_txn, w.incus.facts.uuid, long_ago, standing::open};
    run.taken = {{"root", long_ago, long_ago}};
    w.locks.history.push_back(run);
}

std::string left(const fake_world& w) {
    std::string all;
    for (const auto& [name, s] : w.incus.snapshots) {
        all += (all.empty() ? "" : " ") + (name == "belay-" + std::string(fake_world::default_txn) ? std::string("own")
                                           : name.starts_with("belay-2020")                        ? name.substr(20, 1)
                                                                                                   : name);
    }
    return all;
}

const finished& end_of_keep(const fake_world& w) {
    for (const auto& r : w.journal.records) {
        const auto* end = std::get_if<finished>(&r.what);
        if (end != nullptr && end->what.what == act::keep && end->how == result::ok) {
            return *end;
        }
    }
    throw std::runtime_error("nothing was kept");
}

} // namespace

TEST_CASE("a kept upgrade gets an expiry and pushes out the oldest one", "[run]") {
    retaining_world w;
    add_past(w, 1);
    add_past(w, 2);
    add_own(w);
    const auto report = w.run();
    CHECK(report.how == outcome::committed);
    CHECK(left(w) == "2 own");
    CHECK(end_of_keep(w).removed == std::vector<std::string>{"belay-" + old_txn(1)});
    const auto& own = w.incus.snapshots.at("belay-" + std::string(fake_world::default_txn));
    CHECK(own.expires == report.snapshot_expires);
    REQUIRE(own.expires);
    CHECK(*own.expires > w.clock.wall() + std::chrono::hours(7 * 24 - 1));
}

TEST_CASE("failed and unfinished runs push nothing out", "[run]") {
    retaining_world w;
    add_past(w, 1, standing::open);
    add_past(w, 2);
    add_past(w, 3, standing::failed);
    add_past(w, 4, standing::open);
    add_own(w);
    REQUIRE(w.run().how == outcome::committed);
    CHECK(left(w) == "1 2 3 4 own");
}

TEST_CASE("any number of snapshots is kept when none was given", "[run]") {
    retaining_world w(0);
    for (int i = 1; i < 5; ++i) {
        add_past(w, i);
    }
    add_own(w);
    REQUIRE(w.run().how == outcome::committed);
    CHECK(left(w) == "1 2 3 4 own");
}

TEST_CASE("what is not surely belay's own stays", "[run]") {
    retaining_world w(1);
    add_past(w, 1);
    add_past(w, 2);
    add_past(w, 3);
    w.incus.snapshots["belay-foo"].complete = true;
    w.incus.snapshots["snap0"].complete = true;
    SECTION("no journal") {
        std::erase_if(w.locks.history, [](const auto& run) { return run.txn == old_txn(2); });
    }
    SECTION("another key in it") {
        w.incus.snapshots["belay-" + old_txn(2)].config[std::string(lock_key_name)] = old_txn(3) + " machine boot 7";
    }
    SECTION("the journal is about another instance") {
        w.locks.history[1].uuid = "0000-db1";
    }
    add_own(w);
    REQUIRE(w.run().how == outcome::committed);
    CHECK(left(w) == "2 own belay-foo snap0");
}

TEST_CASE("the volumes' snapshots go with the instance's", "[run]") {
    retaining_world w(1);
    add_past(w, 1);
    auto& data = w.incus.volumes["pool/data"];
    data.snapshots["belay-" + old_txn(1)].complete = true;
    data.snapshots["other"].complete = true;
    SECTION("taken then") {
        w.locks.history[0].taken = {{"root", long_ago, long_ago}, {"pool/data", wall_time{}, wall_time{}}};
        add_own(w);
        REQUIRE(w.run().how == outcome::committed);
        CHECK(data.snapshots.size() == 1);
        CHECK(left(w) == "own");
    }
    SECTION("another one of that name") {
        w.locks.history[0].taken = {{"root", long_ago, long_ago}, {"pool/data", long_ago, long_ago}};
        add_own(w);
        REQUIRE(w.run().how == outcome::committed);
        CHECK(data.snapshots.size() == 2);
        CHECK(left(w) == "own");
    }
}

TEST_CASE("an old snapshot that cannot be deleted is worth a warning and no more", "[run]") {
    for (const auto* call : {"discard", "list_snapshots"}) {
        CAPTURE(call);
        retaining_world w(1);
        add_past(w, 1);
        add_past(w, 2);
        add_own(w);
        w.incus.failures[call] = {fakes::trouble::error};
        const auto report = w.run();
        CHECK(report.how == outcome::committed);
        CHECK(report.snapshot_expires);
        CHECK(left(w) == "1 2 own");
        REQUIRE_FALSE(report.warnings.empty());
        CHECK(report.warnings.front().find("belay prune web1") != std::string::npos);
        CHECK(end_of_keep(w).removed.empty());
        CHECK(w.incus.lock().empty());
    }
}

TEST_CASE("an expiry that cannot be set is repeated, and nothing is deleted before", "[run]") {
    retaining_world w(1);
    add_past(w, 1);
    add_own(w);
    w.incus.failures["set_expiry"] = {fakes::trouble::error, 2};
    bool deleted_early = false;
    w.incus.on_call = [&](auto& incus) {
        const auto own = incus.snapshots.find("belay-" + std::string(fake_world::default_txn));
        const bool set = own != incus.snapshots.end() && own->second.expires;
        deleted_early = deleted_early || (!set && !incus.snapshots.contains("belay-" + old_txn(1)));
    };
    REQUIRE(w.run().how == outcome::committed);
    CHECK_FALSE(deleted_early);
    CHECK(left(w) == "own");
}

TEST_CASE("before a kept upgrade is undone its snapshots cannot expire any more", "[run]") {
    fake_world w;
    add_past(w, 1);
    w.plan.undoes_kept = true;
    w.plan.undoes = old_txn(1);
    w.plan.restores = "belay-" + old_txn(1);
    w.plan.targets = {"root", "pool/data"};
    auto& root = w.incus.snapshots["belay-" + old_txn(1)];
    auto& data = w.incus.volumes["pool/data"].snapshots["belay-" + old_txn(1)];
    data.complete = true;
    root.expires = data.expires = w.clock.wall();
    bool safe = true;
    w.incus.on_call = [&](auto& incus) {
        safe = safe && (incus.facts.running || (!incus.snapshots["belay-" + old_txn(1)].expires &&
                                                !incus.volumes["pool/data"].snapshots["belay-" + old_txn(1)].expires));
    };
    CHECK(w.run().how == outcome::rolled_back);
    CHECK(safe);
}
