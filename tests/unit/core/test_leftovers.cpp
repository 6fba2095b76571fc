// SPDX-License-Identifier: Apache-2.0
// What is left over on an instance, and what must not be called so.
#include "core/leftovers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>

using namespace belay::core;

namespace {

const std::string here = "0123456789abcdef0123456789abcdef";
const std::string txn = "20260501t120000z-ab12";
const std::string snapshot = "belay-" + txn;

std::string lock_of(const std::string& machine = here) {
    return to_text({txn, machine, "boot", 4711});
}

seen_instance web1() {
    return {.name = "web1", .project = "default", .uuid = "u", .location = {}, .lock = {}, .restored = {}};
}

onlooker who_knows(journal_word word, bool alive = false) {
    onlooker who;
    who.machine_id = here;
    who.journal = [word](const auto& asked, const auto& uuid) {
        return asked == txn && uuid == "u" ? word : journal_word{};
    };
    who.alive = [alive](const auto& holder) { return alive && holder.pid == 4711; };
    return who;
}

using kn = journal_knowledge;

struct expected_finding {
    weight how;
    std::string word;
    std::string mend;
};

/// The one finding; fails when there are more.
void check_one(const std::vector<finding>& all, const expected_finding& expected) {
    REQUIRE(all.size() == 1);
    CHECK(all[0].how == expected.how);
    CHECK(all[0].word == expected.word);
    CHECK(all[0].mend == (expected.mend.empty() ? std::vector<std::string>{} : std::vector{expected.mend}));
    CHECK_FALSE(all[0].what.empty());
}

void check_all(const std::vector<finding>& all, const std::vector<expected_finding>& expected) {
    if (expected.empty()) {
        CHECK(all.empty());
    } else {
        check_one(all, expected.front());
    }
}

const std::string unlock = "incus config unset web1 user.belay.transaction";
const std::string drop = "incus snapshot delete web1 " + snapshot;

} // namespace

TEST_CASE("a lock is left over when its transaction is closed, unknown, another's or a copy's", "[core]") {
    struct row {
        const char* name;
        kn known;
        std::string machine;
        bool alive;
        bool clustered;
        std::vector<expected_finding> expected;
    };

    const std::string there = "fedcba9876543210fedcba9876543210";
    const row rows[] = {
        {"closed", kn::closed, here, false, false, {{weight::fault, "lock", unlock}}},
        {"closed, of another machine", kn::closed, there, false, false, {{weight::fault, "lock", unlock}}},
        {"a copy", kn::other_instance, here, false, false, {{weight::fault, "lock", unlock}}},
        {"unknown, process gone", kn::unknown, here, false, false, {{weight::fault, "lock", unlock}}},
        {"unknown, process runs", kn::unknown, here, true, false, {{weight::note, "lock", ""}}},
        {"another machine", kn::unknown, there, true, false, {{weight::fault, "lock", unlock}}},
        {"another member", kn::unknown, there, false, true, {{weight::note, "lock", ""}}},
        {"open, of another machine", kn::open, there, false, false, {{weight::fault, "lock", unlock}}},
        {"open", kn::open, here, false, false, {}},
        {"running", kn::running, here, true, false, {}},
        {"waiting", kn::waiting, here, false, false, {}},
        {"stuck", kn::stuck, here, false, false, {}},
    };
    for (const auto& r : rows) {
        INFO(r.name);
        auto instance = web1();
        instance.lock = lock_of(r.machine);
        auto who = who_knows({r.known, false}, r.alive);
        who.clustered = r.clustered;
        const auto all = leftovers_of(instance, who);
        check_all(all, r.expected);
    }
}

TEST_CASE("the lock of an unknown transaction protects its snapshot, and leads back to it", "[core]") {
    auto instance = web1();
    instance.project = "lab 1";
    instance.lock = lock_of();
    instance.snapshots = {"daily", snapshot};
    check_one(leftovers_of(instance, who_knows({})),
              {weight::fault, "lock", "belay rollback web1 --snapshot " + snapshot + " --project 'lab 1'"});
}

TEST_CASE("a key that belay did not write is named, control characters made safe", "[core]") {
    auto instance = web1();
    instance.lock = "me \x1b[2J";
    const auto all = leftovers_of(instance, who_knows({}));
    check_one(all, {weight::fault, "lock", unlock});
    CHECK(all[0].what.find('\x1b') == std::string::npos);
}

TEST_CASE("a snapshot is left over only when nobody can need it", "[core]") {
    struct row {
        const char* name;
        journal_word word;
        bool sees_all;
        bool clustered;
        std::vector<expected_finding> expected;
    };

    const row rows[] = {
        {"kept", {kn::closed, true}, true, false, {}},
        {"should be gone", {kn::closed, false}, true, false, {{weight::fault, "snapshot", drop}}},
        {"came with a copy", {kn::other_instance, false}, true, false, {{weight::fault, "snapshot", drop}}},
        {"unknown", {}, true, false, {{weight::fault, "snapshot", drop}}},
        {"unknown, to a user", {}, false, false, {{weight::note, "snapshot", drop}}},
        {"unknown, in a cluster", {}, true, true, {{weight::note, "snapshot", drop}}},
        {"open", {kn::open, false}, true, false, {}},
        {"running", {kn::running, false}, true, false, {}},
        {"waiting", {kn::waiting, false}, true, false, {}},
        {"stuck", {kn::stuck, false}, true, false, {}},
    };
    for (const auto& r : rows) {
        INFO(r.name);
        auto instance = web1();
        instance.snapshots = {"belay-", "belay-mine", "x" + snapshot, snapshot};
        auto who = who_knows(r.word);
        who.sees_all = r.sees_all;
        who.clustered = r.clustered;
        const auto all = leftovers_of(instance, who);
        check_all(all, r.expected);
    }
}

TEST_CASE("the witness of a restore stays as long as its transaction needs it", "[core]") {
    const std::string unset = "incus config unset web1 user.belay.restored";
    auto instance = web1();
    instance.restored = txn;
    for (const auto known : {kn::open, kn::running, kn::waiting, kn::stuck}) {
        CHECK(leftovers_of(instance, who_knows({known, false})).empty());
    }
    for (const auto known : {kn::closed, kn::other_instance, kn::unknown}) {
        check_one(leftovers_of(instance, who_knows({known, false})), {weight::fault, "restored-key", unset});
    }
    instance.lock = lock_of(); // then what is said of the lock comes first
    check_one(leftovers_of(instance, who_knows({})), {weight::fault, "lock", unlock});
}

TEST_CASE("kept broken states are named, and nothing else that looks a little like them", "[core]") {
    auto instance = web1();
    instance.project = "lab";
    instance.name = "web1-failed-" + txn;
    check_one(leftovers_of(instance, who_knows({})),
              {weight::note, "failed-copy", "incus delete web1-failed-" + txn + " --project lab"});
    for (const auto& name : {std::string("web1"), std::string("web1-failed-yesterday"), "-failed-" + txn}) {
        instance.name = name;
        CHECK(leftovers_of(instance, who_knows({})).empty());
    }
}

TEST_CASE("of an instance that cannot be read nothing good is said", "[core]") {
    auto instance = web1();
    instance.readable = false;
    instance.location = "node2";
    const auto all = leftovers_of(instance, who_knows({}));
    check_one(all, {weight::fault, "instance", "incus cluster list"});
    CHECK(all[0].what.find("node2") != std::string::npos);
}
