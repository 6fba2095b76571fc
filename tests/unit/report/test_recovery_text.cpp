// SPDX-License-Identifier: Apache-2.0
// Texts about upgrades that wait, were taken back, or were interrupted, and about undos.
#include "core/manual.hpp"
#include "fakes/event_stream.hpp"
#include "report/dry_run.hpp"
#include "report/text.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using core::act;
using core::outcome;
using report::ending;

namespace {

constexpr report::style plain{};
const std::string before = "20260401t120000z-0001";

/// An undo of a kept upgrade, up to its lock.
fakes::event_stream undo(bool takes_present = true) {
    fakes::event_stream events;
    events.plan.command.argv.clear();
    events.plan.undoes_kept = true;
    events.plan.undoes = before;
    events.plan.restores = "belay-" + before;
    events.plan.takes_present = takes_present;
    events.open();
    events.phase(act::preflight, 0.1);
    events.phase(act::lock, 0.1);
    if (takes_present) {
        events.phase(act::snapshot, 0.1);
    }
    return events;
}

void restored(fakes::event_stream& events) {
    events.decide(core::verdict::undo);
    events.phase(act::stop, 1);
    events.phase(act::restore, 1);
    events.phase(act::start, 1);
}

void fails(fakes::event_stream& events, act what, core::reason code, const std::string& message,
           const std::string& cause = {}) {
    events.phase(what, 1, [&](auto& e) {
        e.how = core::result::failed;
        e.why = {code, message, cause, false};
    });
}

std::string closing(const fakes::event_stream& events) {
    return report::closing_sentence(events.report(), plain);
}

std::string shown(const report::history_entry& entry) {
    const auto text = report::show(entry, {}, plain);
    return text.substr(0, text.find("\n\n") + 1);
}

/// What is shown of a transaction that was interrupted.
std::string shown_interrupted(const fakes::event_stream& events) {
    auto summary = events.summary(outcome::stuck);
    auto out = core::end_by_hand(events.state(), summary.transaction);
    summary.manual = std::move(out.commands);
    return shown({.summary = std::move(summary), .how = ending::interrupted, .way_out = std::move(out.sentence)});
}

std::string in_the_history(const report::history_entry& entry) {
    return report::history_table({&entry, 1}, plain);
}

} // namespace

TEST_CASE("an undo that went well says so, and which way leads back", "[report]") {
    auto events = undo();
    restored(events);
    events.phase(act::reverify, 1, [&](auto& e) { e.judgements = events.judgement(true); });
    events.phase(act::unlock, 0.1);
    events.close(outcome::rolled_back);
    CHECK(closing(events) ==
          R"(✓ web1 is back in the state before transaction 20260401t120000z-0001, running and as healthy as then.
  down for  3.00s
  snapshot  belay-20260501t120000z-ab12 has what was there before, until you delete it
  way back  incus stop web1 && incus snapshot restore web1 belay-20260501t120000z-ab12 && incus config unset web1 user.belay.transaction && incus start web1
  to free   incus snapshot delete web1 belay-20260501t120000z-ab12
)");
    CHECK(in_the_history({events.report()}) ==
          "20260501t120000z-ab12  web1  rolled-back  ok  2026-05-01T12:00:00Z  4.40s  (undo of "
          "20260401t120000z-0001)\n");
    const auto text = report::show({events.report()}, {}, plain);
    CHECK(text.find("\n  outcome      rolled-back (ok), exit code 0\n") != std::string::npos);
    CHECK(text.find("\n  undoes       20260401t120000z-0001\n") != std::string::npos);
    CHECK(text.find("\n  command ") == std::string::npos);
}

TEST_CASE("an undo without a snapshot of the present promises no way back", "[report]") {
    auto events = undo(false);
    restored(events);
    events.phase(act::reverify, 1);
    events.close(outcome::rolled_back);
    CHECK(closing(events) ==
          R"(✓ web1 is back in the state before transaction 20260401t120000z-0001, running and as healthy as then.
  down for  3.00s
)");
}

TEST_CASE("an undo after which the instance is not well says what is worse, and why", "[report]") {
    auto events = undo();
    restored(events);
    events.phase(act::reverify, 60, [&](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::check_failed, core::explain(events.judgement(false)), "", false};
        e.judgements = events.judgement(false);
    });
    events.close(outcome::rolled_back_unhealthy);
    const auto text = closing(events);
    CHECK(text.starts_with(
        R"(✗ web1 is back in the state before transaction 20260401t120000z-0001, but not as healthy as then: look at it.
  worse     listening: fail, 1 port; lost tcp/53 any
  why       the upgrade of transaction 20260401t120000z-0001 is undone; then check listening: lost tcp/53 any)"));
    CHECK(text.find("\n  way back  incus stop web1 && ") != std::string::npos);
}

