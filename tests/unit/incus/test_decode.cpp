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
    CHECK(decode_pool_driver(R"({"metadata":{"name":"dir","driver":"dir"}})") == "dir");
    CHECK(forbids_snapshots(restricted_project_sample));
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
    CHECK(decode_tasks(operations_sample, "default", "w1") == std::vector<std::string>{"/1.0/operations/aaaa"});
    CHECK(decode_tasks(operations_sample, "q", "w1") == std::vector<std::string>{"/1.0/operations/bbbb"});
    CHECK(decode_tasks(operations_sample, "default", "w2").empty());
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
        CHECK(decode_pool_driver(body).empty());
        CHECK_FALSE(forbids_snapshots(body));
        CHECK(decode_expiry(body).empty());
        CHECK(decode_tasks(body, "default", "w1").empty());
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
