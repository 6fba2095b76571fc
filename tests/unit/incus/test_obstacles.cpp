// SPDX-License-Identifier: Apache-2.0
// What is asked of the daemon, and looked up on its host, before anything is touched.
#include "fake_daemon.hpp"
#include "fakes/temporary_directory.hpp"
#include "incus/folders.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;
using core::reason;
using json = nlohmann::json;

namespace {

constexpr std::uint64_t gib = 1ULL << 30U;

struct setup {
    fakes::daemon daemon;
    incus::instance web1{daemon.server.socket(), "default", "web1"};
    core::plan how;

    setup() { how.instance = "web1"; }

    ~setup() { std::filesystem::remove_all(containers().parent_path().parent_path()); }

    setup(const setup&) = delete;
    setup& operator=(const setup&) = delete;

    core::expected<void> check() {
        const auto seen = web1.examine(5s);
        REQUIRE(seen);
        return web1.check_restorable(seen->facts, how, 5s);
    }

    std::filesystem::path containers() const {
        return std::filesystem::path(daemon.server.socket()).parent_path() / "storage-pools" / "p" / "containers";
    }

    std::ptrdiff_t asked(const std::string& what) const { return std::ranges::count(daemon.asked(), what); }
};

void write(const std::filesystem::path& file, std::size_t bytes) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << std::string(bytes, 'x');
}

} // namespace

TEST_CASE("the check asks for what is under way and how full the pool is, and for nothing else", "[incus]") {
    setup s;
    s.daemon.pool_space = {{"total", 10 * gib}, {"used", gib}};
    CHECK(s.check());
    const auto all = s.daemon.asked();
    CHECK(all.size() == 7); // five of them by the examination
    CHECK(s.asked("GET /1.0/operations") == 1);
    CHECK(s.asked("GET /1.0/storage-pools/p/resources") == 1);
}

TEST_CASE("a pool without the reserve is refused, and --min-free decides what that is", "[incus]") {
    setup s;
    s.daemon.pool_space = {{"total", 10 * gib}, {"used", 8 * gib}};
    CHECK(s.check());
    s.how.min_free = 3 * gib;
    const auto r = s.check();
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_space);
    CHECK(r.error().message.find("storage pool p has 2 GiB free, and 3 GiB (--min-free) must be free") == 0);
    s.daemon.pool_space.reset(); // not told
    CHECK(s.check());
}

TEST_CASE("what this user may not read is unknown", "[incus]") {
    setup s;
    s.how.keeps_failed = true;
    s.daemon.pool_space = {{"total", gib}, {"used", gib}};
    s.daemon.project_config = {{"limits.instances", "1"}};
    s.daemon.project_resources = {{"instances", {{"Limit", 1}, {"Usage", 1}}}};
    s.daemon.location = "m1";
    s.daemon.member_status = "Evacuated";
    CHECK_FALSE(s.check());
    for (const auto* hidden : {"/1.0/cluster/members/m1", "/1.0/projects/default/state",
                               "/1.0/storage-pools/p/resources", "/1.0/operations"}) {
        s.daemon.hidden.insert(hidden);
    }
    CHECK(s.check());
}

TEST_CASE("a daemon that goes away meanwhile is no obstacle but an error", "[incus]") {
    for (const auto* lost : {"/1.0/operations", "/1.0/storage-pools/p/resources"}) {
        setup s;
        s.daemon.pool_space = {{"total", gib}, {"used", 0}};
        REQUIRE(s.web1.examine(5s)); // reads along what a check asks next, so that its loss would not show
        s.daemon.cut_once = lost;
        const auto r = s.check();
        REQUIRE_FALSE(r);
        CHECK(r.error().code == reason::no_daemon);
        CHECK(r.error().transient);
    }
}

TEST_CASE("the cluster member is asked for in a cluster, and the pool as that member has it", "[incus]") {
    setup s;
    s.daemon.pool_space = {{"total", 10 * gib}, {"used", gib}};
    s.daemon.location = "m1";
    CHECK(s.check());
    CHECK(std::ranges::any_of(s.daemon.server.seen(),
                              [](const auto& r) { return r.path == "/1.0/storage-pools/p/resources?target=m1"; }));
    s.daemon.member_status = "Evacuated";
    CHECK(s.check().error().code == reason::not_restorable);
}

TEST_CASE("the limits of the project are asked for only when the instance is to be copied", "[incus]") {
    setup s;
    s.daemon.project_config = {{"limits.memory", "1GiB"}};
    s.daemon.project_resources = {{"memory", {{"Limit", gib}, {"Usage", gib / 2}}}};
    s.daemon.expanded_config = {{"limits.memory", "513MiB"}};
    CHECK(s.check());
    CHECK(s.asked("GET /1.0/projects/default/state") == 0);
    s.how.keeps_failed = true;
    const auto r = s.check();
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find("limits.memory=1025MiB") != std::string::npos);
    s.daemon.expanded_config = {{"limits.memory", "512MiB"}};
    CHECK(s.check());
}

