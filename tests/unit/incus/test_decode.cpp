// SPDX-License-Identifier: Apache-2.0
// The samples are answers of Incus 6.0.4, shortened.
#include "incus/decode.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

using namespace belay;
using namespace belay::incus;

namespace {

constexpr const char* instance_sample =
    R"({"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{)"
    R"("architecture":"x86_64","config":{"image.description":"tiny","volatile.last_state.power":"RUNNING",)"
    R"("volatile.uuid":"37ad2097-e22e-4278-a4b6-ce8964178afd","volatile.uuid.generation":"45b17681-a47e-4849",)"
    R"("user.belay.transaction":"t m b 7"},"devices":{},"ephemeral":false,"profiles":["default"],"stateful":false,)"
    R"("description":"","created_at":"2026-11-23T23:19:44.216058043Z","expanded_config":{"security.privileged":"false"},)"
    R"("expanded_devices":{"data":{"path":"/srv","pool":"btrfs","source":"data","type":"disk"},"eth0":{"type":"nic"},)"
    R"("root":{"path":"/","pool":"btrfs","type":"disk"},"share":{"path":"/mnt/share","readonly":"true",)"
    R"("source":"/srv/share","type":"disk"},"seed":{"source":"cloud-init:config","type":"disk"}},"name":"w1",)"
    R"("status":"Running","status_code":103,"last_used_at":"2026-11-23T23:36:23.656040669Z","location":"none",)"
    R"("type":"container","project":"default"}})";

constexpr const char* server_sample =
    R"({"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{)"
    R"("config":{},"api_extensions":["storage_zfs_remove_snapshots","projects_restrictions"],"auth":"trusted",)"
    R"("environment":{"certificate_fingerprint":"66b0c83b74567f6d","server_version":"6.0.4"}}})";

constexpr const char* restricted_project_sample =
    R"({"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{)"
    R"("config":{"features.images":"true","restricted":"true"},"description":"","name":"rp","used_by":[]}})";

constexpr const char* operations_sample =
    R"({"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{)"
    R"("running":[{"id":"03817f29","class":"websocket","description":"Executing command","status":"Running",)"
    R"("status_code":103,"resources":{"instances":["/1.0/instances/w1"]}},)"
    R"({"id":"aaaa","class":"task","description":"Restoring snapshot","status_code":103,)"
    R"("resources":{"instances":["/1.0/instances/w1"]}},)"
    R"({"id":"bbbb","class":"task","description":"Snapshotting instance","status_code":103,)"
    R"("resources":{"instances_snapshots":["/1.0/instances/w1/snapshots/s0?project=q"]}},)"
    R"({"id":"cccc","class":"task","status_code":103,"resources":{"instances":["/1.0/instances/w10"]}}],)"
    R"("success":[{"id":"dddd","class":"task","status_code":200,"resources":{"instances":["/1.0/instances/w1"]}}]}})";

constexpr const char* failed_wait_sample =
    R"({"type":"error","status":"","status_code":0,"operation":"","error_code":500,)"
    R"("error":"The instance is already running","metadata":null})";

constexpr const char* begun_sample =
    R"({"type":"async","status":"Operation created","status_code":100,)"
    R"("operation":"/1.0/operations/751719fd-e057-4737-8895-cbc48e56c77f?project=q","error_code":0,"error":"",)"
    R"("metadata":{"id":"751719fd-e057-4737-8895-cbc48e56c77f","class":"task","status":"Running","status_code":103,)"
    R"("err":""}})";

} // namespace

TEST_CASE("the facts of an instance are read from its answer", "[incus]") {
    const auto seen = decode_instance(instance_sample);
    REQUIRE(seen);
    CHECK(seen->facts.uuid == "37ad2097-e22e-4278-a4b6-ce8964178afd");
    CHECK(seen->facts.type == "container");
    CHECK(seen->facts.pool == "btrfs");
    CHECK(seen->facts.last_used_at == "2026-11-23T23:36:23.656040669Z");
    CHECK(seen->facts.running);
    CHECK_FALSE(seen->facts.ephemeral);
    CHECK(seen->lock == "t m b 7");
    CHECK(seen->status == "Running");
    CHECK(seen->facts.disks == std::vector<core::disk>{{"data", "/srv", "btrfs/data", false, false, "btrfs", "data"},
                                                       {"root", "/", "btrfs", true, false},
                                                       {"seed", "", "cloud-init:config", false, true},
                                                       {"share", "/mnt/share", "/srv/share", false, true}});
}

