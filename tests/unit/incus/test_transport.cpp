// SPDX-License-Identifier: Apache-2.0
#include "fakes/http_server.hpp"
#include "incus/socket.hpp"
#include "incus/transport.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <future>
#include <set>

using namespace belay;
using namespace std::chrono_literals;
using core::reason;
using fakes::http_reply;
using fakes::http_request;
using fakes::http_server;
using incus::request;
using incus::response;
using incus::transport;

namespace {

std::chrono::milliseconds since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

/// Whether that becomes true within five seconds.
bool becomes(const std::function<bool()>& true_at_last) {
    const auto begin = std::chrono::steady_clock::now();
    while (!true_at_last() && since(begin) < 5s) {
        std::this_thread::yield();
    }
    return true_at_last();
}

} // namespace

TEST_CASE("a request arrives as it was meant and its answer comes back", "[incus]") {
    http_server server([](const http_request& r) {
        return http_reply{.status = 412, .body = r.method + " " + r.path + " " + r.body, .etag = "\"abc\""};
    });
    transport t(server.socket());
    const auto r = t.send({"PATCH", "/1.0/x?project=a%20b", R"({"k":"v"})", "\"old\""}, 5s);
    REQUIRE(r);
    CHECK(r->status == 412);
    CHECK(r->etag == "\"abc\"");
    CHECK(r->body == R"(PATCH /1.0/x?project=a%20b {"k":"v"})");
    CHECK(server.seen().at(0).headers.at("if-match") == "\"old\"");
    CHECK_FALSE(server.seen().at(0).headers.contains("expect"));
}

TEST_CASE("one connection serves many requests", "[incus]") {
    http_server server([](const http_request&) { return http_reply{.body = "{}"}; });
    transport t(server.socket());
    for (int i = 0; i < 20; ++i) {
        REQUIRE(t.send({"GET", "/"}, 5s));
    }
    CHECK(server.connections() == 1);
}

TEST_CASE("a proxy in the environment is not for the socket", "[incus]") {
    ::setenv("http_proxy", "http://127.0.0.1:1", 1);
    http_server server([](const http_request&) { return http_reply{.body = "{}"}; });
    transport t(server.socket());
    CHECK(t.send({"GET", "/"}, 5s));
    ::unsetenv("http_proxy");
}

TEST_CASE("no socket, and a socket where nobody listens, are a daemon that is away", "[incus]") {
    transport nowhere("/tmp/there-is-no-such/unix.socket");
    const auto none = nowhere.send({"GET", "/"}, 5s);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == reason::no_daemon);
    CHECK(none.error().transient);
    CHECK(none.error().message.find("/tmp/there-is-no-such/unix.socket") != std::string::npos);
    CHECK(none.error().cause == "No such file or directory");

    http_server server([](const http_request&) { return http_reply{}; });
    server.stop();
    transport refused(server.socket());
    const auto dead = refused.send({"GET", "/"}, 5s);
    REQUIRE_FALSE(dead);
    CHECK(dead.error().code == reason::no_daemon);
    CHECK(dead.error().cause == "Connection refused");
}

TEST_CASE("a socket that is not ours to use is a matter of permission", "[incus]") {
    http_server server([](const http_request&) { return http_reply{}; });
    std::filesystem::permissions(server.socket(), std::filesystem::perms::none);
    const auto was = ::geteuid();
    const auto folder = std::filesystem::path(server.socket()).parent_path();
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all | std::filesystem::perms::others_all);
    if (was == 0) {
        REQUIRE(::seteuid(65534) == 0);
    }
    transport t(server.socket());
    const auto r = t.send({"GET", "/"}, 5s);
    if (was == 0) {
        REQUIRE(::seteuid(0) == 0);
    }
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_permission);
    CHECK_FALSE(r.error().transient);
    CHECK(r.error().message.find("incus-admin") != std::string::npos);
}

TEST_CASE("a connection that is cut in the middle of an answer is a lost daemon", "[incus]") {
    http_server server([](const http_request&) { return http_reply{.body = std::string(1000, 'x'), .cut = true}; });
    transport t(server.socket());
    const auto r = t.send({"GET", "/"}, 5s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_daemon);
    CHECK(r.error().transient);
}

