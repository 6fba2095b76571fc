// SPDX-License-Identifier: Apache-2.0
#include "report/live.hpp"

#include "fakes/event_stream.hpp"
#include "screen.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using core::act;
using report::milliseconds;

namespace {

constexpr report::style mono{true, false, true, {}};

/// A view, its terminal and a clock that the test moves.
struct stage {
    std::size_t columns;
    report::live view;
    test::screen screen;
    milliseconds now{0};
    fakes::event_stream events;

    explicit stage(std::size_t width, const report::style& look = mono)
        : columns(width), view(look), screen(width), events([this](const auto& r) {
              view.see(r, now);
              draw();
          }) {}

    void draw() { screen.write(view.frame(columns, now)); }

    void wait(milliseconds time) {
        for (const auto end = now + time; now < end; now += milliseconds{50}) {
            draw();
        }
        draw();
    }

    std::string last_row() const { return screen.row(screen.height() - 1); }
};

} // namespace

TEST_CASE("a good upgrade on a terminal of 200 columns", "[report]") {
    stage s(200);
    s.events.good();
    s.screen.write(s.view.leave(s.columns));
    CHECK(s.screen.text() == R"(web1  20260501t120000z-ab12
✓ preflight        0.03s
✓ lock             0.01s
✓ baseline         0.41s  3 checks: 2 pass, 1 skipped
✓ snapshot         0.03s
▸ upgrade apt-get -y dist-upgrade
  Reading package lists...
  Setting up pdns-server
✓ upgrade          41.2s
✓ verify           10.5s
    ✓ listening  pass, 2 ports
    ✓ services   pass, 12 units run
    - packages   skipped, no package database
✓ commit           0.01s
✓ web1 is upgraded and kept: every required check passes (57.6s).
  snapshot  belay-20260501t120000z-ab12 stays until you delete it
  to undo   belay rollback 20260501t120000z-ab12
  to free   incus snapshot delete web1 belay-20260501t120000z-ab12

)");
    CHECK(s.screen.column() == 0);
    CHECK(s.screen.wraps() == 0);
}

TEST_CASE("a command that fails on a terminal of 80 columns", "[report]") {
    stage s(80);
    s.events.bad_command();
    s.screen.write(s.view.leave(s.columns));
    CHECK(s.screen.text() == R"(web1  20260501t120000z-ab12
✓ preflight        0.03s
✓ lock             0.01s
✓ baseline         0.41s  3 checks: 2 pass, 1 skipped
✓ snapshot         0.03s
▸ upgrade apt-get -y dist-upgrade
  Reading package lists...
  E: Unable to locate package
✗ upgrade          12.3s  the command exited with 100
↶ going back to the snapshot
✓ stop             1.20s
✓ restore          0.20s
✓ start            0.90s
✓ reverify         2.50s
    ✓ listening  pass, 2 ports
    ✓ services   pass, 12 units run
    - packages   skipped, no package database
✓ discard          0.05s
✓ unlock           0.01s
✗ web1 is back in its old state, running and as healthy as before.
  why       the command exited with 100
  down for  2.30s
  output    /var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log

)");
}

TEST_CASE("a terminal without UTF-8 and colour gets ASCII", "[report]") {
    stage s(80, {true, false, false, {}});
    s.events.bad_command();
    for (const char c : s.screen.text()) {
        REQUIRE(static_cast<unsigned char>(c) < 0x80);
    }
    CHECK(s.screen.text().find("x upgrade          12.3s  the command exited with 100\n< going back") !=
          std::string::npos);
}

