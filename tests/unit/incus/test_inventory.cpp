// SPDX-License-Identifier: Apache-2.0
// All instances of a daemon. The samples are answers of Incus 6.0.4, shortened.
#include "fakes/http_server.hpp"
#include "fakes/temporary_directory.hpp"
#include "incus/inventory.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using namespace belay::incus;
using namespace std::chrono_literals;
using fakes::http_reply;
using fakes::http_request;
namespace fs = std::filesystem;

namespace {

const std::string head = R"({"type":"sync","status":"Success","status_code":200,"error_code":0,"error":"","metadata":)";

const std::string instances_sample =
    head + R"([{"name":"w1","project":"default","status":"Running","location":"none","config":{"volatile.uuid":"u1",)"
           R"("user.belay.transaction":"t m b 7","user.belay.restored":"t"}},)"
           R"({"name":"w2","project":"lab 1","status":"Stopped","location":"node1","config":{"volatile.uuid":"u2"}},)"
           R"({"name":"w3","project":"default","status":"Error","location":"node2","config":{}},)"
           R"({"name":"w4","project":"default","status":"Error","location":"node2","config":null}]})";

http_reply snapshots(const std::string& list) {
    return {.body = head + list + "}"};
}

const http_reply missing{.status = 404, .body = R"({"type":"error","error_code":404,"error":"Instance not found"})"};

} // namespace

TEST_CASE("the list of instances is read, and those without a configuration are marked", "[incus]") {
    const auto all = decode_instances(instances_sample);
    REQUIRE(all.size() == 4);
    CHECK(all[0] == core::seen_instance{"w1", "default", "u1", "", "t m b 7", "t", {}, true});
    CHECK(all[1] == core::seen_instance{"w2", "lab 1", "u2", "node1", "", "", {}, true});
    CHECK_FALSE(all[2].readable);
    CHECK_FALSE(all[3].readable);
    CHECK(all[3].location == "node2");
}

TEST_CASE("whatever is no list of instances or snapshots is read as none", "[incus]") {
    for (const std::string body : {"", "null", "[]", "{", R"({"metadata":7})", R"({"metadata":{"a":[]}})",
                                   R"({"metadata":[7,null,"x",{},{"name":7,"config":[]}]})", "\xff\xfe"}) {
        CHECK(decode_instances(body).empty());
    }
    CHECK(decode_snapshot_names(R"({"metadata":7})").empty());
    CHECK(decode_snapshot_names(R"({"metadata":["/1.0/instances/w1/snapshots/s-1?project=p/q",7]})") ==
          std::vector<std::string>{"s-1", ""});
}

TEST_CASE("an instance gets its snapshots, is left out when it went meanwhile, and is told of when they stay unknown",
          "[incus]") {
    fakes::http_server server([](const http_request& r) -> http_reply {
        if (r.path == "/1.0/instances?recursion=1&all-projects=true") {
            return {.body = instances_sample};
        }
        return r.path == "/1.0/instances/w2/snapshots?project=lab%201"
                   ? snapshots(R"(["/1.0/instances/w2/snapshots/s"])")
                   : missing;
    });
    operations daemon(server.socket(), "default");
    const auto seen = read_inventory(daemon, true, deadline(5s));
    REQUIRE(seen);
    REQUIRE(seen->instances.size() == 3); // w1 is gone
    CHECK(seen->instances[2].name == "w2");
    CHECK(seen->instances[2].snapshots == std::vector<std::string>{"s"});
    CHECK(seen->unread.empty());
}

TEST_CASE("many instances are asked for in portions, and each has its own snapshots", "[incus]") {
    constexpr int count = 40;
    fakes::http_server server([](const http_request& r) -> http_reply {
        if (r.path.starts_with("/1.0/instances?")) {
            std::string list;
            for (int i = 0; i < count; ++i) {
                list += (i == 0 ? "" : ",") + (R"({"name":"w)" + std::to_string(i)) + R"(","project":"p","config":{}})";
            }
            return snapshots("[" + list + "]");
        }
        if (r.path.starts_with("/1.0/instances/w7/")) {
            return {.status = 500, .body = R"({"type":"error","error_code":500,"error":"oh"})"};
        }
        return snapshots("[\"/1.0/x/of-" + r.path.substr(15, r.path.find("/", 15) - 15) + "\"]");
    });
    operations daemon(server.socket(), "p");
    const auto seen = read_inventory(daemon, false, deadline(10s));
    REQUIRE(seen);
    REQUIRE(seen->instances.size() == count);
    for (const auto& one : seen->instances) {
        CHECK(one.snapshots == (one.name == "w7" ? std::vector<std::string>{} : std::vector{"of-" + one.name}));
    }
    REQUIRE(seen->unread.size() == 1);
    CHECK(seen->unread[0].message.find("w7") != std::string::npos);
    CHECK(server.seen().front().path == "/1.0/instances?recursion=1&project=p");
}

TEST_CASE("a daemon that does not answer is an error, not an empty host", "[incus]") {
    operations daemon("/tmp/there-is-no-such/unix.socket", "default");
    CHECK_FALSE(read_inventory(daemon, true, deadline(1s)));
}

TEST_CASE("what a restore has moved aside is found in every pool and project", "[incus]") {
    const fakes::temporary_directory folder;
    const auto pools = folder.path() / "storage-pools";
    fs::create_directories(pools / "one/containers/w1");
    fs::create_directories(pools / "one/containers/w1.incustmp");
    fs::create_directories(pools / "two/virtual-machines/lab_x_w2.incustmp");
    fs::create_directories(pools / "two/custom/default_v.incustmp"); // belongs to nobody
    CHECK(find_moved(folder.path()) ==
          std::vector<moved_instance>{{"one", "default", "w1", pools / "one/containers/w1", true},
                                      {"two", "lab_x", "w2", pools / "two/virtual-machines/lab_x_w2", false}});
    CHECK(find_moved("/tmp/there-is-no-such").empty());
}
