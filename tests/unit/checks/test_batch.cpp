// SPDX-License-Identifier: Apache-2.0
// Scripts that go together: by every shell that is here each of them prints, ends and is seen as if it were alone.
#include "checks/batch.hpp"
#include "checks/runner.hpp"
#include "fakes/no_threads.hpp"
#include "unit/checks/local.hpp"
#include "unit/process/shells.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <sstream>
#include <unistd.h>

using namespace belay;
using namespace std::chrono_literals;
using core::health;
using lines = std::vector<std::string>;
using findings = std::set<std::string>;

namespace {

const std::string together = "#!/bin/sh\n# belay: together=yes\n";

/// Of this process alone: a sweep looks at every process of the machine, those of other tests too.
const std::string txn = "txn-" + std::to_string(getpid());

/// A folder of checks, and a guest that runs them.
struct site {
    test::scratch dir;
    test::local_guest guest;
    std::vector<core::check_spec> specs;
    std::map<std::string, std::pair<std::string, std::string>> printed;
    std::stop_source source;

    void add(const std::string& name, const std::string& text, lines args = {}, core::milliseconds timeout = 20s) {
        core::check_spec spec;
        spec.name = name;
        spec.file = dir.put(name, text).string();
        spec.args = std::move(args);
        spec.timeout = timeout;
        specs.push_back(std::move(spec));
    }

    ports::round run(const std::optional<core::check_spec>& listing = {}) {
        checks::runner runner(guest, [&](const core::check_spec& spec, std::string_view out, std::string_view err) {
            printed[spec.name] = {std::string(out), std::string(err)};
        });
        const auto begin = std::chrono::steady_clock::now();
        auto seen = runner.run(specs, listing, {txn, "web1", "default", "verify", 2, "snap"}, source.get_token());
        took = std::chrono::duration_cast<core::milliseconds>(std::chrono::steady_clock::now() - begin);
        return seen;
    }

    core::milliseconds took{};
};

core::check_spec listing(const std::string& text) {
    core::check_spec spec;
    spec.name = "list";
    spec.args = {text};
    spec.timeout = 10s;
    return spec;
}

} // namespace

TEST_CASE("checks that go together are one program, and each is read as if it were alone") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    s.add("one", together + "echo \"good: $0 $1 $2 $#\"; echo oops >&2; echo \"$BELAY_PHASE $BELAY_ATTEMPT\"",
          {"it's \"a\" $HOME\nb", "*"});
    s.add("two", together + "echo wait; exit 75");
    s.add("three", together + "exit 77");
    s.add("four", together + "echo bad: x; echo why >&2; exit 3");
    s.add("five", "#!/bin/sh -e\n# belay: together=yes\necho good: a; false; echo good: b");
    const auto r = s.run(listing("printf 'a\\tb\\n'")).readings;
    CHECK(s.guest.runs() == 1);
    REQUIRE(r.size() == 5);
    CHECK(r[0].name == "one");
    CHECK(r[0].how == health::pass);
    CHECK(r[0].good == findings{"one it's \"a\" $HOME"});
    CHECK(r[0].summary == "verify 2");
    CHECK(r[0].seconds > 0);
    CHECK(s.printed["one"].second == "oops\n");
    CHECK(r[1].how == health::not_yet);
    CHECK(r[1].summary == "wait");
    CHECK(r[2].how == health::skip);
    CHECK(r[3].how == health::fail);
    CHECK(r[3].summary == "why");
    CHECK(r[3].bad == findings{"x"});
    CHECK(r[4].how == health::fail);
    CHECK(r[4].good == findings{"a"});
}

TEST_CASE("nothing that a check prints, reads or sets reaches another one") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    // What would be the lines of the second check, of the first one and of nobody, and half a line at the end.
    s.add("forger",
          together +
              "printf '1x 9\\n1o bad: forged\\n1o. 1\\n1e. 0\\n0x 5\\n0o. 0\\n.\\n7o x\\n\\n1x 0'; set -e; IFS=x");
    s.add("victim", together + "cat; echo good: mine; kill -0 $$; exec echo fine");
    s.add("loud",
          together + "printf 'a\\001\\377\\n  b  \\n\\n\\n*\\\\n\\n-n\\nno newline'; trap 'echo; echo good: last' 0");
    const auto r = s.run().readings;
    CHECK(s.guest.runs() == 1);
    CHECK(r[0].how == health::pass);
    CHECK(r[0].summary == "1x 0");
    CHECK(r[1].how == health::pass);
    CHECK(r[1].good == findings{"mine"});
    CHECK(r[1].bad.empty());
    CHECK(r[1].summary == "fine");
    CHECK(r[2].good == findings{"last"});
    CHECK(s.printed["loud"].first == "a\001\377\n  b  \n\n\n*\\n\n-n\nno newline\ngood: last\n");
}

