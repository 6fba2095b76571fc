// SPDX-License-Identifier: Apache-2.0
// What a person is told before a kept upgrade is undone.
#include "cli/undo.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using namespace std::chrono_literals;

namespace {

constexpr core::wall_time taken{std::chrono::sys_days{std::chrono::year{2026} / 5 / 1} + 12h};

/// A clock that stands still some time after the snapshot.
class later final : public ports::clock {
public:
    explicit later(core::milliseconds by) : by_(by) {}

    core::milliseconds monotonic() const override { return {}; }

    core::wall_time wall() const override { return taken + by_; }

    double boottime() const override { return 0; }

private:
    core::milliseconds by_;
};

cli::undo of_web1() {
    cli::undo what;
    what.plan.instance = "web1";
    what.plan.undoes = "20260501t120000z-ab12";
    what.plan.restores = "belay-20260501t120000z-ab12";
    what.plan.takes_present = true;
    what.snapshot.created = taken;
    what.superseded = {"20260501t120000z-ab12"};
    return what;
}

} // namespace

TEST_CASE("an undo says what goes back, what is lost and which way leads back") {
    auto what = of_web1();
    CHECK(cli::description(what, later(90min)) ==
          R"(web1 goes back to snapshot belay-20260501t120000z-ab12, taken at 2026-05-01T12:00:00.000Z.
  lost      what was written in it since then (90m)
  upgrade   20260501t120000z-ab12
  way back  a snapshot of the present is taken first
)");
    what.snapshot.changes = {"config limits.memory: 2GiB -> 1GiB", "device eth1: goes away"};
    what.uncovered = {{"data", "/srv", "p/data", false, false}, {"block", "", "p/block", false, false}};
    what.superseded = {"20260501t120000z-ab12", "20260502t120000z-0001"};
    what.plan.takes_present = false;
    what.plan.discards = {"belay-20260502t120000z-0001"};
    CHECK(cli::description(what, later(36h)) ==
          R"(web1 goes back to snapshot belay-20260501t120000z-ab12, taken at 2026-05-01T12:00:00.000Z.
  lost      what was written in it since then (36h)
  goes back config limits.memory: 2GiB -> 1GiB
  goes back device eth1: goes away
  stays     /srv (p/data): the snapshot does not hold it
  stays     block (p/block): the snapshot does not hold it
  upgrades  20260501t120000z-ab12, 20260502t120000z-0001
  deleted   belay-20260502t120000z-0001
  way back  none: this storage restores only its newest snapshot, so none can be taken
)");
}

TEST_CASE("an undo without a journal warns of what cannot be known") {
    auto what = of_web1();
    what.journal_is_gone = true;
    CHECK(cli::description(what, later(1s))
              .find("\n  careful   the journal is gone: whether the snapshot is whole cannot be "
                    "known, and there is no baseline\n") != std::string::npos);
}

TEST_CASE("a time of day that was set back makes no age negative, and what the instance says is safe") {
    auto what = of_web1();
    what.snapshot.changes = {"config user.note: \x1b[2J -> x"};
    const auto text = cli::description(what, later(-5h));
    CHECK(text.find("since then (0)") != std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("a snapshot of belay names its transaction, any other name is a usage error") {
    CHECK(cli::transaction_of("belay-20260501t120000z-ab12") == "20260501t120000z-ab12");
    for (const auto* name : {"", "belay-", "20260501t120000z-ab12", "belay-20260501t120000z-ab12x", "auto-1",
                             "belay-20260501T120000Z-ab12", "\x1b[31m"}) {
        INFO(name);
        const auto wrong = cli::transaction_of(name);
        REQUIRE_FALSE(wrong);
        CHECK(wrong.error().code == core::reason::usage);
        CHECK(wrong.error().message.find("belay-TRANSACTION") != std::string::npos);
        CHECK(wrong.error().message.find('\x1b') == std::string::npos);
    }
}
