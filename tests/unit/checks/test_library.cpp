// SPDX-License-Identifier: Apache-2.0
#include "checks/library.hpp"
#include "checks/output.hpp"
#include "checks/runner.hpp"
#include "process/child.hpp"
#include "unit/checks/guests.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;
using namespace std::string_literals;
namespace fs = std::filesystem;
using test::scratch;

namespace {

constexpr unsigned some_user = 1000;
const std::string script = "#!/bin/sh\n# belay: where=host timeout=5s summary=It answers\nexit 0\n";

/// An instance in which every program runs on this machine instead, without a daemon.
class local_guest : public test::idle_guest {
public:
    std::vector<std::vector<std::string>> seen;
    ports::guest_exit end;
    std::string out;
    std::string err;
    int out_after_losses{0};

    core::expected<ports::guest_exit> exec(const ports::guest_command& command, core::milliseconds,
                                           const ports::output_sink& sink, std::stop_token stop) override {
        seen.push_back(command.argv);
        if (out_after_losses-- <= 0) {
            sink(core::output::stream::out, out);
            sink(core::output::stream::err, err);
        }
        return stop.stop_requested() ? ports::guest_exit{ports::ended::cancelled, 0} : end;
    }
};

core::check_spec host_check(const fs::path& file, core::milliseconds timeout = 30s) {
    core::check_spec spec;
    spec.name = file.filename().string();
    spec.file = file.string();
    spec.where = core::place::host;
    spec.timeout = timeout;
    return spec;
}

core::reading run_one(const core::check_spec& spec, local_guest& guest) {
    checks::runner runner(guest);
    return runner.run({spec}, {}, {"20261123t220000z-0001", "web1", "default", "verify", 1, "belay-x"}, {})
        .readings.front();
}

} // namespace

TEST_CASE("a check describes itself in its first lines") {
    const scratch dir;
    const auto check = checks::describe(dir.put("web", script));
    REQUIRE(check);
    CHECK(check->name == "web");
    CHECK(check->where == core::place::host);
    CHECK(check->timeout == 5s);
    CHECK(check->summary == "It answers");
    CHECK(checks::describe(dir.put("late", "#!/bin/sh\n" + std::string(20, '\n') + "# belay: where=host\n"))->where ==
          core::place::guest);
}

TEST_CASE("a description that is wrong names the file and the mistake") {
    const scratch dir;
    for (const auto* line : {"where=moon", "timeout=5", "timeout=0", "together=maybe", "colour=red", "fast"}) {
        const auto check = checks::describe(dir.put("web", "#!/bin/sh\n# belay: "s + line + "\n"));
        REQUIRE_FALSE(check);
        CHECK(check.error().code == core::reason::usage);
        CHECK(check.error().message.find((dir.path() / "web").string()) != std::string::npos);
    }
}

TEST_CASE("a file that is not executable, or no file, is no check") {
    const scratch dir;
    const auto plain = checks::describe(dir.put("web", script, 0644));
    REQUIRE_FALSE(plain);
    CHECK(plain.error().message.find("chmod +x") != std::string::npos);
    CHECK_FALSE(checks::describe(dir.path()));
    CHECK_FALSE(checks::describe(dir.path() / "missing"));
}

TEST_CASE("the first folder wins, and can mask") {
    const scratch dir;
    dir.put("own/web", script);
    dir.put("system/web", "#!/bin/sh\n# belay: summary=The system's\n");
    dir.put("system/dns", script);
    dir.put("system/db", script);
    dir.put("own/db", "");
    fs::create_symlink("/dev/null", dir.path() / "own" / "dns");
    const checks::library library({dir.path() / "own", dir.path() / "missing", dir.path() / "system"}, some_user);
    CHECK(library.find("web")->summary == "It answers");
    CHECK_FALSE(library.find("db"));
    CHECK(library.find("dns").error().message.find("switched off") != std::string::npos);
    const auto all = library.list();
    REQUIRE(all.size() == 1);
    CHECK(all[0].name == "web");
}

TEST_CASE("an unknown name suggests the nearest one, a path is taken as it is") {
    const scratch dir;
    const auto file = dir.put("listening", script);
    const checks::library library({dir.path()}, some_user);
    CHECK(library.find("listenin").error().message.find("did you mean 'listening'?") != std::string::npos);
    CHECK(library.find(file.string()));
    CHECK(library.find("./no/such/file").error().message.find("there is no file") != std::string::npos);
    CHECK_FALSE(library.find(".."));
    CHECK_FALSE(library.find(""));
}

TEST_CASE("arguments of a check are split as in a shell") {
    const scratch dir;
    dir.put("tcp", script);
    const checks::library library({dir.path()}, some_user);
    const auto spec = library.resolve("tcp 53 'a b' \"c\\\"d\" e\\ f ''", true);
    REQUIRE(spec);
    CHECK(spec->args == std::vector<std::string>{"53", "a b", "c\"d", "e f", ""});
    CHECK(spec->name.starts_with("tcp 53"));
    CHECK_FALSE(library.resolve("tcp 'open", true));
    CHECK_FALSE(library.resolve("  ", true));
}