TEST_CASE("the connection is made anew after the daemon came back", "[incus]") {
    http_server server([](const http_request&) { return http_reply{.body = "{}"}; });
    transport t(server.socket());
    REQUIRE(t.send({"GET", "/"}, 5s));
    server.stop();
    CHECK_FALSE(t.send({"GET", "/"}, 5s));
    server.restart();
    CHECK(t.send({"GET", "/"}, 5s));
}

TEST_CASE("a slow answer ends at the limit, and does not come back as the next one", "[incus]") {
    std::atomic<int> count{0};
    http_server server([&](const http_request&) {
        return ++count == 1 ? http_reply{.body = "late", .delay = 2s} : http_reply{.body = "right"};
    });
    transport t(server.socket());
    const auto begin = std::chrono::steady_clock::now();
    const auto r = t.send({"GET", "/"}, 100ms);
    REQUIRE_FALSE(r);
    CHECK(since(begin) >= 100ms);
    CHECK(since(begin) < 400ms);
    CHECK(r.error().code == reason::no_daemon);
    CHECK(r.error().transient);
    CHECK(t.send({"GET", "/"}, 5s)->body == "right");
}

TEST_CASE("a stop request wakes a waiting request at once", "[incus]") {
    http_server server([](const http_request&) { return http_reply{.body = "{}", .delay = 5s}; });
    transport t(server.socket());
    std::stop_source source;
    std::chrono::steady_clock::time_point asked;
    std::jthread other([&] {
        std::this_thread::sleep_for(100ms);
        asked = std::chrono::steady_clock::now();
        source.request_stop();
    });
    const auto r = t.send({"GET", "/"}, 10s, source.get_token());
    CHECK(since(asked) < 50ms);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::interrupted);
}

TEST_CASE("several requests are under way at once and their answers come in order", "[incus]") {
    http_server server([](const http_request& r) {
        return http_reply{.status = 200, .body = r.path, .delay = r.path == "/0" ? 300ms : 200ms};
    });
    transport t(server.socket());
    const auto begin = std::chrono::steady_clock::now();
    const auto all = t.send_all({{"GET", "/0"}, {"GET", "/1"}, {"GET", "/2"}, {"GET", "/3"}}, 5s);
    CHECK(since(begin) < 600ms);
    REQUIRE(all.size() == 4);
    for (std::size_t i = 0; i < all.size(); ++i) {
        REQUIRE(all[i]);
        CHECK(all[i]->body == "/" + std::to_string(i));
    }
    REQUIRE(t.send_all({{"GET", "/5"}, {"GET", "/6"}}, 5s).at(1));
    REQUIRE(t.send({"GET", "/4"}, 5s));
    CHECK(server.connections() == 4); // and they are kept
    CHECK(t.send_all({}, 5s).empty());
}

TEST_CASE("what follows from an answer is asked while others are waited for", "[incus]") {
    std::promise<void> followed;
    auto is_followed = followed.get_future();
    http_server server([&](const http_request& r) {
        if (r.path == "/last") {
            followed.set_value();
        }
        return http_reply{.status =
                              r.path == "/slow" && is_followed.wait_for(5s) != std::future_status::ready ? 500 : 200,
                          .body = r.path};
    });
    transport t(server.socket());
    std::vector<std::string> told;
    const auto all = t.send_all({{"GET", "/slow"}, {"GET", "/first"}}, 10s, {},
                                [&](std::size_t which, const core::expected<response>& answer) {
                                    told.push_back(std::to_string(which) + answer->body);
                                    const bool leads_on = which == 1 || which == 2;
                                    const std::string path = which == 1 ? "/next" : "/last";
                                    return leads_on ? std::vector<request>{{"GET", path}} : std::vector<request>{};
                                });
    std::ranges::sort(told);
    CHECK(told == std::vector<std::string>{"0/slow", "1/first", "2/next", "3/last"});
    REQUIRE(all.size() == 4);
    CHECK(all[0]->status == 200);
    CHECK(all[2]->body == "/next");
    CHECK(all[3]->body == "/last");
    CHECK(server.connections() == 2); // one for what came in turn
}