TEST_CASE("an undo that was refused undid nothing, and does not speak of an upgrade", "[report]") {
    auto events = undo();
    fails(events, act::snapshot, core::reason::no_space, "there is no room for a snapshot of instance web1");
    events.decide(core::verdict::refuse);
    events.phase(act::discard, 0.1);
    events.phase(act::unlock, 0.1);
    events.close(outcome::refused);
    CHECK(closing(events) == R"(✗ web1 is as it was: nothing was undone.
  why  there is no room for a snapshot of instance web1
)");
    CHECK(in_the_history({events.report()}).find("  refused  no-space  ") != std::string::npos);
}

TEST_CASE("an undo that was interrupted before it began, and recovered, undid nothing", "[report]") {
    auto events = undo();
    events.add(core::resumed{2, "boot"});
    events.add(core::observed{.settled = true});
    events.decide(core::verdict::refuse);
    events.phase(act::discard, 0.1);
    events.phase(act::unlock, 0.1);
    events.close(outcome::refused);
    CHECK(closing(events) == R"(✗ web1 is as it was: nothing was undone.
  why  belay died before the undo began
)");
}

TEST_CASE("an upgrade that was interrupted before it began, and recovered, was not started", "[report]") {
    fakes::event_stream events;
    events.up_to_upgrade();
    events.add(core::resumed{2, "boot"});
    events.add(core::observed{.settled = true});
    events.decide(core::verdict::refuse);
    events.phase(act::discard, 0.1);
    events.phase(act::unlock, 0.1);
    events.close(outcome::refused);
    CHECK(closing(events) == R"(✗ web1 is as it was: the upgrade was not started.
  why  belay died before the upgrade began
)");
}