TEST_CASE("each process of a check carries its mark") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    s.add("one", together + "echo \"$BELAY_CHECK_RUN\"");
    s.add("two", together + "sh -c 'echo \"$BELAY_CHECK_RUN\"'");
    const auto r = s.run().readings;
    CHECK(r[0].summary == txn + "-1x.0");
    CHECK(r[1].summary == txn + "-1x.1");
}

TEST_CASE("lines as long as this way takes do not mix with those of others") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    const std::string count = "i=0; while [ $i -lt 60 ]; do i=$((i + 1)); printf '%01990d %s\\n' $i $0; done";
    s.add("one", together + count);
    s.add("two", together + count);
    s.add("three", together + count);
    s.run();
    CHECK(s.guest.runs() == 1);
    for (const std::string name : {"one", "two", "three"}) {
        std::istringstream printed(s.printed[name].first);
        int whole = 0;
        for (std::string line; std::getline(printed, line);) {
            whole +=
                line.size() == 1991 + name.size() && line.ends_with(std::to_string(whole + 1) + " " + name) ? 1 : 0;
        }
        CHECK(whole == 60);
    }
}

TEST_CASE("long output comes whole, in order, and beside that of others") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    const std::string count = "i=0; while [ $i -lt 4000 ]; do i=$((i + 1)); echo \"good: $0 $i\"; echo $i >&2; done";
    s.add("one", together + count);
    s.add("two", together + count);
    s.add("three", together + count);
    const auto r = s.run().readings;
    CHECK(s.guest.runs() == 1);
    for (const auto& one : r) {
        REQUIRE(one.good.size() == 4000);
        CHECK(one.good.contains(one.name + " 4000"));
        CHECK(s.printed[one.name].second.ends_with("\n3999\n4000\n"));
    }
}

TEST_CASE("what is too much for this way is run alone: a line, an output, one that goes mad") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    s.add("wide", together + "printf 'good: %05000d\\n' 7");
    // Lines so short that their ends make it too much, and no more of them than that takes.
    s.add("much", together + "echo good: first; i=0; while [ $i -lt 30000 ]; do echo 12345678; i=$((i + 1)); done; " +
                      "echo good: last");
    s.add("mad",
          together + "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done");
    s.add("errs", together + "printf '%03000d\\n' 7 >&2");
    s.add("fine", together + "echo fine");
    const auto r = s.run().readings;
    CHECK(r[0].good.size() == 1);
    CHECK(r[0].how == health::pass);
    CHECK(r[1].good == findings{"first", "last"});
    CHECK(r[2].how == health::fail);
    CHECK(r[2].summary == "printed more than 1024 KiB and was ended");
    CHECK(r[3].how == health::pass);
    CHECK(s.printed["errs"].second.size() == 3001);
    CHECK(r[4].summary == "fine");
    CHECK(s.guest.runs() == 5); // the last one not again
}

TEST_CASE("a check that hangs costs its own time, and the others are read") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    s.add("hangs", together + "echo good: x; sleep 1000", {}, 700ms);
    s.add("deaf", together + "trap '' TERM INT HUP; while :; do sleep 1000; done", {}, 400ms);
    s.add("late", together + "sleep 0.5; echo late", {}, 300ms);
    s.add("fine", together + "sleep 0.5; echo fine", {}, 20s);
    s.add("wide", together + "printf 'good: %02000d\\n' 7", {}, 20s);
    const auto seen = s.run();
    const auto& r = seen.readings;
    CHECK(s.took >= 700ms);
    CHECK(s.took < 5s);
    CHECK(r[0].how == health::fail);
    CHECK(r[0].summary == "did not end within 700ms");
    CHECK(r[0].good.empty());
    CHECK(r[1].summary == "did not end within 400ms");
    CHECK(r[2].how == health::fail);
    CHECK(r[2].summary == "did not end within 300ms");
    CHECK(r[3].how == health::pass);
    CHECK(r[3].summary == "fine");
    CHECK(r[4].good.size() == 1); // too long for this way, and run again at once
    CHECK(s.guest.runs() == 2);
    const auto programs = s.guest.programs();
    REQUIRE(programs.size() == 3); // what is left of those that hang is swept away, all at once
    CHECK(programs[2].find("kill -9") != std::string::npos);
}

