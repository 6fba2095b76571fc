// SPDX-License-Identifier: Apache-2.0
// What would keep a snapshot from being taken or restored: each driver, each limit, and what is unknown.
#include "core/obstacles.hpp"
#include "core/sizes.hpp"

#include <catch2/catch_test_macros.hpp>
#include <limits>

using namespace belay::core;

namespace {

constexpr std::uint64_t mib = 1ULL << 20U;
constexpr std::uint64_t gib = 1ULL << 30U;

using settings = std::map<std::string, std::string>;

instance_facts on(const std::string& driver) {
    instance_facts facts;
    facts.type = "container";
    facts.pool = "p";
    facts.driver = driver;
    facts.running = true;
    return facts;
}

plan for_web1() {
    plan how;
    how.instance = "web1";
    return how;
}

plan keeping_failed() {
    auto how = for_web1();
    how.keeps_failed = true;
    return how;
}

surroundings in_pool(const std::string& driver, settings config = {}, std::optional<pool_space> space = {},
                     std::optional<std::uint64_t> size = {}) {
    surroundings seen;
    seen.pools = {{"p", driver, std::move(config), space}};
    seen.targets = {{"root", "p", size}};
    return seen;
}

bool says(const expected<void>& r, std::string_view words) {
    return !r && r.error().message.find(words) != std::string::npos;
}

} // namespace

TEST_CASE("nothing is an obstacle that is not known") {
    CHECK(check_obstacles(on(""), for_web1(), {}));
    CHECK(check_obstacles(on("zfs"), keeping_failed(), {})); // the pool may not be read
    CHECK(check_obstacles(on("dir"), for_web1(), in_pool("dir")));
    CHECK(check_obstacles(on("dir"), for_web1(), in_pool("dir", {}, pool_space{0, 0}))); // says nothing
}

TEST_CASE("a restricted project must allow snapshots") {
    surroundings seen;
    for (const auto* word : {"", "block", "Allow"}) {
        seen.project = {true, word};
        const auto r = check_obstacles(on("btrfs"), for_web1(), seen);
        REQUIRE_FALSE(r);
        CHECK(r.error().code == reason::not_restorable);
        CHECK(says(r, "`incus project set default restricted.snapshots=allow`"));
    }
    seen.project = {true, "allow"};
    CHECK(check_obstacles(on("btrfs"), for_web1(), seen));
    seen.project = {false, "block"};
    CHECK(check_obstacles(on("btrfs"), for_web1(), seen));
}

TEST_CASE("a copy blocks the restore on some drivers, and snapshots take all their room at once on others") {
    struct row {
        const char* driver;
        settings config;
        bool blocked;
        bool whole;
    };

    const std::vector<row> rows{
        {"zfs", {}, true, false},
        {"zfs", {{"zfs.clone_copy", "true"}}, true, false},
        {"zfs", {{"zfs.clone_copy", "rebase"}}, true, false},
        {"zfs", {{"zfs.clone_copy", "False"}}, false, false},
        {"truenas", {}, true, false},
        {"truenas", {{"truenas.clone_copy", "0"}}, false, false},
        {"truenas", {{"zfs.clone_copy", "false"}}, true, false}, // another driver's key
        {"linstor", {}, true, false},
        {"lvmcluster", {}, false, true},
        {"lvm", {}, false, false},
        {"lvm", {{"lvm.use_thinpool", "true"}}, false, false},
        {"lvm", {{"lvm.use_thinpool", "false"}}, false, true},
        {"ceph", {}, false, false},
        {"cephfs", {}, false, false},
        {"btrfs", {}, false, false},
        {"dir", {}, false, true},
        {"", {}, false, false},
    };
    for (const auto& r : rows) {
        CAPTURE(r.driver, r.config);
        const auto seen = in_pool(r.driver, r.config, pool_space{100 * gib, 90 * gib}, 9 * gib + 1);
        CHECK(copies_whole(seen.pools.front()) == r.whole);
        CHECK(check_obstacles(on(r.driver), for_web1(), seen).has_value() != r.whole);
        const auto roomy = in_pool(r.driver, r.config, pool_space{100 * gib, 10 * gib}, gib);
        CHECK(check_obstacles(on(r.driver), for_web1(), roomy));
        const auto kept = check_obstacles(on(r.driver), keeping_failed(), roomy);
        CHECK(kept.has_value() != r.blocked);
        CHECK((kept || (kept.error().code == reason::not_restorable && says(kept, "leave out --keep-failed"))));
    }
}