TEST_CASE("server, pool, project and snapshot are read from their answers", "[incus]") {
    const auto server = decode_server(server_sample);
    CHECK(server.trusted);
    CHECK(server.fingerprint == "66b0c83b74567f6d");
    CHECK(server.extensions.contains("projects_restrictions"));
    CHECK(server.only_driver.empty()); // it does not say
    CHECK(decode_server(R"({"metadata":{"environment":{"storage":"btrfs"}}})").only_driver == "btrfs");
    CHECK(decode_server(R"({"metadata":{"environment":{"storage":"dir | btrfs"}}})").only_driver.empty());
    const auto pool = decode_pool(R"({"metadata":{"name":"dir","driver":"dir","config":{"source":"/x"}}})");
    CHECK(pool.driver == "dir");
    CHECK(pool.config == std::map<std::string, std::string>{{"source", "/x"}});
    CHECK(decode_project(restricted_project_sample).restricted);
    CHECK_FALSE(decode_project(restricted_project_sample).limited);
    CHECK(decode_expiry(R"({"metadata":{"expires_at":"0001-01-01T00:00:00Z"}})").empty());
    CHECK(decode_expiry(R"({"metadata":{"expires_at":"2030-01-01T00:00:00Z"}})") == "2030-01-01T00:00:00Z");
}

TEST_CASE("the envelope tells apart what is done, what has begun and what failed", "[incus]") {
    CHECK(decode_answer(server_sample).what == answer::kind::sync);
    const auto begun = decode_answer(begun_sample);
    CHECK(begun.what == answer::kind::async);
    CHECK(begun.operation == "/1.0/operations/751719fd-e057-4737-8895-cbc48e56c77f");
    CHECK(decode_operation(begun_sample).under_way());
    const auto failed = decode_answer(failed_wait_sample);
    CHECK(failed.what == answer::kind::error);
    CHECK(failed.error_code == 500);
    CHECK(failed.error == "The instance is already running");
    CHECK(decode_operation(R"({"metadata":{"status_code":200,"err":""}})").succeeded());
    const auto cancelled = decode_operation(R"({"metadata":{"status_code":401,"err":"cancelled"}})");
    CHECK_FALSE(cancelled.succeeded());
    CHECK_FALSE(cancelled.under_way());
    CHECK(decode_answer(R"({"type":"async","operation":"/1.0/instances/w1"})").what == answer::kind::unreadable);
}

TEST_CASE("only tasks under way on this instance of this project count", "[incus]") {
    const auto paths = [](const std::vector<task>& tasks) {
        std::vector<std::string> all;
        std::ranges::transform(tasks, std::back_inserter(all), &task::path);
        return all;
    };
    const auto w1 = decode_tasks(operations_sample, "default", "w1");
    CHECK(paths(w1) == std::vector<std::string>{"/1.0/operations/aaaa"});
    CHECK(w1.front().description == "Restoring snapshot");
    CHECK(paths(decode_tasks(operations_sample, "q", "w1")) == std::vector<std::string>{"/1.0/operations/bbbb"});
    CHECK(decode_tasks(operations_sample, "default", "w2").empty());
}

TEST_CASE("a list of operations tells whether any of them has not ended", "[incus]") {
    const auto listed = [](const std::string& by_status) {
        return lists_active(R"({"metadata":{)" + by_status + "}}");
    };
    CHECK_FALSE(listed(""));
    CHECK_FALSE(listed(R"("success":["/1.0/operations/a"],"failure":["/1.0/operations/b"],"cancelled":["x"])"));
    CHECK_FALSE(listed(R"("running":[])"));
    CHECK(listed(R"("success":["/1.0/operations/a"],"running":["/1.0/operations/b"])"));
    CHECK(listed(R"("pending":["/1.0/operations/a"])"));
    CHECK(listed(R"("cancelling":["/1.0/operations/a"])"));
    CHECK(listed(R"("a status of tomorrow":["/1.0/operations/a"])"));
    CHECK(lists_active(operations_sample));
}

