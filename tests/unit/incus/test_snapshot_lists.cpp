// SPDX-License-Identifier: Apache-2.0
#include "fakes/http_server.hpp"
#include "incus/snapshot_lists.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using namespace std::chrono_literals;
using fakes::http_reply;
using fakes::http_request;
using fakes::http_server;

TEST_CASE("the snapshots of many instances are asked for in few rounds, each answer for itself", "[incus]") {
    http_server server([](const http_request& r) {
        if (r.path.starts_with("/1.0/instances/gone/")) {
            return http_reply{.status = 404,
                              .body = R"({"type":"error","error_code":404,"error":"Instance not found"})"};
        }
        if (r.path.starts_with("/1.0/instances/broken/")) {
            return http_reply{.status = 500, .body = R"({"type":"error","error_code":500,"error":"no"})"};
        }
        return http_reply{.body =
                              R"({"type":"sync","metadata":[{"name":"belay-1","created_at":"2026-05-01T12:00:00Z",)"
                              R"("expires_at":"2026-05-02T12:00:00Z","config":{"user.belay.transaction":"key"}}]})"};
    });
    const auto all =
        incus::snapshots_of(server.socket(), {{"lab 1", "web1"}, {"default", "gone"}, {"default", "broken"}}, 5s, 2);
    REQUIRE(all.size() == 3);
    REQUIRE(all[0]);
    REQUIRE(all[0]->size() == 1);
    CHECK(all[0]->front().name == "belay-1");
    CHECK(all[0]->front().lock == "key");
    CHECK(all[0]->front().expires.has_value());
    REQUIRE(all[1]);
    CHECK(all[1]->empty());
    REQUIRE_FALSE(all[2]);
    CHECK(all[2].error().code == core::reason::io_error);
    std::string paths;
    for (const auto& r : server.seen()) {
        paths += r.path + "\n";
    }
    CHECK(paths.find("/1.0/instances/web1/snapshots?recursion=1&project=lab%201\n") != std::string::npos);
}

TEST_CASE("a daemon that is away says nothing about any instance", "[incus]") {
    const auto all = incus::snapshots_of("/tmp/there-is-no-such/unix.socket", {{"default", "web1"}}, 1s);
    REQUIRE(all.size() == 1);
    REQUIRE_FALSE(all[0]);
    CHECK(all[0].error().code == core::reason::no_daemon);
}