TEST_CASE("as root, what others may write is not run") {
    const scratch dir;
    if (geteuid() != 0) {
        SKIP("needs root, to own the folders above");
    }
    const auto trusted = dir.put("safe/web", script);
    CHECK(checks::check_trust(trusted, 0)); // the sticky /tmp above is no objection
    const auto open_file = dir.put("safe/open", script, 0757);
    CHECK_FALSE(checks::check_trust(open_file, 0));
    CHECK(checks::check_trust(open_file, some_user));
    const auto in_open_folder = dir.put("open/web", script);
    chmod((dir.path() / "open").c_str(), 0777);
    CHECK_FALSE(checks::check_trust(in_open_folder, 0));
    CHECK(checks::library({dir.path() / "open"}, 0).find("web").error().message.find("others than root may write") !=
          std::string::npos);
    const auto foreign = dir.put("safe/foreign", script);
    REQUIRE(chown(foreign.c_str(), some_user, some_user) == 0);
    CHECK_FALSE(checks::check_trust(foreign, 0));
    fs::create_symlink(open_file, dir.path() / "safe" / "link");
    CHECK_FALSE(checks::check_trust(dir.path() / "safe" / "link", 0));
}

TEST_CASE("findings and the summary are read from what a check prints") {
    core::reading r;
    checks::read_output("first\n good: tcp/53 any\r\nbad:unit x failed\nlast \x1b[31mline\xff\n\n", "noise\n", r);
    CHECK(r.good == std::set<std::string>{"tcp/53 any"});
    CHECK(r.bad == std::set<std::string>{"unit x failed"});
    CHECK(r.summary == "last line\xEF\xBF\xBD");
    core::reading silent;
    checks::read_output("good: a\n", "sh: nc: not found\n", silent);
    CHECK(silent.summary == "sh: nc: not found");
}

TEST_CASE("exit statuses") {
    CHECK(checks::health_of(0) == core::health::pass);
    CHECK(checks::health_of(75) == core::health::not_yet);
    CHECK(checks::health_of(77) == core::health::skip);
    CHECK(checks::health_of(1) == core::health::fail);
    CHECK(checks::health_of(127) == core::health::fail);
}