TEST_CASE("what is missing, of another type or no JSON at all is empty, and nothing throws", "[incus]") {
    const std::string bodies[] = {"",
                                  "null",
                                  "[]",
                                  "3",
                                  "\"x\"",
                                  "{",
                                  "<html>",
                                  "\xff\xfe",
                                  R"({"metadata":[]})",
                                  R"({"metadata":{"config":3,"expanded_devices":[1],"name":7,"api_extensions":"x"}})",
                                  R"({"metadata":{"running":{"a":1},"x":[null,3,{"status_code":"y","resources":[]}]}})",
                                  R"({"metadata":{"status_code":99999999999999999999,"environment":null}})"};
    for (const auto& body : bodies) {
        CAPTURE(body);
        CHECK_FALSE(decode_instance(body));
        CHECK_FALSE(decode_server(body).trusted);
        CHECK(decode_pool(body).driver.empty());
        CHECK_FALSE(decode_pool_space(body));
        CHECK_FALSE(decode_project(body).restricted);
        CHECK(decode_project_limits(body).empty());
        CHECK(decode_claims(body).at("limits.memory") == 0);
        CHECK_FALSE(decode_root_size(body));
        CHECK(decode_member_status(body).empty());
        CHECK(decode_expiry(body).empty());
        CHECK(decode_tasks(body, "default", "w1").empty());
        CHECK_NOTHROW(lists_active(body));
        CHECK_FALSE(decode_operation(body).succeeded());
        CHECK(decode_answer(body).what == answer::kind::unreadable);
    }
}

TEST_CASE("every member of a real answer may have any type", "[incus]") {
    const auto whole = nlohmann::json::parse(instance_sample).flatten();
    for (const auto& [pointer, old] : whole.items()) {
        for (const nlohmann::json& other : {nlohmann::json(), nlohmann::json(-1), nlohmann::json("x"),
                                            nlohmann::json::array({1}), nlohmann::json::object({{"type", "disk"}})}) {
            auto damaged = nlohmann::json::parse(instance_sample);
            damaged[nlohmann::json::json_pointer(pointer)] = other;
            CHECK_NOTHROW(decode_instance(damaged.dump()));
        }
    }
}

TEST_CASE("how full a pool is, and how large a size in the words of Incus", "[incus]") {
    // GET /1.0/storage-pools/P/resources of Incus 6.0.4
    const auto space = decode_pool_space(
        R"({"metadata":{"inodes":{"used":18,"total":90},"space":{"used":343537419776,"total":420100937728}}})");
    CHECK(space == core::pool_space{420100937728, 343537419776});
    CHECK(space->free() == 76563517952);
    CHECK(decode_pool_space(R"({"metadata":{"space":{"total":5}}})") == core::pool_space{5, 0});
    CHECK_FALSE(decode_pool_space(R"({"metadata":{"space":{"total":-5,"used":1}}})"));
    CHECK(parse_size("500MiB") == 524288000);
    CHECK(parse_size("10GB") == 10'000'000'000);
    CHECK(parse_size("4096") == 4096);
    CHECK(parse_size("3 bytes") == 3);
    for (const auto* none : {"", "GiB", "-1", "1.5GiB", "10 GiB", "1gib", "16EiB", "99999999999999999999"}) {
        CAPTURE(none);
        CHECK_FALSE(parse_size(none));
    }
}

TEST_CASE("what of the limits of a project is in use, and what one more instance would add", "[incus]") {
    // GET /1.0/projects/P/state of Incus 6.0.4
    const auto limits = decode_project_limits(R"({"metadata":{"resources":{
        "containers":{"Limit":10,"Usage":4},"cpu":{"Limit":-1,"Usage":0},"memory":{"Limit":1073741824,"Usage":536870912},
        "disk":{"Limit":100,"Usage":7},"disk.fast":{"Limit":50,"Usage":6},"x":{"limit":1}}}})");
    CHECK(limits.at("limits.containers") == core::project_limit{10, 4, 0});
    CHECK(limits.at("limits.cpu") == core::project_limit{-1, 0, 0});
    CHECK(limits.at("limits.memory") == core::project_limit{1073741824, 536870912, 0});
    CHECK(limits.at("limits.disk.pool.fast") == core::project_limit{50, 6, 0});
    CHECK_FALSE(limits.contains("limits.x"));

    const auto claims = [](const std::string& type) {
        return decode_claims(R"({"metadata":{"type":")" + type + R"(","expanded_config":{"limits.memory":"512MiB",
            "limits.cpu":"2","limits.processes":"100"},"expanded_devices":{"eth0":{"type":"nic"},
            "root":{"type":"disk","path":"/","pool":"fast","size":"1GiB"}}}})");
    };
    auto c = claims("container");
    CHECK(c["limits.instances"] == 1);
    CHECK(c["limits.containers"] == 1);
    CHECK_FALSE(c.contains("limits.virtual-machines"));
    CHECK(c["limits.memory"] == 512LL << 20U);
    CHECK(c["limits.cpu"] == 2);
    CHECK(c["limits.processes"] == 100);
    CHECK(c["limits.disk"] == 1LL << 30U);
    CHECK(c["limits.disk.pool.fast"] == 1LL << 30U);
    c = claims("virtual-machine");
    CHECK(c["limits.virtual-machines"] == 1);
    CHECK(c["limits.processes"] == 0);
    CHECK(c["limits.disk"] == (1LL << 30U) + (500LL << 20U));
}

