// SPDX-License-Identifier: Apache-2.0
#include "report/text.hpp"

#include "core/manual.hpp"
#include "fakes/event_stream.hpp"
#include "report/checks_text.hpp"
#include "report/dry_run.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;

namespace {

constexpr report::style plain{};

core::report story(void (fakes::event_stream::*tell)(), const std::string& project = "default") {
    fakes::event_stream events;
    events.plan.project = project;
    (events.*tell)();
    return events.report();
}

report::history_entry interrupted(const fakes::event_stream& events) {
    auto summary = events.summary(core::outcome::stuck);
    auto out = core::end_by_hand(events.state(), summary.transaction);
    summary.manual = std::move(out.commands);
    return {.summary = std::move(summary), .how = report::ending::interrupted, .way_out = std::move(out.sentence)};
}

} // namespace

TEST_CASE("what frees the snapshots of an upgrade frees those of its volumes, too", "[report]") {
    auto r = story(&fakes::event_stream::good);
    r.phases.push_back({"snapshot", "tank/data", {}, 0, true, {}});
    CHECK(report::closing_sentence(r, plain).find(
              "  to free   incus storage volume snapshot delete tank data belay-20260501t120000z-ab12 && "
              "incus snapshot delete web1 belay-20260501t120000z-ab12\n") != std::string::npos);
}

TEST_CASE("the commands below a kept upgrade can be pasted, in a project too", "[report]") {
    const auto text = report::closing_sentence(story(&fakes::event_stream::good, "lab 1"), plain);
    CHECK(text == R"(✓ web1 is upgraded and kept: every required check passes (57.6s).
  snapshot  belay-20260501t120000z-ab12 stays until you delete it
  to undo   belay rollback 20260501t120000z-ab12
  to free   incus snapshot delete web1 belay-20260501t120000z-ab12 --project 'lab 1'
)");
}

TEST_CASE("a kept upgrade is not called healthier than it is", "[report]") {
    auto r = story(&fakes::event_stream::good);
    r.checks[0].baseline = core::health::fail;
    r.checks[0].final = core::health::fail;
    const auto text = report::closing_sentence(r, plain);
    CHECK(text.find("every required check") == std::string::npos);
    CHECK(text.find("not all pass (listening)") != std::string::npos);
}

TEST_CASE("an unhealthy rollback says what is worse and keeps the snapshot", "[report]") {
    fakes::event_stream events;
    events.up_to_upgrade();
    events.begin(core::act::upgrade);
    events.upgrade_fails();
    events.decide(core::verdict::undo);
    events.phase(core::act::stop, 1);
    events.phase(core::act::restore, 1);
    events.phase(core::act::start, 1);
    events.phase(core::act::reverify, 1, [&](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::check_failed, "the checks do not pass after the rollback", "", false};
        e.judgements = events.judgement(false);
    });
    events.close(core::outcome::rolled_back_unhealthy);
    CHECK(report::closing_sentence(events.report(), plain) ==
          R"(✗ web1 is back in its old state, but not as healthy as before: look at it.
  worse     listening: fail, 1 port; lost tcp/53 any
  why       the command exited with 100; then the checks do not pass after the rollback
  down for  3.00s
  output    /var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log
  snapshot  belay-20260501t120000z-ab12 stays until you delete it
)");
}

TEST_CASE("a refusal says that nothing was changed, and why", "[report]") {
    fakes::event_stream events;
    events.open();
    events.phase(core::act::preflight, 0.02, [](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::not_running, "instance web1 is stopped: start it first", "", false};
    });
    events.decide(core::verdict::refuse);
    events.close(core::outcome::refused);
    CHECK(report::closing_sentence(events.report(), plain) ==
          "✗ web1 is as it was: the upgrade was not started.\n  why  instance web1 is stopped: start it first\n");
}

TEST_CASE("history is a table without a head, cut to the terminal", "[report]") {
    const std::vector<report::history_entry> entries{
        {story(&fakes::event_stream::good)},
        {story(&fakes::event_stream::bad_check)},
        {story(&fakes::event_stream::stuck), report::ending::interrupted},
    };
    CHECK(
        report::history_table(entries, plain) ==
        R"(20260501t120000z-ab12  web1  committed    ok            2026-05-01T12:00:00Z  57.6s  not any more  apt-get -y dist-upgrade
20260501t120000z-ab12  web1  rolled-back  check-failed  2026-05-01T12:00:00Z  1m47s  -             apt-get -y dist-upgrade
20260501t120000z-ab12  web1  interrupted  -             2026-05-01T12:00:00Z  -      -             apt-get -y dist-upgrade
)");
    CHECK(report::history_table({}, plain).empty());
    report::style narrow;
    narrow.width = 100;
}