TEST_CASE("scripts travel to the guest in the way of their interpreter") {
    const auto sh = checks::script_for_guest("web", "#!/bin/sh\nexit 0\n", {"a", ""});
    const auto marked = [](const std::string& text) { return checks::with_end_mark(text).argv.front(); };
    CHECK(sh->argv == std::vector<std::string>{"sh", "-c", marked("#!/bin/sh\nexit 0\n"), "web", "a", ""});
    CHECK(sh->input.empty());
    CHECK(checks::script_for_guest("web", "#!/bin/sh -eu\n", {})->argv ==
          std::vector<std::string>{"sh", "-eu", "-c", marked("#!/bin/sh -eu\n"), "web"});
    CHECK(checks::script_for_guest("web", "#!/usr/bin/env sh\n", {"a"})->argv ==
          std::vector<std::string>{"/usr/bin/env", "sh", "-c",
                                   checks::with_end_mark("#!/usr/bin/env sh\n").argv.front(), "web", "a"});
    const auto none = checks::script_for_guest("web", "exit 0\n", {});
    CHECK(none->argv.front() == "sh");
    const auto python = checks::script_for_guest("web", "#!/usr/bin/env python3\nprint()\n", {"-x"});
    CHECK(python->argv == std::vector<std::string>{"/usr/bin/env", "python3", "-", "-x"});
    CHECK(python->input == "#!/usr/bin/env python3\nprint()\n");
    const auto bash = checks::script_for_guest("web", "#!/bin/bash -e\n:\n", {"-x"});
    CHECK(bash->argv == std::vector<std::string>{"/bin/bash", "-e", "-s", "--", "-x"});
    CHECK_FALSE(checks::script_for_guest("web",
                                         "\x7f"
                                         "ELF\0"s,
                                         {}));
    CHECK_FALSE(checks::script_for_guest("web", "#!/bin/sh\n" + std::string(200'000, '#'), {}));
}

TEST_CASE("a check on the host runs with its environment and its arguments") {
    const scratch dir;
    local_guest guest;
    auto spec = host_check(
        dir.put("env", "#!/bin/sh\necho \"good: $BELAY_INSTANCE $BELAY_PHASE $BELAY_SNAPSHOT $1\"\necho ok\n"));
    spec.args = {"a b"};
    const auto r = run_one(spec, guest);
    CHECK(r.how == core::health::pass);
    CHECK(r.good == std::set<std::string>{"web1 verify belay-x a b"});
    CHECK(r.summary == "ok");
}

TEST_CASE("checks that misbehave fail, and say how") {
    const scratch dir;
    local_guest guest;
    CHECK(run_one(host_check(dir.put("hang", "#!/bin/sh\nsleep 60\n"), 200ms), guest).summary ==
          "did not end within 200ms");
    const auto flood = run_one(
        host_check(dir.put("flood", "#!/bin/sh\nwhile :; do echo good: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done\n")),
        guest);
    CHECK(flood.how == core::health::fail);
    CHECK(flood.summary == "printed more than 1024 KiB and was ended");
    const auto garbage =
        run_one(host_check(dir.put("garbage", "#!/bin/sh\nprintf 'bad: \\377\\000x\\033[2J\\n'\nexit 3\n")), guest);
    CHECK(garbage.how == core::health::fail);
    CHECK(garbage.summary == "exit status 3");
    CHECK(garbage.bad.begin()->find('\x1b') == std::string::npos);
    CHECK(run_one(host_check(dir.path() / "gone"), guest).how == core::health::fail);
    CHECK(run_one(host_check(dir.put("killed", "#!/bin/sh\nkill -9 $$\n")), guest).summary == "exit status 137");
}

TEST_CASE("a guest check that was cut short is swept out of the instance") {
    local_guest guest;
    guest.end = {ports::ended::timed_out, 0};
    const auto r = run_one(checks::command_check("sleep 100"), guest);
    CHECK(r.how == core::health::fail);
    REQUIRE(guest.seen.size() == 2);
    CHECK(guest.seen[0] == std::vector<std::string>{"sh", "-c", checks::with_end_mark("sleep 100").argv.front()});
    CHECK(guest.seen[1].back() == "BELAY_CHECK_RUN=20261123t220000z-0001-1x");
}

TEST_CASE("a guest check whose output is lost on the way is run again") {
    local_guest guest;
    const std::string mark = "\n" + std::string(checks::end_mark) + "\n";
    SECTION("until it arrives") {
        guest.out_after_losses = 3;
        guest.out = "good: tcp/80 any\nfine" + mark;
        const auto r = run_one(checks::command_check("listen"), guest);
        CHECK(r.how == core::health::pass);
        CHECK(r.good == std::set<std::string>{"tcp/80 any"});
        CHECK(r.summary == "fine");
        CHECK(guest.seen.size() == 4);
    }
    SECTION("a few times, then it fails: nothing is not the same as no findings") {
        guest.out_after_losses = 1'000;
        const auto r = run_one(checks::command_check("listen"), guest);
        CHECK(r.how == core::health::fail);
        CHECK(r.summary == "its output was lost on the way out of the instance");
    }
    SECTION("a check that sets its own trap may have nothing to say") {
        guest.out = "";
        CHECK(run_one(checks::command_check("trap : 0"), guest).how == core::health::pass);
    }
    SECTION("a check that prints nothing is not run again when the mark arrives") {
        guest.out = mark;
        CHECK(run_one(checks::command_check("nc -z localhost 80"), guest).how == core::health::pass);
        CHECK(guest.seen.size() == 1);
    }
}

TEST_CASE("the mark is printed however a script ends, and does not change its exit status") {
    for (const auto& [text, status] : {std::pair{"exit 3", 3},
                                       {"false", 1},
                                       {"set -e; false; echo no", 1},
                                       {"echo x", 0},
                                       {"#!/bin/sh\n# c\nexit 75", 75}}) {
        const auto script = checks::with_end_mark(text);
        std::string out;
        const auto end = process::run({.argv = {"sh", "-c", script.argv.front()}}, 10s,
                                      [&](auto, std::string_view piece) { out += piece; }, {});
        REQUIRE(end);
        CHECK(end->code == status);
        CHECK(out.ends_with(std::string(checks::end_mark) + "\n"));
    }
}

TEST_CASE("many checks run side by side, in their order") {
    const scratch dir;
    local_guest guest;
    checks::runner runner(guest);
    std::vector<core::check_spec> specs;
    for (int i = 0; i < 12; ++i) {
        auto spec = host_check(dir.put("c" + std::to_string(i), "#!/bin/sh\nsleep 0.3\necho $0\n"));
        specs.push_back(spec);
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto readings = runner.run(specs, {}, {}, {}).readings;
    CHECK(std::chrono::steady_clock::now() - begin < 3s); // one after another they need 3.6 s
    for (std::size_t i = 0; i < specs.size(); ++i) {
        CHECK(readings[i].name == specs[i].name);
        CHECK(readings[i].summary == specs[i].file);
    }
}

TEST_CASE("a stop ends a round at once") {
    const scratch dir;
    local_guest guest;
    checks::runner runner(guest);
    std::stop_source source;
    std::jthread later([&] {
        std::this_thread::sleep_for(100ms); // the moment does not matter, only that the round has 60 s to go
        source.request_stop();
    });
    const auto begin = std::chrono::steady_clock::now();
    const auto readings =
        runner.run({host_check(dir.put("long", "#!/bin/sh\nsleep 60\n"))}, {}, {}, source.get_token()).readings;
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    CHECK(readings[0].summary == "was cut short");
}
