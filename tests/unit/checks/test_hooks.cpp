// SPDX-License-Identifier: Apache-2.0
// Hooks: they run once, whatever becomes of their output, and have what belongs on their standard input.
#include "checks/runner.hpp"
#include "unit/checks/guests.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using namespace std::chrono_literals;

namespace {

/// An instance that ends every program at once, and loses its output.
class forgetful_guest : public test::idle_guest {
public:
    int runs{0};
    ports::guest_exit end;
    std::vector<std::string> argv;

    core::expected<ports::guest_exit> exec(const ports::guest_command& command, core::milliseconds,
                                           const ports::output_sink&, std::stop_token) override {
        ++runs;
        argv = command.argv;
        return end;
    }
};

class absent_guest : public test::idle_guest {
public:
    core::expected<ports::guest_exit> exec(const ports::guest_command&, core::milliseconds, const ports::output_sink&,
                                           std::stop_token) override {
        return core::failure(core::reason::no_daemon, "gone");
    }
};

core::check_spec on_host(const std::filesystem::path& file, core::milliseconds timeout = 10s) {
    core::check_spec hook;
    hook.name = file.filename().string();
    hook.file = file.string();
    hook.where = core::place::host;
    hook.timeout = timeout;
    return hook;
}

const ports::hook_context context{"t1", "web1", "default", "committed", 1, "belay-t1"};

} // namespace

TEST_CASE("a hook on the host gets what is said on its standard input, however much") {
    const test::scratch dir;
    forgetful_guest guest;
    checks::runner hooks(guest);
    const std::string document(300'000, 'x');
    const auto counts = hooks.run_hook(on_host(dir.put("mail", "#!/bin/sh\nwc -c\n")), context, document, {});
    REQUIRE(counts);
    CHECK(counts->how == core::health::pass);
    CHECK(counts->summary == "300000");
    CHECK(hooks.run_hook(on_host(dir.put("deaf", "#!/bin/sh\nexit 0\n")), context, document, {})->how ==
          core::health::pass);
    const auto told = hooks.run_hook(on_host(dir.put("env", "#!/bin/sh\necho $BELAY_INSTANCE $BELAY_PHASE\n")), context,
                                     document, {});
    CHECK(told->summary == "web1 committed");
    CHECK(guest.runs == 0);
}

TEST_CASE("a hook that hangs is ended, and one that prints without end keeps its last line") {
    const test::scratch dir;
    forgetful_guest guest;
    checks::runner hooks(guest);
    const auto begin = std::chrono::steady_clock::now();
    const auto hung = hooks.run_hook(on_host(dir.put("hang", "#!/bin/sh\nsleep 1000\n"), 200ms), context, {}, {});
    CHECK(hung->how == core::health::fail);
    CHECK(hung->summary == "did not end within 200ms");
    CHECK(std::chrono::steady_clock::now() - begin < 8s);
    const auto loud = hooks.run_hook(
        on_host(dir.put("loud", "#!/bin/sh\nhead -c 5000000 /dev/zero | tr '\\0' 'x'\necho\necho the end\nexit 3\n")),
        context, {}, {});
    CHECK(loud->how == core::health::fail);
    CHECK(loud->summary == "the end");
}

TEST_CASE("a hook in the instance is run once, also when its output was lost") {
    forgetful_guest guest;
    checks::runner hooks(guest);
    core::check_spec command;
    command.name = "stop it";
    command.args = {"stop it"};
    CHECK(hooks.run_hook(command, context, {}, {})->how == core::health::pass);
    CHECK(guest.runs == 1);
    guest.end.exit_code = 3;
    const auto failed = hooks.run_hook(command, context, {}, {});
    CHECK(failed->how == core::health::fail);
    CHECK(failed->summary == "exit status 3");
    CHECK(guest.runs == 2);
}

TEST_CASE("a hook that could not be started in the instance is an error, so that it can be tried again") {
    absent_guest guest;
    checks::runner hooks(guest);
    core::check_spec command;
    command.args = {"stop it"};
    const auto done = hooks.run_hook(command, context, {}, {});
    REQUIRE_FALSE(done);
    CHECK(done.error().code == core::reason::no_daemon);
}