TEST_CASE("LVM without a thin pool needs the configured size once more", "[incus]") {
    setup s;
    s.daemon.driver = "lvm";
    s.daemon.pool_space = {{"total", 20 * gib}, {"used", 12 * gib}};
    CHECK(s.check());
    s.daemon.pool_config = {{"lvm.use_thinpool", "false"}};
    incus::instance fresh(s.daemon.server.socket(), "default", "web1"); // the pool's settings are read once
    const auto check = [&] { return fresh.check_restorable(fresh.examine(5s)->facts, s.how, 5s); };
    CHECK(check().error().message.find("10 GiB") != std::string::npos); // when nothing is configured
    s.daemon.devices["root"]["size"] = "7GiB";
    CHECK(check());
    s.daemon.devices["root"]["size"] = "8GiB";
    CHECK(check().error().code == reason::no_space);
}

TEST_CASE("an operation that is under way is waited for, as long as the plan says", "[incus]") {
    setup s;
    s.how.limit.busy = 10s;
    s.daemon.begin_foreign("Backing up instance", 50ms);
    CHECK(s.check());
    CHECK(s.asked("GET /1.0/operations") == 3); // read, too, as long as there is one
    s.how.limit.busy = 30ms;
    s.daemon.begin_foreign("Backing up instance", 10min);
    const auto r = s.check();
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::locked);
    CHECK(r.error().message.find("\"Backing up instance\" is under way") != std::string::npos);
}

TEST_CASE("what a cut restore left beside the instance is found on btrfs", "[incus]") {
    setup s;
    const auto leftover = s.containers() / "web1.incustmp";
    CHECK(s.check());
    std::filesystem::create_directories(leftover);
    const auto r = s.check();
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::not_restorable);
    CHECK(r.error().message.find(leftover.string()) != std::string::npos);
    std::filesystem::remove(leftover);
    CHECK(s.check());
}

TEST_CASE("the files of an instance on driver dir are counted where that decides", "[incus]") {
    setup s;
    s.daemon.driver = "dir";
    write(s.containers() / "web1" / "rootfs" / "big", 1U << 20U);
    // 600 KiB are free beside the reserve, and somebody else fills the rest.
    s.daemon.pool_space = {{"total", gib}, {"used", gib - (600U << 10U)}};
    s.how.min_free = 0;
    const auto r = s.check();
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_space);
    CHECK(r.error().message.find("the snapshot of instance web1") != std::string::npos);
    s.daemon.pool_space = {{"total", gib}, {"used", gib - (1200U << 10U)}};
    CHECK(s.check());
    std::filesystem::remove_all(s.containers()); // now unknown: then the reserve alone is asked for
    s.daemon.pool_space = {{"total", gib}, {"used", gib - (600U << 10U)}};
    CHECK(s.check());
}

TEST_CASE("the places of instances and volumes", "[incus]") {
    using incus::instance_folder;
    CHECK(instance_folder("/d", "p", "container", "default", "w") == "/d/storage-pools/p/containers/w");
    CHECK(instance_folder("/d", "p", "virtual-machine", "x", "w") == "/d/storage-pools/p/virtual-machines/x_w");
    CHECK(incus::volume_folder("/d", "p", "default", "v") == "/d/storage-pools/p/custom/default_v");
}

TEST_CASE("a folder is counted in blocks, each file once, and no link is followed", "[incus]") {
    const fakes::temporary_directory there;
    const auto size = [&](std::uint64_t enough = gib) { return incus::folder_size(there.path() / "a", enough, 10s); };
    CHECK_FALSE(size()); // there is none
    write(there.path() / "a" / "b" / "file", 1U << 20U);
    write(there.path() / "outside" / "file", 8U << 20U);
    const auto alone = size();
    REQUIRE(alone);
    CHECK(*alone >= 1U << 20U);
    CHECK(*alone < 2U << 20U);
    std::filesystem::create_hard_link(there.path() / "a" / "b" / "file", there.path() / "a" / "same");
    std::filesystem::create_directory_symlink(there.path() / "outside", there.path() / "a" / "link");
    const auto sparse = there.path() / "a" / "sparse";
    std::ofstream(sparse).close();
    std::filesystem::resize_file(sparse, gib);
    CHECK(*size() < 2U << 20U);
    CHECK(*size(4096) > 4096); // it ends as soon as it is more
    CHECK_FALSE(incus::folder_size(there.path() / "a", gib, 0ms));
    CHECK_FALSE(incus::folder_size(there.path() / "a" / "link", gib, 10s));
}