TEST_CASE("without threads checks run one after another, and those that hang cost the longest time of all") {
    site s;
    s.add("one", together + "echo good: a", {}, 5s);
    s.add("wide", together + "printf 'good: %05000d\\n' 7", {}, 5s); // too long for this way
    s.add("alone", "#!/bin/sh\necho bad: b; exit 3", {}, 5s);
    s.add("hangs", together + "sleep 1000", {}, 300ms);
    const fakes::no_threads none;
    const auto r = s.run().readings;
    CHECK(r[0].good == findings{"a"});
    CHECK(r[1].good.size() == 1);
    CHECK(r[2].how == health::fail);
    CHECK(r[2].bad == findings{"b"});
    CHECK(r[3].summary == "did not end within 300ms");
    CHECK(s.took < 15s);
}

TEST_CASE("a check that could not be started has lost no output") {
    site s;
    s.add("gone", "#!/bin/sh\necho good: x");
    s.guest.on_the_way = [](int, std::string& out, core::expected<ports::guest_exit>& end) {
        out.clear();
        end->exit_code = 127;
    };
    const auto seen = s.run();
    CHECK(seen.readings[0].how == health::fail);
    CHECK(seen.readings[0].summary == "exit status 127");
    CHECK(s.guest.runs() == 1);
}

TEST_CASE("a sweep finds each process of a batch, and none of another one") {
    site s;
    s.add("hangs", together + "sleep 1000", {}, 300ms);
    s.add("fine", together + "echo fine");
    std::string pattern;
    s.guest.on_sweep = [&](const std::string& what) { pattern = what; };
    (void)s.run();
    CHECK(pattern == "BELAY_CHECK_RUN=" + txn + "-1x"); // which is the beginning of each one's own mark
}

TEST_CASE("checks that are cut short say so, those that had ended are read") {
    site s;
    s.add("hangs", together + "sleep 1000");
    s.add("fine", together + "echo fine");
    std::jthread later([&] {
        std::this_thread::sleep_for(700ms);
        s.source.request_stop();
    });
    const auto r = s.run().readings;
    CHECK(r[0].summary == "was cut short");
    CHECK(r[1].summary == "fine");
    CHECK(s.took < 5s);
}

TEST_CASE("what is lost on the way out of the instance is run again, alone") {
    site s;
    s.add("one", together + "echo good: one");
    s.add("two", together + "echo good: two; echo good: more");
    SECTION("all of it") {
        s.guest.on_the_way = [](int number, std::string& out, auto&) { number == 1 ? out.clear() : void(); };
        CHECK(s.run().readings[1].good == findings{"two", "more"});
        CHECK(s.guest.runs() == 3);
    }
    SECTION("the end") {
        s.guest.on_the_way = [](int number, std::string& out, auto&) {
            number == 1 ? out.resize(out.size() - 2) : void();
        };
        const auto r = s.run().readings;
        CHECK(r[0].good == findings{"one"});
        CHECK(r[1].good == findings{"two", "more"});
        CHECK(s.guest.runs() == 2);
    }
    SECTION("a line in the middle") {
        s.guest.on_the_way = [](int number, std::string& out, auto&) {
            const std::string line = "1o good: more\n";
            number == 1 ? out.erase(out.find(line), line.size()) : out;
        };
        CHECK(s.run().readings[1].good == findings{"two", "more"});
        CHECK(s.guest.runs() == 2);
    }
    SECTION("how it ended") {
        s.guest.on_the_way = [](int number, std::string& out, auto& end) {
            if (number == 1) {
                out.clear();
            }
            end = ports::guest_exit{ports::ended::lost, 0, "the daemon was restarted"};
        };
        const auto seen = s.run();
        for (const auto& r : seen.readings) {
            CHECK(r.how == health::fail);
            CHECK(r.summary.find("the daemon was restarted") != std::string::npos);
        }
        CHECK_FALSE(seen.proved_running);
    }
}

TEST_CASE("a program without head takes nothing for whole that it did not see") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    s.add("one", together + "PATH=/usr/bin:/bin; echo good: one");
    s.add("two", together + "PATH=/usr/bin:/bin; echo good: two");
    s.dir.put("few/sh", "#!/bin/sh\nexec /bin/sh \"$@\"\n");
    const auto program = process::find_program(s.guest.shell.front(), process::environment_of({}));
    s.guest.shell.front() = *program;
    s.guest.shell.insert(s.guest.shell.begin(), {"/usr/bin/env", "PATH=" + (s.dir.path() / "few").string()});
    const auto r = s.run().readings;
    CHECK(r[0].good == findings{"one"});
    CHECK(r[1].good == findings{"two"});
}