TEST_CASE("a command that prints nothing shows how long it has been silent", "[report]") {
    stage s(80);
    s.events.up_to_upgrade();
    s.events.begin(act::upgrade);
    s.wait(milliseconds{3'000});
    CHECK(s.last_row().substr(s.last_row().find(' ')) == " upgrade             3s  web1");
    s.wait(milliseconds{62'000});
    CHECK(s.last_row().substr(s.last_row().find(' ')) == " upgrade          1m05s  web1: no output for 1m05s");
}

TEST_CASE("a progress bar is redrawn in place", "[report]") {
    stage s(80);
    s.events.up_to_upgrade();
    s.events.begin(act::upgrade);
    const auto height = s.screen.height();
    for (int percent = 0; percent <= 100; ++percent) {
        s.events.print("\r\x1b[32m" + std::to_string(percent) + "% " + std::string(100, '#'));
        s.wait(milliseconds{50});
    }
    CHECK(s.screen.height() == height + 1);
    CHECK(s.screen.row(height - 1).starts_with("  100% ####"));
    CHECK(s.screen.row(height - 1).ends_with("#…"));
    CHECK(s.screen.wraps() == 0);
    s.events.print("\ndone\n");
    s.wait(milliseconds{50});
    CHECK(s.screen.text().find("99%") == std::string::npos);
}

TEST_CASE("a soak counts down", "[report]") {
    stage s(80);
    s.events.up_to_upgrade();
    s.events.begin(act::verify);
    s.events.add(core::soaking{{act::verify, {}}, 10});
    CHECK(s.last_row().ends_with("must stay good for 10s more"));
    s.wait(milliseconds{4'000});
    CHECK(s.last_row().ends_with("must stay good for 6s more"));
}

TEST_CASE("no status wraps, whatever the width and the words", "[report]") {
    for (std::size_t columns = 1; columns < 120; ++columns) {
        stage s(columns);
        s.events.plan.instance = "完了しました";
        s.events.open();
        s.screen = test::screen(columns);
        s.view.leave(columns);
        s.events.begin(act::verify);
        s.wait(milliseconds{100});
        INFO(columns << " columns");
        CHECK(s.screen.wraps() == 0);
        CHECK(s.screen.height() == 1);
    }
}

TEST_CASE("a terminal that became narrower is wiped as far as the status now reaches", "[report]") {
    report::live view(mono);
    fakes::event_stream events([&](const auto& r) { view.see(r, milliseconds{0}); });
    events.up_to_upgrade();
    events.begin(act::upgrade);
    events.print(std::string(300, '#'));
    view.frame(200, milliseconds{0});
    // 199 columns of progress are 5 rows of 40, the status (28 columns) is one more.
    CHECK(view.frame(40, milliseconds{1'000}).starts_with("\r\x1b[5A"));
}

TEST_CASE("while an interactive command has the terminal nothing is drawn", "[report]") {
    stage s(80);
    s.events.plan.command.interactive = true;
    s.events.up_to_upgrade();
    s.events.begin(act::upgrade);
    s.draw();
    CHECK(s.screen.column() == 0);
    s.now += milliseconds{60'000};
    CHECK(s.view.frame(80, s.now).empty());
    CHECK(s.view.silent());
    s.events.end(act::upgrade, 60);
    CHECK_FALSE(s.view.silent());
    CHECK(s.screen.text().find("✓ upgrade") != std::string::npos);
}

TEST_CASE("what the instance says cannot move the cursor", "[report]") {
    stage s(80);
    s.events.up_to_upgrade();
    s.events.begin(act::upgrade);
    s.events.print("\x1b[2J\x1b]0;evil\x07text\x1b[5A\x90\x9b\n");
    s.events.end(act::upgrade, 1, [](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::check_failed, "\x1b[2Jevil\r\n\x07message", "", false};
    });
    CHECK(s.screen.text().find("  text") != std::string::npos); // the screen throws on any other sequence
}

TEST_CASE("a line of the log stands above the status", "[report]") {
    stage s(80);
    s.events.up_to_upgrade();
    s.events.begin(act::upgrade);
    s.view.say("[warning] something\n");
    s.draw();
    CHECK(s.screen.row(s.screen.height() - 2) == "[warning] something");
}

TEST_CASE("a frame of which nothing has changed is empty", "[report]") {
    stage s(80);
    s.events.up_to_upgrade();
    s.events.begin(act::upgrade);
    s.draw();
    CHECK(s.view.frame(80, s.now).empty());
}