TEST_CASE("a stuck undo names its commands, what stands in the way first", "[report]") {
    const std::string path = "/var/lib/incus/storage-pools/p/containers/web1";
    auto events = undo();
    events.decide(core::verdict::undo);
    events.phase(act::stop, 1);
    fails(events, act::restore, core::reason::restore_failed, "snapshot X of instance web1 could not be restored",
          "Failed to rename \"" + path + "\" to \"" + path + ".incustmp\": file exists");
    events.close(outcome::stuck);
    const auto text = closing(events);
    CHECK(text.starts_with("✗ web1 is in an unknown state: the undo could not be finished.\n  why   snapshot X of "
                           "instance web1 could not be restored: Failed to rename "));
    CHECK(text.ends_with(R"(
  kept  the lock and the snapshot belay-20260501t120000z-ab12
  On the server, this mends what stands in the way:
    if rmdir /var/lib/incus/storage-pools/p/containers/web1 2>/dev/null; then mv /var/lib/incus/storage-pools/p/containers/web1.incustmp /var/lib/incus/storage-pools/p/containers/web1; else rmdir /var/lib/incus/storage-pools/p/containers/web1.incustmp 2>/dev/null || btrfs subvolume delete /var/lib/incus/storage-pools/p/containers/web1.incustmp; fi
  Then `belay recover` ends it. By hand, in this order:
    incus snapshot restore web1 belay-20260401t120000z-0001
    incus config unset web1 user.belay.transaction
    incus start web1
)"));
}

TEST_CASE("a transaction that got stuck before its upgrade is not called a failed rollback", "[report]") {
    fakes::event_stream events;
    events.up_to_upgrade();
    events.add(core::resumed{2, "boot"});
    events.add(core::observed{.settled = false, .why = {core::reason::no_daemon, "the daemon does not answer"}});
    events.close(outcome::stuck);
    const auto text = closing(events);
    CHECK(text.starts_with("✗ web1 was not upgraded, but what was begun before could not be taken back.\n"));
    CHECK(text.find("snapshot restore") == std::string::npos);
    CHECK(text.find("    incus config unset web1 user.belay.transaction\n") != std::string::npos);
}

TEST_CASE("a commit that got stuck is not called a failed rollback", "[report]") {
    fakes::event_stream events;
    events.up_to_upgrade();
    events.phase(act::upgrade, 1);
    events.decide(core::verdict::commit);
    events.begin(act::unlock);
    events.add(core::resumed{2, "boot"});
    events.add(core::observed{.settled = false, .why = {core::reason::no_daemon, "the daemon does not answer"}});
    events.close(outcome::stuck);
    const auto text = closing(events);
    CHECK(text.starts_with("✗ web1 is upgraded and to be kept, but that could not be finished.\n"));
    CHECK(text.ends_with(" By hand, in this order:\n    incus config unset web1 user.belay.transaction\n"));
}

TEST_CASE("where nothing can be done by hand no list of commands is announced", "[report]") {
    fakes::event_stream events;
    events.up_to_upgrade();
    events.begin(act::upgrade);
    events.add(core::resumed{2, "boot"});
    events.add(core::observed{
        .settled = false, .why = {core::reason::not_found, "instance web1 is another one than that of transaction"}});
    events.close(outcome::stuck);
    REQUIRE(events.report().manual.empty());
    CHECK(closing(events) == R"(✗ web1 is in an unknown state: the rollback could not be finished.
  why     belay died before the upgrade was decided; then instance web1 is another one than that of transaction
  output  /var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log
  `belay recover` looks again; there is nothing to do by hand.
)");
}

TEST_CASE("an upgrade that waits is shown with its deadline and the two ways out", "[report]") {
    fakes::event_stream events;
    events.up_to_upgrade();
    events.phase(act::upgrade, 1);
    events.begin(act::confirm);
    report::history_entry entry{.summary = events.summary(outcome::stuck), .how = ending::waiting};
    CHECK(shown(entry).starts_with("! web1 is upgraded and waits for a confirmation.\n"));
    entry.until = core::wall_time{core::milliseconds{1'777'637'400'000}};
    CHECK(shown(entry) ==
          R"(! web1 is upgraded and waits for a confirmation until 2026-05-01T12:10:00Z (time of day, UTC).
  to keep  belay confirm 20260501t120000z-ab12
  to undo  belay rollback 20260501t120000z-ab12
  else     it is undone then, by the belay that waits or by `belay recover`
)");
    CHECK(in_the_history(entry) ==
          "20260501t120000z-ab12  web1  waiting  -  2026-05-01T12:00:00Z  -  apt-get -y dist-upgrade\n");
    CHECK(report::show(entry, {}, plain).find("outcome") == std::string::npos);
}

TEST_CASE("an upgrade that was taken back is no longer said to be kept", "[report]") {
    fakes::event_stream events;
    events.good();
    const report::history_entry entry{.summary = events.report(), .superseded_by = "20260601t120000z-0009"};
    CHECK(shown(entry) ==
          "  The upgrade of web1 was kept, and later taken back by transaction 20260601t120000z-0009.\n");
    CHECK(in_the_history(entry) ==
          "20260501t120000z-ab12  web1  superseded  ok  2026-05-01T12:00:00Z  57.6s  apt-get -y dist-upgrade\n");
}

TEST_CASE("the history says until when a kept upgrade can be undone", "[report]") {
    fakes::event_stream events;
    events.good();
    report::history_entry entry{.summary = events.report()};
    CHECK(in_the_history(entry).find("57.6s  not any more  apt-get") != std::string::npos);
    entry.undoable = true;
    CHECK(in_the_history(entry).find("57.6s  undo: no limit  apt-get") != std::string::npos);
    entry.undo_until = core::wall_time{core::milliseconds{1'777'637'459'000}};
    CHECK(in_the_history(entry).find("57.6s  undo until 2026-05-01 12:10  apt-get") != std::string::npos);
}

TEST_CASE("the last sentence of a kept upgrade says until when its snapshot lives", "[report]") {
    fakes::event_stream events;
    events.good();
    auto r = events.report();
    r.snapshot_expires = core::wall_time{core::milliseconds{1'777'637'459'000}};
    const auto text = report::closing_sentence(r, plain);
    CHECK(text.find(r.snapshot + " stays until 2026-05-01 12:10 UTC\n") != std::string::npos);
    CHECK(text.find("belay rollback " + r.transaction) != std::string::npos);
}

TEST_CASE("an interrupted undo is shown with what finishes it", "[report]") {
    auto events = undo();
    events.decide(core::verdict::undo);
    events.phase(act::stop, 1);
    events.begin(act::restore);
    CHECK(shown_interrupted(events) ==
          R"(! The transaction on web1 was interrupted in restore and has no outcome.
  `belay recover` ends it. The undo had begun. To finish it by hand, in this order:
    incus snapshot restore web1 belay-20260401t120000z-0001
    incus config unset web1 user.belay.transaction
    incus start web1
)");
}

TEST_CASE("a transaction that did nothing yet needs nothing by hand", "[report]") {
    fakes::event_stream events;
    events.open();
    events.begin(act::preflight);
    CHECK(shown_interrupted(events) ==
          R"(! The transaction on web1 was interrupted in preflight and has no outcome.
  `belay recover` ends it. Nothing was changed.
)");
}

TEST_CASE("a journal without a word is shown as one, without a year in which there were no computers", "[report]") {
    report::history_entry entry;
    entry.summary.transaction = "20260501t120000z-ab12";
    entry.how = ending::interrupted;
    CHECK(shown(entry) == R"(! Transaction 20260501t120000z-ab12 ended before it did anything: its journal is empty.
  `belay recover` says how to forget it.
)");
    CHECK(report::show(entry, {}, plain).find("1970") == std::string::npos);
    CHECK(in_the_history(entry) == "20260501t120000z-ab12  -  interrupted  -  -  -\n");
}

TEST_CASE("a dry run tells that a confirmation will be waited for", "[report]") {
    fakes::event_stream events;
    events.plan.confirms = true;
    events.plan.limit.confirm = std::chrono::minutes(10);
    const auto text = report::dry_run_text(events.plan, {}, plain);
    CHECK(text.find("verify, confirm, commit\n") != std::string::npos);
    CHECK(text.find("stay good for 10s, confirmed within 10m, graceful stop 10s\n") != std::string::npos);
}