TEST_CASE("a volume names the instances and the profiles that use it", "[incus]") {
    const auto seen = decode_volume(R"({"metadata": {"name": "data", "type": "custom", "content_type": "filesystem",
        "config": {"snapshots.schedule": "@daily"},
        "used_by": ["/1.0/instances/web1", "/1.0/instances/web2?project=lab", "/1.0/instances/web3/snapshots/s",
                    "/1.0/profiles/p?project=lab", "/1.0/images/x", 7]}})");
    CHECK(seen.instances == std::vector<std::string>{"/1.0/instances/web1", "/1.0/instances/web2?project=lab"});
    CHECK(seen.profiles == std::vector<std::string>{"/1.0/profiles/p?project=lab"});
    CHECK(seen.schedule == "@daily");
    CHECK(seen.content == "filesystem");
    CHECK(
        decode_profile_users(R"({"metadata": {"used_by": ["/1.0/instances/web1", "/1.0/instances/a/snapshots/b"]}})") ==
        std::vector<std::string>{"/1.0/instances/web1"});
    for (const auto* broken : {"", "{}", "[]", R"({"metadata": {"used_by": 7}})", R"({"metadata": null})"}) {
        CHECK(decode_volume(broken).instances.empty());
        CHECK(decode_profile_users(broken).empty());
    }
}

TEST_CASE("an instance of another project is called by it", "[incus]") {
    CHECK(instance_label("/1.0/instances/web1", "default") == "web1");
    CHECK(instance_label("/1.0/instances/web1?project=lab", "default") == "lab/web1");
    CHECK(instance_label("/1.0/instances/web1?project=lab", "lab") == "web1");
    CHECK(instance_label("/1.0/instances/web1", "lab") == "default/web1");
    CHECK(instance_label("/1.0/instances/web1?project=lab&x=y", "lab") == "web1");
}

TEST_CASE("operations on the volumes of an instance count as its own", "[incus]") {
    const std::string list = R"({"metadata": {"running": [
        {"id": "a", "class": "task", "status_code": 103,
         "resources": {"storage_volume_snapshots": ["/1.0/storage-pools/p/volumes/custom/data/snapshots/s?project=x"]}},
        {"id": "b", "class": "task", "status_code": 103,
         "resources": {"storage_volumes": ["/1.0/storage-pools/p/volumes/custom/data2"]}}]}})";
    const auto tasks = decode_tasks(list, "default", "web1", {"/1.0/storage-pools/p/volumes/custom/data"});
    REQUIRE(tasks.size() == 1);
    CHECK(tasks.front().path == "/1.0/operations/a");
    CHECK(decode_tasks(list, "default", "web1").empty());
}

TEST_CASE("a migration is under way on an instance, a shell in it is not", "[incus]") {
    const auto listed = [](const std::string& kind, const std::string& what) {
        return decode_tasks(R"({"metadata": {"running": [{"id": "a", "class": ")" + kind + R"(", "description": ")" +
                                what +
                                R"(", "status_code": 103, "resources": {"instances": ["/1.0/instances/web1"]}}]}})",
                            "default", "web1")
            .size();
    };
    CHECK(listed("websocket", "Migrating instance") == 1);
    CHECK(listed("websocket", "Transferring snapshot") == 1);
    CHECK(listed("task", "Backing up instance") == 1);
    CHECK(listed("websocket", "Executing command") == 0);
    CHECK(listed("websocket", "Showing console") == 0);
    CHECK(listed("token", "Whatever") == 0);
}
