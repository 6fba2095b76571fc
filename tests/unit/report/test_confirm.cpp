// SPDX-License-Identifier: Apache-2.0
// What people see while an upgrade waits for their word, and of a transaction that goes on in another process.
#include "captured.hpp"
#include "fakes/event_stream.hpp"
#include "report/live.hpp"
#include "report/plain.hpp"
#include "screen.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using core::act;
using report::milliseconds;

namespace {

constexpr report::style mono{true, false, true, {}};
constexpr report::style with_keys{true, false, true, {}, true};
constexpr core::wall_time deadline{milliseconds{1'777'637'400'000}}; // ten minutes after the stream begins
const core::key confirm{act::confirm, {}};

void begin_confirm(fakes::event_stream& events) {
    events.add(core::started{confirm, 1, deadline});
}

/// An upgrade that is good so far, and waits.
void up_to_confirm(fakes::event_stream& events) {
    events.plan.confirms = true;
    events.up_to_upgrade();
    events.phase(act::upgrade, 41.2, [](auto& e) { e.command = core::command_end{0, 0}; });
    events.verify_well();
    begin_confirm(events);
}

void round(fakes::event_stream& events, bool good) {
    events.add(core::checked{confirm, 1, events.judgement(good)}, 2);
}

struct stage {
    report::live view;
    test::screen screen{100};
    milliseconds now{0};
    fakes::event_stream events;

    explicit stage(const report::style& look = with_keys)
        : view(look), events([this](const auto& r) {
              view.see(r, now);
              draw();
          }) {}

    void draw() { screen.write(view.frame(100, now)); }

    /// The status without its spinner.
    std::string status() const {
        const auto row = screen.row(screen.height() - 1);
        return row.substr(row.find(' ') + 1);
    }
};

/// The lines that a plain view adds.
class plain_stage {
public:
    fakes::event_stream events{[this](const auto& r) { view_.on(r); }};

    std::string added() {
        const auto text = file_.text();
        const auto new_ones = text.substr(told_);
        told_ = text.size();
        return new_ones;
    }

    report::plain& view() { return view_; }

private:
    test::captured file_;
    report::plain view_{file_.fd(), {}};
    std::size_t told_{0};
};

} // namespace