TEST_CASE("show tells first why it failed and the last lines of the output", "[report]") {
    const auto text = report::show({story(&fakes::event_stream::bad_command), report::ending::closed},
                                   "E: \x1b[31mUnable\x1b[0m to locate\n", plain);
    CHECK(text == R"(✗ web1 is back in its old state, running and as healthy as before.
  why       the command exited with 100
  down for  2.30s
  output    /var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log

Last lines of the output
    E: Unable to locate

Phases
  ✓ preflight        0.03s
  ✓ lock             0.01s
  ✓ baseline         0.41s
  ✓ snapshot         0.03s
  ✗ upgrade          12.3s  the command exited with 100
  ✓ stop             1.20s
  ✓ restore          0.20s
  ✓ start            0.90s
  ✓ reverify         2.50s
  ✓ discard          0.05s
  ✓ unlock           0.01s

Checks
    ✓ listening  pass, 2 ports
    ✓ services   pass, 12 units run
    - packages   skipped, no package database

Transaction
  transaction  20260501t120000z-ab12
  outcome      rolled-back (command-failed), exit code 1
  command      apt-get -y dist-upgrade
  exit status  100
  started      2026-05-01T12:00:00Z
  took         17.6s
  output       /var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log
)");
}

TEST_CASE("an interrupted transaction is shown with what ends it by hand", "[report]") {
    fakes::event_stream events;
    events.up_to_upgrade();
    const auto before = report::show(interrupted(events), {}, plain);
    CHECK(before.substr(0, before.find("\n\n")) ==
          R"(! The transaction on web1 was interrupted in snapshot and has no outcome.
  `belay recover` ends it. The upgrade had not begun. To clean up by hand, in this order:
    incus snapshot delete web1 belay-20260501t120000z-ab12
    incus config unset web1 user.belay.transaction)");
    events.begin(core::act::upgrade);
    const auto during = report::show(interrupted(events), {}, plain);
    CHECK(during.substr(0, during.find("\n\n")) ==
          R"(! The transaction on web1 was interrupted in upgrade and has no outcome.
  `belay recover` ends it. The upgrade had begun. To bring the old state back by hand, in this order:
    incus stop --force web1
    incus snapshot restore web1 belay-20260501t120000z-ab12
    incus config unset web1 user.belay.transaction
    incus start web1)");
    const auto running =
        report::show({.summary = events.summary(core::outcome::stuck), .how = report::ending::running}, {}, plain);
    CHECK(running.find("incus") == std::string::npos);
    CHECK(running.starts_with("  web1 is in a transaction that runs now, in upgrade.\n"));
}

TEST_CASE("an interrupted commit is not undone by hand", "[report]") {
    fakes::event_stream events;
    events.up_to_upgrade();
    events.phase(core::act::upgrade, 1);
    events.phase(core::act::verify, 1);
    events.decide(core::verdict::commit);
    events.begin(core::act::unlock);
    const auto text = report::show(interrupted(events), {}, plain);
    CHECK(text.find("restore") == std::string::npos);
    CHECK(text.find("incus config unset web1 user.belay.transaction\n") != std::string::npos);
}

TEST_CASE("the verdicts of the checks, and what is installed", "[report]") {
    auto readings = fakes::event_stream::baseline_readings();
    readings[1].bad = {"unit cron.service failed"};
    CHECK(report::check_verdicts("web1", readings, plain) == R"(✓ listening  pass, 2 ports
! services   pass, 12 units run
    bad: unit cron.service failed
- packages   skipped, no package database
✓ web1: every required check passes.
)");
    readings[0].how = core::health::fail;
    readings[0].summary = "nothing \x1b[2Jlistens";
    CHECK(report::check_verdicts("web1", readings, plain).ends_with("✗ web1: 1 of 3 required checks does not pass.\n"));
    const std::vector<report::listed_check> installed{
        {"listening", core::place::guest, "What listened still listens", "/usr/share/belay/checks/listening"},
        {"dns", core::place::host, "The zone is served", "/etc/belay/checks/dns"}};
    CHECK(report::checks_table(installed, plain) ==
          R"(listening  guest  What listened still listens  /usr/share/belay/checks/listening
dns        host   The zone is served           /etc/belay/checks/dns
)");
}

TEST_CASE("a dry run says what would happen and what was found", "[report]") {
    fakes::event_stream events;
    events.plan.uncovered = {"/srv"};
    core::instance_facts found;
    found.type = "container";
    found.pool = "default";
    found.driver = "zfs";
    found.running = true;
    found.disks = {{"root", "/", "default/web1", true, false}, {"data", "/srv", "/tank", false, false}};
    CHECK(report::dry_run_text(events.plan, found, plain) == R"(A dry run: nothing was changed on web1.
  instance    web1, container, running
  command     apt-get -y dist-upgrade
  pool        default (zfs)
  phases      preflight, lock, baseline, snapshot, upgrade, verify, commit
  on failure  stop, restore, start, reverify, discard, unlock
  limits      upgrade 1h, checks pass within 1m, stay good for 10s, graceful stop 10s
  snapshots   while the instance runs on
  evidence    none is saved
  disks
    ✓  root  /     default/web1  with the instance
    !  data  /srv  /tank         on the host: not covered, accepted with --uncovered
  checks
     listening  guest  required  within 30s
     services   guest  required  within 30s
     packages   guest  required  within 30s
)");
}