TEST_CASE("a request that was prepared goes out at once, and serves who asks for the same, once", "[incus]") {
    std::promise<void> arrived;
    http_server server([&](const http_request& r) {
        if (r.path == "/soon") {
            arrived.set_value();
        }
        return http_reply{.body = r.path};
    });
    transport t(server.socket(), 60s);
    t.prepare({{"GET", "/soon"}, {"GET", "/never"}});
    REQUIRE(arrived.get_future().wait_for(5s) == std::future_status::ready);
    arrived = {};
    const auto all = t.send_all({{"GET", "/other"}, {"GET", "/soon"}}, 5s);
    CHECK(all.at(0)->body == "/other");
    CHECK(all.at(1)->body == "/soon");
    CHECK(arrived.get_future().wait_for(0s) == std::future_status::timeout); // nobody asked twice
    arrived = {};
    CHECK(t.send({"GET", "/soon"}, 5s)->body == "/soon");
    CHECK(arrived.get_future().wait_for(0s) == std::future_status::ready);
}

TEST_CASE("a request that was prepared serves the next call alone", "[incus]") {
    std::atomic<int> count{0};
    http_server server(
        [&](const http_request& r) { return http_reply{.body = r.path == "/" ? std::to_string(++count) : "other"}; });
    transport t(server.socket(), 60s);
    t.prepare({{"GET", "/"}});
    REQUIRE(becomes([&] { return count > 0; }));
    REQUIRE(t.send({"GET", "/other"}, 5s));
    CHECK(t.send({"GET", "/"}, 5s)->body == "2");
}

TEST_CASE("a prepared request that is too old, or was lost, is sent anew", "[incus]") {
    std::atomic<int> count{0};
    http_server server([&](const http_request&) { return http_reply{.body = std::to_string(++count)}; });
    transport t(server.socket(), 1ms);
    t.prepare({{"GET", "/"}});
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(becomes([&] { return count > 0 && since(begin) > 1ms; }));
    CHECK(t.send({"GET", "/"}, 5s)->body == "2");

    server.stop();
    transport early(server.socket(), 60s);
    early.prepare({{"GET", "/"}}); // nobody listens
    server.restart();
    CHECK(early.send({"GET", "/"}, 5s)->body == "3");

    transport later(server.socket(), 60s);
    later.prepare({{"GET", "/"}});
    server.stop(); // it may have read the request, and gives no answer
    server.restart();
    const auto again = later.send({"GET", "/"}, 5s);
    REQUIRE(again);
    CHECK(std::stoi(again->body) >= 4);
}

TEST_CASE("what hangs until the limit is told as the error that it is, and nothing more is sent", "[incus]") {
    http_server server([](const http_request& r) { return http_reply{.delay = r.path == "/slow" ? 5s : 0s}; });
    transport t(server.socket());
    std::vector<bool> told;
    const auto all =
        t.send_all({{"GET", "/slow"}}, 100ms, {}, [&](std::size_t, const core::expected<response>& answer) {
            told.push_back(answer.has_value());
            return told.size() == 1 ? std::vector<request>{{"GET", "/late"}} : std::vector<request>{};
        });
    CHECK(told == std::vector<bool>{false, false});
    REQUIRE(all.size() == 2);
    CHECK(all[0].error().code == reason::no_daemon);
    CHECK(all[1].error().code == reason::no_daemon);
    CHECK(server.seen().size() == 1);
}

TEST_CASE("of several requests one that is refused or cut off takes nothing from the others", "[incus]") {
    http_server server([](const http_request& r) {
        return http_reply{.status = r.path == "/refused" ? 403 : 200, .body = r.path, .cut = r.path == "/cut"};
    });
    transport t(server.socket());
    for (int i = 0; i < 3; ++i) {
        const auto all = t.send_all({{"GET", "/a"}, {"GET", "/cut"}, {"GET", "/refused"}, {"GET", "/b"}}, 5s);
        CHECK(all.at(0)->body == "/a");
        REQUIRE_FALSE(all.at(1));
        CHECK(all.at(1).error().code == reason::no_daemon);
        CHECK(all.at(1).error().transient);
        CHECK(all.at(2)->status == 403);
        CHECK(all.at(3)->body == "/b");
    }
}