TEST_CASE("a tenth of a pool must stay free, but no more than 1 GiB, or what --min-free says") {
    const auto how = for_web1();
    CHECK(reserve_in({2 * gib, 0}, how) == 2 * gib / 10);
    CHECK(reserve_in({100 * gib, 0}, how) == gib);
    auto own = how;
    own.min_free = 5 * gib;
    CHECK(reserve_in({100 * gib, 0}, own) == 5 * gib);
    own.min_free = 0;
    CHECK(reserve_in({100 * gib, 0}, own) == 0);

    CHECK(check_obstacles(on("btrfs"), how, in_pool("btrfs", {}, pool_space{10 * gib, 9 * gib})));
    const auto full = in_pool("btrfs", {}, pool_space{10 * gib, 9 * gib + 1});
    const auto r = check_obstacles(on("btrfs"), how, full);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_space);
    CHECK(r.error().message ==
          "storage pool p has 1023.9 MiB free, and 1 GiB must be free for a snapshot and its restore: free some space "
          "there (`incus storage info p` shows how much), or ask for less with --min-free");
    CHECK(check_obstacles(on("btrfs"), own, full));
    own.min_free = 2 * gib;
    CHECK(says(check_obstacles(on("btrfs"), own, full), "2 GiB (--min-free) must be free"));
    CHECK_FALSE(check_obstacles(on("btrfs"), how, in_pool("btrfs", {}, pool_space{gib, 2 * gib}))); // overcommitted
}

TEST_CASE("what is copied must fit beside the reserve") {
    const auto seen = [](std::uint64_t size) { return in_pool("dir", {}, pool_space{100 * gib, 90 * gib}, size); };
    CHECK(check_obstacles(on("dir"), for_web1(), seen(9 * gib)));
    const auto r = check_obstacles(on("dir"), for_web1(), seen(9 * gib + 1));
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_space);
    CHECK(r.error().message ==
          "storage pool p has 10 GiB free, and what belay makes takes at least 9.1 GiB (the snapshot of instance web1 "
          "9.1 GiB), beside which 1 GiB must stay free: free some space there (`incus storage info p` shows how much), "
          "or ask for less with --min-free");
    // What does not fit at all cannot be helped by asking for less.
    CHECK(says(check_obstacles(on("dir"), for_web1(), seen(11 * gib)), "shows how much)"));
    CHECK_FALSE(says(check_obstacles(on("dir"), for_web1(), seen(11 * gib)), "ask for less"));
    // --keep-failed copies root once more.
    CHECK(check_obstacles(on("dir"), keeping_failed(), seen(9 * gib / 2)));
    const auto twice = check_obstacles(on("dir"), keeping_failed(), seen(5 * gib));
    CHECK(says(twice, "the copy by --keep-failed 5 GiB"));
    CHECK(says(twice, "leave out --keep-failed"));
    // Numbers of another planet do not wrap around.
    CHECK_FALSE(check_obstacles(on("dir"), for_web1(), seen(std::numeric_limits<std::uint64_t>::max())));
    auto huge = keeping_failed();
    huge.min_free = std::numeric_limits<std::uint64_t>::max();
    CHECK_FALSE(check_obstacles(on("dir"), huge, seen(std::numeric_limits<std::uint64_t>::max() / 2 + 1)));
}

TEST_CASE("volumes count in their own pools, and only root is copied by --keep-failed") {
    surroundings seen;
    seen.pools = {{"p", "btrfs", {}, pool_space{100 * gib, 10 * gib}},
                  {"q", "dir", {}, pool_space{100 * gib, 90 * gib}}};
    seen.targets = {{"root", "p", 50 * gib}, {"q/a", "q", 4 * gib}, {"q/b", "q", 5 * gib}};
    CHECK(check_obstacles(on("btrfs"), keeping_failed(), seen));
    seen.targets.back().size = 6 * gib;
    const auto r = check_obstacles(on("btrfs"), for_web1(), seen);
    CHECK(says(r, "storage pool q has 10 GiB free"));
    CHECK(says(r, "the snapshot of volume q/a 4 GiB, the snapshot of volume q/b 6 GiB"));
}

TEST_CASE("sizes are asked for only where they decide") {
    const auto decides = [](const char* driver, pool_space space, const plan& how) {
        return size_decides({"p", driver, {}, space}, how);
    };
    CHECK(decides("dir", {100 * gib, 60 * gib}, for_web1()));
    CHECK_FALSE(decides("btrfs", {100 * gib, 60 * gib}, for_web1()));
    CHECK_FALSE(decides("dir", {100 * gib, 100 * gib}, for_web1())); // not even the reserve is free
    CHECK_FALSE(decides("dir", {101 * gib, 50 * gib}, for_web1()));  // all of it fits once more
    CHECK(decides("dir", {101 * gib, 50 * gib + 1}, for_web1()));
    CHECK(decides("dir", {101 * gib, 50 * gib}, keeping_failed())); // but not twice
    CHECK_FALSE(size_decides({"p", "dir", {}, {}}, for_web1()));
}