TEST_CASE("show lists what stands out in the evidence, then its files, before the phases", "[report]") {
    auto r = story(&fakes::event_stream::bad_command);
    r.evidence = {"checks", "journal"};
    r.packages = core::package_diff{{{"nginx", "1.22", "1.24"}}, {{"new\x1b[2J", "1"}}, {}};
    r.failed_copy = "web1-failed-20260501t120000z-ab12";
    const std::vector<report::evidence_file> files{{"checks", "/s/evidence/checks", 812, {}},
                                                   {"journal", "/s/evidence/journal", 4'200, {"nginx: \x1b[31mfatal"}}};
    const auto text = report::show({r, report::ending::closed}, "last\n", plain, files);
    CHECK(text.find("\x1b") == std::string::npos);
    CHECK(text.find("  evidence      belay show 20260501t120000z-ab12\n") != std::string::npos);
    CHECK(text.find("  broken state  web1-failed-20260501t120000z-ab12, stopped\n"
                    "  look into it  incus start web1-failed-20260501t120000z-ab12\n"
                    "  throw away    incus delete web1-failed-20260501t120000z-ab12\n") != std::string::npos);
    CHECK(text.find("Last lines of the output\n    last\n\n"
                    "Evidence\n"
                    "    journal  nginx:  [31mfatal\n"
                    "\n"
                    "    812 B    /s/evidence/checks\n"
                    "    4.1 KiB  /s/evidence/journal\n"
                    "\nPhases\n") != std::string::npos);
    CHECK(text.find("\nPackages\n    upgraded nginx 1.22 → 1.24\n    added new [2J 1\n") != std::string::npos);
}

TEST_CASE("of many packages show has the first thirty, and says how many there are", "[report]") {
    auto r = story(&fakes::event_stream::good);
    r.packages.emplace();
    for (int i = 0; i < 42; ++i) {
        r.packages->added.push_back({"p" + std::to_string(i), "1"});
    }
    const auto text = report::show({r, report::ending::closed}, {}, plain);
    CHECK(text.find("added p29 1\n    and 12 more: --format json has them all\n") != std::string::npos);
    CHECK(text.find("  packages  42 added (p0, p1, p2, …)\n") != std::string::npos);
}

TEST_CASE("an upgrade that changed nothing has its sentence", "[report]") {
    auto r = story(&fakes::event_stream::good);
    r.how = core::outcome::unchanged;
    r.snapshot.clear();
    CHECK(report::closing_sentence(r, plain) == "✓ web1 is unchanged: no package changed, and the snapshot is gone.\n");
}

TEST_CASE("a dry run says of each disk whether a rollback takes it back, and what would accept the rest", "[report]") {
    core::plan how;
    how.instance = "web1";
    how.command.argv = {"true"};
    how.uncovered = {"/accepted"};
    how.volumes = {{"fast/data", "fast/shared"}};
    how.saves_evidence = how.retains = true;
    how.keep_for = std::chrono::hours(24 * 7);
    how.keep = 2;
    core::check_spec command;
    command.name = "command-1";
    command.args = {"cat /var/log/app"};
    how.collectors = {{"journal", "/hooks/journal", {}}, command};
    core::instance_facts facts;
    facts.type = "container";
    facts.running = true;
    facts.pool = "fast";
    facts.driver = "btrfs";
    facts.disks = {{"root", "/", "fast", true, false},
                   {"data", "/data", "fast/data", false, false, "fast", "data", "btrfs"},
                   {"left", "/left", "fast/left", false, false, "fast", "left", "btrfs"},
                   {"shared", "/shared", "fast/shared", false, false, "fast", "shared", "btrfs", {"c2", "c3"}},
                   {"ro", "/ro", "/srv/ro", false, true},
                   {"host", "/accepted", "/srv/a", false, false},
                   {"blk", "", "/dev/sdb", false, false}};
    const auto text = report::dry_run_text(how, facts, plain);
    CHECK(text.find(
              "  disks\n"
              "    ✓  root    /          fast         with the instance\n"
              "    ✓  data    /data      fast/data    snapshotted and restored with it\n"
              "    ✗  left    /left      fast/left    left out by --volumes: NOT covered\n"
              "    ✗  shared  /shared    fast/shared  shared with c2, c3: NOT covered\n"
              "    ✓  ro      /ro        /srv/ro      read-only\n"
              "    !  host    /accepted  /srv/a       on the host: not covered, accepted with --uncovered\n"
              "    ✗  blk     (block)    /dev/sdb     on the host: NOT covered\n"
              "    belay would refuse; to accept that, add --uncovered /left --uncovered /shared --uncovered blk\n") !=
          std::string::npos);
    CHECK(text.find("snapshot root, snapshot fast/data") == std::string::npos); // root has no name of its own
    CHECK(text.find("pause, snapshot, snapshot fast/data, unpause") != std::string::npos);
    CHECK(text.find("while the instance is frozen") != std::string::npos);
    CHECK(text.find("snapshot kept 7d, at most 2\n") != std::string::npos);
    CHECK(text.find("checks, packages, journal, command-1 ('cat /var/log/app'), within 5s\n") != std::string::npos);
}