TEST_CASE("of several requests one that hangs ends at the limit, and the answers of the others stand", "[incus]") {
    std::atomic<bool> hangs{true};
    http_server server([&](const http_request& r) {
        return http_reply{.body = r.path, .delay = r.path == "/slow" && hangs ? 5s : 0s};
    });
    transport t(server.socket());
    const auto begin = std::chrono::steady_clock::now();
    const auto all = t.send_all({{"GET", "/slow"}, {"GET", "/a"}}, 150ms);
    CHECK(since(begin) >= 150ms);
    CHECK(since(begin) < 450ms);
    REQUIRE_FALSE(all.at(0));
    CHECK(all.at(0).error().code == reason::no_daemon);
    CHECK(all.at(0).error().transient);
    CHECK(all.at(1)->body == "/a");
    hangs = false;
    const auto again = t.send_all({{"GET", "/b"}, {"GET", "/c"}}, 5s);
    CHECK(again.at(0)->body == "/b"); // not the late one
    CHECK(again.at(1)->body == "/c");
}

TEST_CASE("a stop request ends those of several requests that wait", "[incus]") {
    http_server server(
        [](const http_request& r) { return http_reply{.body = "{}", .delay = r.path == "/slow" ? 5s : 0s}; });
    transport t(server.socket());
    std::stop_source source;
    std::jthread other([&] {
        std::this_thread::sleep_for(100ms);
        source.request_stop();
    });
    const auto begin = std::chrono::steady_clock::now();
    const auto all = t.send_all({{"GET", "/a"}, {"GET", "/slow"}, {"GET", "/slow"}}, 10s, source.get_token());
    CHECK(since(begin) < 400ms);
    CHECK(all.at(0));
    CHECK(all.at(1).error().code == reason::interrupted);
    CHECK(all.at(2).error().code == reason::interrupted);
}

TEST_CASE("several requests to a daemon that is away fail each", "[incus]") {
    transport nowhere("/tmp/there-is-no-such/unix.socket");
    for (const auto& r : nowhere.send_all({{"GET", "/"}, {"GET", "/"}}, 5s)) {
        REQUIRE_FALSE(r);
        CHECK(r.error().code == reason::no_daemon);
        CHECK(r.error().cause == "No such file or directory");
    }
}

TEST_CASE("an answer without end is not read without end", "[incus]") {
    http_server server(
        [](const http_request&) { return http_reply{.body = std::string(incus::longest_body + 1, 'x')}; });
    transport t(server.socket());
    const auto r = t.send({"GET", "/"}, 30s);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == reason::no_daemon);
    CHECK_FALSE(r.error().transient);
}

TEST_CASE("names are escaped for paths", "[incus]") {
    CHECK(incus::escape("web-1_a.b~") == "web-1_a.b~");
    CHECK(incus::escape("a/b?c&d e\xc3\xa9") == "a%2Fb%3Fc%26d%20e%C3%A9");
}

TEST_CASE("the socket is found as the incus client finds it", "[incus]") {
    std::map<std::string, std::string> variables;
    std::set<std::string> there;
    std::set<std::string> writable;
    const incus::socket_surroundings world{.variable = [&](const char* name) { return variables[name]; },
                                           .exists = [&](const std::string& p) { return there.contains(p); },
                                           .writable = [&](const std::string& p) { return writable.contains(p); }};
    const auto none = incus::find_socket(world);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == reason::no_daemon);
    CHECK(none.error().message.find("/var/lib/incus/unix.socket") != std::string::npos);
    CHECK(none.error().message.find("/run/incus/unix.socket") != std::string::npos);

    there = {"/run/incus/unix.socket"};
    CHECK(*incus::find_socket(world) == "/run/incus/unix.socket");
    there.insert("/var/lib/incus/unix.socket");
    CHECK(*incus::find_socket(world) == "/var/lib/incus/unix.socket");
    there.insert("/var/lib/incus/unix.socket.user");
    writable = {"/var/lib/incus/unix.socket.user"};
    CHECK(*incus::find_socket(world) == "/var/lib/incus/unix.socket.user");
    variables["INCUS_DIR"] = "/d";
    CHECK(*incus::find_socket(world) == "/d/unix.socket");
    variables["INCUS_SOCKET"] = "/s";
    CHECK(*incus::find_socket(world) == "/s");
}