TEST_CASE("a copy of the broken instance must fit into the limits of its project; snapshots count towards none") {
    struct row {
        const char* key;
        project_limit limit;
        reason why; ///< ok: it fits
        const char* words;
    };

    constexpr auto gibi = static_cast<std::int64_t>(gib);
    const std::vector<row> rows{
        {"limits.instances", {-1, 500, 1}, reason::ok, ""},
        {"limits.instances", {4, 3, 1}, reason::ok, ""},
        {"limits.instances", {4, 4, 1}, reason::not_restorable, "`incus project set default limits.instances=5`"},
        {"limits.containers", {0, 1, 1}, reason::not_restorable, "limits.containers is 0, 1 are in use"},
        {"limits.virtual-machines", {0, 0, 0}, reason::ok, ""}, // it is a container
        {"limits.memory", {4 * gibi, 3 * gibi, gibi}, reason::ok, ""},
        {"limits.memory", {4 * gibi, 3 * gibi, gibi + 1}, reason::not_restorable, "limits.memory=4097MiB`"},
        {"limits.cpu", {4, 3, 2}, reason::not_restorable, "limits.cpu=5`"},
        {"limits.disk", {10 * gibi, 8 * gibi, 3 * gibi}, reason::no_space, "limits.disk is 10 GiB, 8 GiB are in use"},
        {"limits.disk.pool.fast", {gibi, gibi, gibi}, reason::no_space, "limits.disk.pool.fast=2048MiB`"},
        {"limits.disk", {gibi, gibi, std::numeric_limits<std::int64_t>::max() / 2}, reason::no_space, "the copy adds"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.key, r.words);
        surroundings seen;
        seen.project.limits = {{r.key, r.limit}};
        const auto got = check_obstacles(on("btrfs"), keeping_failed(), seen);
        CHECK((got ? reason::ok : got.error().code) == r.why);
        CHECK((got || says(got, r.words)));
        CHECK((got || says(got, "leave out --keep-failed")));
        CHECK(check_obstacles(on("btrfs"), for_web1(), seen));
    }
}

TEST_CASE("the cluster member of the instance must be online") {
    auto facts = on("btrfs");
    facts.location = "m2";
    surroundings seen;
    seen.member_status = "Online";
    CHECK(check_obstacles(facts, for_web1(), seen));
    seen.member_status = "Evacuated";
    const auto evacuated = check_obstacles(facts, for_web1(), seen);
    REQUIRE_FALSE(evacuated);
    CHECK(evacuated.error().code == reason::not_restorable);
    CHECK(says(evacuated, "`incus cluster restore m2`"));
    seen.member_status = "Offline";
    CHECK(says(check_obstacles(facts, for_web1(), seen), "is Offline and not Online"));
}

TEST_CASE("what a cut restore left on btrfs is named with the command that mends it") {
    auto seen = in_pool("btrfs");
    seen.targets.front().leftover = "/d/storage-pools/p/containers/web1.incustmp";
    const auto r = check_obstacles(on("btrfs"), for_web1(), seen);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::not_restorable);
    CHECK(says(r, "a restore of instance web1 was cut short"));
    CHECK(says(r, "`if rmdir /d/storage-pools/p/containers/web1 2>/dev/null; then mv "
                  "/d/storage-pools/p/containers/web1.incustmp /d/storage-pools/p/containers/web1; else "));
    seen.targets.push_back({"p/data", "p", {}, "/d/storage-pools/p/custom/default_data.incustmp"});
    seen.targets.front().leftover.clear();
    CHECK(says(check_obstacles(on("btrfs"), for_web1(), seen), "a restore of volume p/data was cut short"));
}

TEST_CASE("an operation that does not end is named, before anything else") {
    surroundings seen;
    seen.project = {true, "block"};
    seen.under_way = "Backing up\x1b[2J instance";
    const auto r = check_obstacles(on("btrfs"), for_web1(), seen);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::locked);
    CHECK(says(r, "on instance web1 \"Backing up [2J instance\" is under way"));
    CHECK_FALSE(says(r, "systemctl restart incus"));
    seen.under_way = freezing_operation;
    CHECK(says(check_obstacles(on("btrfs"), for_web1(), seen), "`systemctl restart incus`"));
    seen.under_way = "";
    CHECK(says(check_obstacles(on("btrfs"), for_web1(), seen), "on instance web1 an operation is under way"));
}

TEST_CASE("sizes as people read them") {
    const auto down = [](std::uint64_t n) { return format_size(n, rounding::down); };
    const auto up = [](std::uint64_t n) { return format_size(n, rounding::up); };
    CHECK(down(0) == "0 B");
    CHECK(up(1023) == "1023 B");
    CHECK(up(1024) == "1 KiB");
    CHECK(down(1536) == "1.5 KiB");
    CHECK(up(1536) == "1.5 KiB");
    CHECK(down(gib - 1) == "1023.9 MiB");
    CHECK(up(gib - 1) == "1024 MiB");
    CHECK(down(gib + 1) == "1 GiB");
    CHECK(up(gib + 1) == "1.1 GiB");
    CHECK(up(3 * gib / 2) == "1.5 GiB");
    CHECK(down(500 * mib) == "500 MiB");
    CHECK(down(std::numeric_limits<std::uint64_t>::max()) == "15.9 EiB");
    CHECK(up(std::numeric_limits<std::uint64_t>::max()) == "16 EiB");
}
