// SPDX-License-Identifier: Apache-2.0
// The incus program is played by a shell script that tells what it was given.
#include "incus/instance.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;

namespace {

class client_script {
public:
    explicit client_script(const std::string& text) {
        char folder[] = "/tmp/belay-client-XXXXXX";
        REQUIRE(::mkdtemp(folder) != nullptr);
        folder_ = folder;
        std::ofstream(path()) << "#!/bin/sh\n" << text;
        std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
    }

    ~client_script() { std::filesystem::remove_all(folder_); }

    client_script(const client_script&) = delete;
    client_script& operator=(const client_script&) = delete;

    std::string path() const { return folder_ + "/incus"; }

private:
    std::string folder_;
};

struct heard {
    ports::guest_exit end;
    std::string out;
};

heard exec(const std::string& script, const ports::guest_command& what, core::milliseconds limit = 5s) {
    const client_script client(script);
    incus::instance web1("/the/socket", "proj", "web1", client.path());
    heard h;
    const auto end = web1.exec(what, limit, [&](core::output::stream, std::string_view bytes) { h.out += bytes; }, {});
    REQUIRE(end);
    h.end = *end;
    return h;
}

constexpr const char* tell = "printf '%s|' \"$@\"; echo; cat";

} // namespace

TEST_CASE("the client is told everything that decides where it goes", "[incus]") {
    CHECK(exec(tell, {.argv = {"apt-get", "", "--", "-y"}}).out ==
          "--force-local|exec|--project|proj|local:web1|-T|-n|--|apt-get||--|-y|\n");
    ::setenv("INCUS_REMOTE", "elsewhere", 1);
    ::setenv("INCUS_PROJECT", "elsewhere", 1);
    CHECK(
        exec("echo $INCUS_SOCKET,$INCUS_REMOTE,$INCUS_PROJECT; [ -e $INCUS_CONF ] || echo none", {.argv = {"x"}}).out ==
        "/the/socket,,\nnone\n");
    ::unsetenv("INCUS_REMOTE");
    ::unsetenv("INCUS_PROJECT");
}

TEST_CASE("environment, user and group become options", "[incus]") {
    ports::guest_command what{.argv = {"x"}, .env = {{"A", "b=c d"}, {"E", ""}}};
    what.user = 0;
    what.group = 33;
    CHECK(exec(tell, what).out == "--force-local|exec|--project|proj|local:web1|-T|-n|--env|A=b=c d|--env|E=|--user|0|"
                                  "--group|33|--|x|\n");
}

TEST_CASE("input is passed on and then stdin is not disabled", "[incus]") {
    CHECK(exec(tell, {.argv = {"x"}, .input = "typed"}).out ==
          "--force-local|exec|--project|proj|local:web1|-T|--|x|\ntyped");
}

TEST_CASE("a working directory is checked before the command is run", "[incus]") {
    const ports::guest_command what{.argv = {"x"}, .cwd = "/opt/app"};
    CHECK(exec("case \"$*\" in *--cwd*) echo ran: \"$*\";; *) exit 0;; esac", what).out ==
          "ran: --force-local exec --project proj local:web1 -T -n --cwd /opt/app -- x\n");

    const client_script missing("case \"$*\" in *--cwd*) echo ran;; *) exit 121;; esac");
    incus::instance web1("/the/socket", "proj", "web1", missing.path());
    std::string out;
    const auto r = web1.exec(what, 5s, [&](core::output::stream, std::string_view b) { out += b; }, {});
    REQUIRE_FALSE(r);
    CHECK(r.error().message == "directory /opt/app does not exist in instance web1");
    CHECK(out.empty());

    // Without a shell in the instance nothing can be said.
    CHECK(exec("case \"$*\" in *--cwd*) echo ran;; *) exit 127;; esac", what).out == "ran\n");
}

TEST_CASE("the ends of the client are the ends of the command", "[incus]") {
    CHECK(exec("exit 75", {.argv = {"x"}}).end.exit_code == 75);
    CHECK(exec("kill -KILL $$", {.argv = {"x"}}).end.exit_code == 137);
    CHECK(exec("sleep 9", {.argv = {"x"}}, 100ms).end.how == ports::ended::timed_out);
    std::stop_source source;
    source.request_stop();
    incus::instance web1("/the/socket", "proj", "web1", "sh");
    CHECK(web1.exec({.argv = {"x"}}, 5s, {}, source.get_token())->how == ports::ended::cancelled);
}

TEST_CASE("a client that is not installed is an error that names it", "[incus]") {
    incus::instance web1("/the/socket", "proj", "web1", "no-such-incus");
    const auto r = web1.exec({.argv = {"x"}}, 5s, {}, {});
    REQUIRE_FALSE(r);
    CHECK(r.error().code == core::reason::io_error);
    CHECK(r.error().message.find("no-such-incus") != std::string::npos);
}
