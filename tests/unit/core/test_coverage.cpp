// SPDX-License-Identifier: Apache-2.0
#include "core/coverage.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay::core;

namespace {

disk volume(const std::string& pool, const std::string& name, std::vector<std::string> users = {}) {
    disk d;
    d.device = "dev-" + name;
    d.path = "/" + name;
    d.source = pool + "/" + name;
    d.pool = pool;
    d.volume = name;
    d.driver = "btrfs";
    d.users = std::move(users);
    return d;
}

const disk root{"root", "/", "tank", true, false};
const disk host_path{"share", "/srv", "/srv/of/host", false, false};

instance_facts with(std::vector<disk> disks, const std::string& driver = "btrfs") {
    instance_facts f;
    f.driver = driver;
    f.disks = std::move(disks);
    return f;
}

using names = std::vector<std::string>;

} // namespace

TEST_CASE("what becomes of a disk in a rollback") {
    plan how;
    CHECK(coverage_of(root, how) == coverage::instance);
    CHECK(coverage_of(host_path, how) == coverage::outside);
    CHECK(coverage_of(volume("tank", "data"), how) == coverage::volume);
    CHECK(coverage_of(volume("tank", "data", {"web2"}), how) == coverage::shared);
    auto fixed = volume("tank", "data", {"web2"});
    fixed.read_only = true;
    CHECK(coverage_of(fixed, how) == coverage::read_only);
    auto dependent = volume("tank", "data");
    dependent.covered = true;
    CHECK(coverage_of(dependent, how) == coverage::instance);
    how.volumes = names{};
    CHECK(coverage_of(volume("tank", "data"), how) == coverage::left_out);
    for (const std::string name : {"tank/data", "data", "dev-data"}) {
        how.volumes = names{"other", name};
        CHECK(coverage_of(volume("tank", "data"), how) == coverage::volume);
    }
    how.volumes = names{"tank2/data"};
    CHECK(coverage_of(volume("tank", "data"), how) == coverage::left_out);
}

TEST_CASE("what is not covered must be accepted by its own name") {
    plan how;
    CHECK_FALSE(uncovered(root, how));
    CHECK_FALSE(uncovered(volume("tank", "data"), how));
    CHECK(uncovered(host_path, how));
    CHECK(uncovered(volume("tank", "data", {"web2"}), how));
    how.uncovered = {"/srv"};
    CHECK_FALSE(uncovered(host_path, how));
    CHECK(uncovered(volume("tank", "data", {"web2"}), how));
    auto block = volume("tank", "raw", {"vm2"});
    block.path.clear();
    CHECK(uncovered(block, how));
    how.uncovered = {"dev-raw"};
    CHECK_FALSE(uncovered(block, how));
    how.uncovered = {"/"};
    CHECK(uncovered(host_path, how)); // no path stands for those below it
}

TEST_CASE("names that are no volume of the instance are told") {
    plan how;
    const auto facts = with({root, host_path, volume("tank", "data")});
    CHECK(unknown_volumes(how, facts).empty());
    how.volumes = names{"data", "share", "root", "tank/other"};
    CHECK(unknown_volumes(how, facts) == names{"share", "root", "tank/other"});
}

TEST_CASE("the plan is settled by what the instance has") {
    plan how;
    SECTION("alone, it is snapshotted while it runs") {
        settle(how, with({root, host_path}));
        CHECK(how.targets == names{"root"});
        CHECK_FALSE(how.pauses);
    }
    SECTION("with volumes it is paused, and each comes once") {
        auto again = volume("tank", "data");
        again.device = "second";
        settle(how,
               with({root, volume("tank", "data"), again, volume("fast", "log"), volume("tank", "pics", {"web2"})}));
        CHECK(how.targets == names{"root", "tank/data", "fast/log"});
        CHECK(how.pauses);
    }
    SECTION("unless somebody wants it otherwise") {
        how.mode = snapshot_mode::live;
        settle(how, with({root, volume("tank", "data")}));
        CHECK_FALSE(how.pauses);
        how.mode = snapshot_mode::stopped;
        settle(how, with({root}));
        CHECK(how.pauses);
    }
    SECTION("what is settled once is settled anew from other facts") {
        settle(how, with({root, volume("tank", "data")}));
        settle(how, with({root}));
        CHECK(how.targets == names{"root"});
        CHECK_FALSE(how.pauses);
    }
    SECTION("an undo has its targets from the upgrade") {
        how.undoes_kept = true;
        how.targets = {"root", "tank/old"};
        settle(how, with({root, volume("tank", "data")}));
        CHECK(how.targets == names{"root", "tank/old"});
    }
}

TEST_CASE("schedules are guarded where only the newest snapshot can be restored") {
    struct row {
        std::string driver;
        std::string schedule;
        bool expected;
    };

    for (const auto& [driver, schedule, expected] :
         {row{"zfs", "@hourly", true}, row{"linstor", "* * * * *", true}, row{"truenas", "@startup", true},
          row{"lvmcluster", "@daily", true}, row{"zfs", "", false}, row{"zfs", "@never", false},
          row{"btrfs", "@hourly", false}, row{"dir", "@hourly", false}, row{"lvm", "@hourly", false},
          row{"ceph", "@hourly", false}, row{"", "@hourly", false}}) {
        INFO(driver << " " << schedule);
        auto facts = with({root, volume("tank", "data")}, driver);
        facts.effective_schedule = schedule;
        CHECK(guarded("root", facts) == expected);
        CHECK_FALSE(guarded("tank/data", facts));
        facts.disks[1].driver = driver;
        facts.disks[1].schedule = schedule;
        CHECK(guarded("tank/data", facts) == expected);
        plan how;
        settle(how, facts);
        CHECK(how.guards_schedule == expected);
    }
}

TEST_CASE("a dependent volume makes the newest snapshot the only one that can be restored") {
    auto facts = with({root, volume("tank", "data")});
    facts.effective_schedule = "@hourly";
    CHECK_FALSE(guarded("root", facts));
    facts.disks[1].covered = true;
    CHECK(restores_only_newest("root", facts));
    CHECK(guarded("root", facts));
}

TEST_CASE("the schedule to put back is the target's own, not that of a profile") {
    auto facts = with({root, volume("tank", "data")}, "zfs");
    facts.effective_schedule = "@hourly";
    CHECK_FALSE(schedule_of("root", facts));
    facts.schedule = "@daily";
    CHECK(schedule_of("root", facts) == "@daily");
    CHECK_FALSE(schedule_of("tank/data", facts));
    facts.disks[1].schedule = "@weekly";
    CHECK(schedule_of("tank/data", facts) == "@weekly");
    CHECK_FALSE(schedule_of("tank/gone", facts));
}

TEST_CASE("a target is taken apart again") {
    CHECK(volume_of("root").volume.empty());
    const auto d = volume("tank", "my data");
    CHECK(target_of(d) == "tank/my data");
    CHECK(volume_of(target_of(d)).pool == "tank");
    CHECK(volume_of(target_of(d)).volume == "my data");
}