TEST_CASE("only sh scripts that say so go together") {
    site s;
    s.add("a", together + "echo a");
    s.add("b", together + "echo b");
    s.add("says nothing", "#!/bin/sh\necho c");
    s.add("says no", "#!/bin/sh\n# belay: together=no\necho d");
    core::check_spec command;
    command.name = "command";
    command.args = {"echo e"};
    s.specs.push_back(command);
    const auto r = s.run().readings;
    CHECK(s.guest.runs() == 4);
    CHECK(r[0].summary + r[1].summary + r[2].summary + r[3].summary + r[4].summary == "abcde");
    CHECK_FALSE(checks::script_for_batch("x", "#!/usr/bin/python3\n# belay: together=yes\n", {}));
    CHECK_FALSE(checks::script_for_batch("x", together + std::string(1, '\0'), {}));
    CHECK(checks::script_for_batch("x", "# belay: together=yes\n", {}));
}

TEST_CASE("a listing is beside the checks, proves that programs run, and is nothing unless it ends well") {
    site s;
    s.add("one", together + "echo one; exit 1");
    std::string text = "echo a; echo b";
    SECTION("with a check") {
        const auto seen = s.run(listing(text));
        CHECK(seen.listed == "a\nb\n");
        CHECK(seen.proved_running);
        CHECK(seen.readings.size() == 1);
        CHECK(s.guest.runs() == 1);
    }
    SECTION("alone") {
        s.specs.clear();
        const auto seen = s.run(listing(text));
        CHECK(seen.listed == "a\nb\n");
        CHECK(seen.proved_running);
        CHECK(seen.readings.empty());
    }
    SECTION("it fails") {
        const auto seen = s.run(listing("echo a; exit 77"));
        CHECK_FALSE(seen.listed);
        CHECK(s.guest.runs() == 1);
    }
    SECTION("it is long") {
        const auto seen = s.run(listing("head -c 400000 /dev/zero | tr '\\0' 'x' | fold -w 100"));
        REQUIRE(seen.listed);
        CHECK(seen.listed->size() > 400'000);
        CHECK(s.guest.runs() == 2);
    }
    SECTION("the instance cannot run anything") {
        s.guest.shell = {"/nowhere/sh"};
        const auto seen = s.run(listing(text));
        CHECK_FALSE(seen.listed);
        CHECK_FALSE(seen.proved_running);
        CHECK(seen.readings[0].how == health::fail);
    }
}

TEST_CASE("a check of which nobody knows how it ended does not pass") {
    site s;
    s.add("one", "#!/bin/sh\necho good: one");
    s.guest.on_the_way = [](int, std::string&, auto& end) {
        end = ports::guest_exit{ports::ended::lost, 0, "the daemon was restarted"};
    };
    const auto seen = s.run();
    CHECK(seen.readings[0].how == health::fail);
    CHECK(seen.readings[0].summary == "how it ended is not known: the daemon was restarted");
    CHECK_FALSE(seen.proved_running);
}

TEST_CASE("a round is for the shell that waits, with a mark of its own for what is swept away") {
    site s;
    checks::runner runner(s.guest);
    s.add("one", together + "echo \"$BELAY_CHECK_RUN\"");
    s.add("two", together + "echo two");
    const ports::hook_context context{txn, "web1", "default", "it's", 1, "snap"};
    const auto first = runner.run(s.specs, listing("echo a"), context, {});
    const auto gathered = runner.gather(s.specs, {}, context, 10s, {});
    REQUIRE(s.guest.commands.size() == 2);
    for (auto command : s.guest.commands) {
        CHECK(command.input.find("export BELAY_PHASE='it'\\''s'\n") != std::string::npos);
        command.input.clear();
        CHECK(command == ports::waiting_shell());
    }
    CHECK(first.readings[0].summary == txn + "-1x.0");
    REQUIRE(gathered.pieces.size() == 2);
    CHECK(gathered.pieces[0].text == txn + "-2x.0\n");
}

TEST_CASE("collectors that go together are read like checks, but for their errors, which nobody hears") {
    site s;
    s.guest.shell = GENERATE(Catch::Generators::from_range(test::shells()));
    checks::runner runner(s.guest);
    s.add("one", together + "echo \"$0 $BELAY_CHECK_RUN\"; echo oops >&2; exit 3");
    s.add("skips", together + "echo not here; exit 77");
    s.add("two", together + "cat; printf 'a\n\nb'");
    const auto gathered = runner.gather(s.specs, {}, {txn, "web1", "default", "evidence", 1, "snap"}, 10s, {});
    CHECK(s.guest.runs() == 1);
    REQUIRE(gathered.pieces.size() == 2);
    CHECK(gathered.pieces[0].text == "one " + txn + "-1x.0\n");
    CHECK(gathered.pieces[1].text == "a\n\nb\n");
}