TEST_CASE("while an upgrade waits a terminal shows until when, how to keep it and how to undo it", "[report]") {
    stage s;
    up_to_confirm(s.events);
    const auto text = s.screen.text();
    CHECK(text.find(R"(
▸ confirm waits until 2026-05-01T12:10:00Z, then the upgrade is undone
  to keep  belay confirm 20260501t120000z-ab12
  to undo  belay rollback 20260501t120000z-ab12
)") != std::string::npos);
    s.events.add(core::soaking{confirm, 597.2});
    CHECK(s.status() == "confirm             0s  web1: 9m58s left; y keeps the upgrade, n undoes it");
    s.now += milliseconds{60'000};
    s.draw();
    CHECK(s.status() == "confirm          1m00s  web1: 8m58s left; y keeps the upgrade, n undoes it");
}

TEST_CASE("keys are not offered where nobody can type them", "[report]") {
    stage s(mono);
    up_to_confirm(s.events);
    s.events.add(core::soaking{confirm, 59.2});
    CHECK(s.status() == "confirm             0s  web1: 1m00s left");
}

TEST_CASE("checks that go bad while an upgrade waits are shown, and what they lead to", "[report]") {
    stage s;
    up_to_confirm(s.events);
    round(s.events, false);
    CHECK(s.status() == "confirm             0s  web1: waiting for listening: the upgrade is undone if that lasts 1m");
    s.events.add(core::soaking{confirm, 500});
    CHECK(s.status() ==
          "confirm             0s  web1: 8m20s left; waiting for listening; y keeps the upgrade, n undoes it");
    round(s.events, true);
    s.events.add(core::soaking{confirm, 498});
    CHECK(s.status() == "confirm             0s  web1: 8m18s left; y keeps the upgrade, n undoes it");
}

TEST_CASE("once it is decided nobody is asked any more", "[report]") {
    stage s;
    up_to_confirm(s.events);
    s.events.add(core::soaking{confirm, 500});
    round(s.events, false); // the first round after the decision
    CHECK(s.status().find("y keeps") == std::string::npos);
    s.events.end(act::confirm, 30);
    CHECK(s.screen.text().find("✓ confirm          30.0s\n") != std::string::npos);
}

TEST_CASE("a wait that ended without a confirmation says why it is undone", "[report]") {
    stage s;
    up_to_confirm(s.events);
    s.events.end(act::confirm, 600, [](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::no_confirm, "nobody confirmed the upgrade in time", "", false};
    });
    s.events.decide(core::verdict::undo);
    CHECK(s.screen.text().find("✗ confirm         10m00s  nobody confirmed the upgrade in time\n↶ going back to the "
                               "snapshot\n") != std::string::npos);
}

TEST_CASE("plain lines tell of a wait, and of every change in it, once", "[report]") {
    plain_stage s;
    up_to_confirm(s.events);
    auto text = s.added();
    CHECK(text.substr(text.find("web1: confirm")) ==
          R"(web1: confirm begins: waits until 2026-05-01T12:10:00Z, then the upgrade is undone
web1: to keep: belay confirm 20260501t120000z-ab12
web1: to undo: belay rollback 20260501t120000z-ab12
)");
    for (int i = 0; i < 3; ++i) {
        round(s.events, true);
        s.events.add(core::soaking{confirm, 590});
    }
    CHECK(s.added().empty());
    for (int i = 0; i < 3; ++i) {
        round(s.events, false);
        s.events.add(core::soaking{confirm, 580});
    }
    CHECK(s.added() == "web1: waiting for listening: the upgrade is undone if that lasts 1m\n");
    round(s.events, true);
    round(s.events, true);
    CHECK(s.added() == "web1: every required check passes again\n");
    s.events.end(act::confirm, 30);
    CHECK(s.added() == "web1: confirm ok (30.0s)\n");
}

TEST_CASE("a transaction that goes on in another process is told from there on", "[report]") {
    fakes::event_stream past;
    past.up_to_upgrade();
    past.begin(act::upgrade);
    past.print("half of a line");
    SECTION("on a terminal") {
        report::live view(mono);
        for (const auto& r : past.records) {
            view.recall(r);
        }
        CHECK(view.waiting() == 0);
        CHECK_FALSE(view.moving());
        test::screen screen(100);
        fakes::event_stream now([&](const auto& r) {
            view.see(r, {});
            screen.write(view.frame(100, {}));
        });
        now.add(core::resumed{2, "boot"});
        now.add(core::observed{.settled = true});
        now.decide(core::verdict::undo);
        now.phase(act::stop, 1.2);
        CHECK(screen.text() == R"(web1  20260501t120000z-ab12 was interrupted and goes on
↶ going back to the snapshot
✓ stop             1.20s

)");
    }
    SECTION("in plain lines") {
        plain_stage s;
        for (const auto& r : past.records) {
            s.view().recall(r);
        }
        CHECK(s.added().empty());
        s.events.add(core::resumed{2, "boot"});
        s.events.add(core::observed{.settled = true});
        s.events.decide(core::verdict::undo);
        s.events.phase(act::stop, 1.2);
        CHECK(s.added() == R"(belay: web1  20260501t120000z-ab12 was interrupted and goes on
web1: going back to the snapshot
web1: stop ok (1.20s)
)");
    }
}

TEST_CASE("what another process began is not mixed up with what this one does", "[report]") {
    fakes::event_stream past;
    past.up_to_upgrade();
    past.phase(act::upgrade, 1);
    past.phase(act::verify, 1);
    past.decide(core::verdict::commit);
    past.begin(act::unlock);
    past.end(act::unlock, 7, [](auto& e) {
        e.how = core::result::again;
        e.why = {core::reason::no_daemon, "no answer", "", true};
    });
    plain_stage s;
    for (const auto& r : past.records) {
        s.view().recall(r);
    }
    s.events.add(core::resumed{2, "boot"});
    s.events.add(core::observed{.settled = true});
    s.events.phase(act::unlock, 0.5);
    s.events.add(core::closed{});
    const auto text = s.added();
    CHECK(text.find("web1: commit ok (0.50s)\n") != std::string::npos); // not the 7 seconds of the dead one
}

TEST_CASE("a wait that another process took over offers no keys: nobody listens to them", "[report]") {
    stage s;
    s.events.plan.confirms = true;
    s.events.open();
    s.events.add(core::resumed{2, "boot"});
    begin_confirm(s.events);
    s.events.add(core::soaking{confirm, 59.2});
    CHECK(s.status() == "confirm             0s  web1: 1m00s left");
    CHECK(s.screen.text().find("to keep  belay confirm") != std::string::npos);
}
