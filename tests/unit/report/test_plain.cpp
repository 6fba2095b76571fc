// SPDX-License-Identifier: Apache-2.0
#include "report/plain.hpp"

#include "captured.hpp"
#include "fakes/event_stream.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;

namespace {

std::string played(void (fakes::event_stream::*story)()) {
    const test::captured file;
    report::plain view(file.fd(), {});
    fakes::event_stream events([&](const auto& r) { view.on(r); });
    (events.*story)();
    return file.text();
}

} // namespace

TEST_CASE("a good upgrade in plain lines", "[report]") {
    CHECK(played(&fakes::event_stream::good) == R"(belay: web1  20260501t120000z-ab12
web1: preflight ok (0.03s)
web1: lock ok (0.01s)
web1: baseline ok (0.41s), 3 checks: 2 pass, 1 skipped
web1: snapshot ok (0.03s)
web1: upgrade begins: apt-get -y dist-upgrade
    Reading package lists...
    Setting up pdns-server
web1: upgrade ok (41.2s)
web1: verify begins: the checks have 1m to pass and must stay good for 10s
web1: the checks pass and must stay good for 10s
web1: verify ok (10.5s)
web1: check listening: pass, 2 ports
web1: check services: pass, 12 units run
web1: check packages: skipped, no package database
web1: commit ok (0.01s)
web1 is upgraded and kept: every required check passes (57.6s).
  snapshot  belay-20260501t120000z-ab12 stays until you delete it
  to undo   belay rollback 20260501t120000z-ab12
  to free   incus snapshot delete web1 belay-20260501t120000z-ab12
)");
}

TEST_CASE("a command that fails in plain lines", "[report]") {
    CHECK(played(&fakes::event_stream::bad_command) == R"(belay: web1  20260501t120000z-ab12
web1: preflight ok (0.03s)
web1: lock ok (0.01s)
web1: baseline ok (0.41s), 3 checks: 2 pass, 1 skipped
web1: snapshot ok (0.03s)
web1: upgrade begins: apt-get -y dist-upgrade
    Reading package lists...
    E: Unable to locate package
web1: upgrade FAILED (12.3s): the command exited with 100
web1: going back to the snapshot
web1: stop ok (1.20s)
web1: restore begins
web1: restore ok (0.20s)
web1: start ok (0.90s)
web1: reverify ok (2.50s)
web1: check listening: pass, 2 ports
web1: check services: pass, 12 units run
web1: check packages: skipped, no package database
web1: discard ok (0.05s)
web1: unlock ok (0.01s)
web1 is back in its old state, running and as healthy as before.
  why       the command exited with 100
  down for  2.30s
  output    /var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log
)");
}

TEST_CASE("a check that fails in plain lines", "[report]") {
    CHECK(played(&fakes::event_stream::bad_check) == R"(belay: web1  20260501t120000z-ab12
web1: preflight ok (0.03s)
web1: lock ok (0.01s)
web1: baseline ok (0.41s), 3 checks: 2 pass, 1 skipped
web1: snapshot ok (0.03s)
web1: upgrade begins: apt-get -y dist-upgrade
web1: upgrade ok (41.2s)
web1: verify begins: the checks have 1m to pass and must stay good for 10s
web1: round 1: waiting for listening
web1: verify FAILED (60.1s)
web1: check listening: fail, 1 port; lost tcp/53 any
web1: check services: pass, 12 units run
web1: check packages: skipped, no package database
web1: going back to the snapshot
web1: stop ok (1.20s)
web1: restore begins
web1: restore ok (0.20s)
web1: start ok (0.90s)
web1: reverify ok (2.50s)
web1: check listening: pass, 2 ports
web1: check services: pass, 12 units run
web1: check packages: skipped, no package database
web1: discard ok (0.05s)
web1: unlock ok (0.01s)
web1 is back in its old state, running and as healthy as before.
  why       check listening: lost tcp/53 any. If the loss is intended, run again with --expect-lost 'tcp/53 any'
  down for  2.30s
  output    /var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log
)");
}

TEST_CASE("a stuck rollback in plain lines", "[report]") {
    CHECK(played(&fakes::event_stream::stuck) == R"(belay: web1  20260501t120000z-ab12
web1: preflight ok (0.03s)
web1: lock ok (0.01s)
web1: baseline ok (0.41s), 3 checks: 2 pass, 1 skipped
web1: snapshot ok (0.03s)
web1: upgrade begins: apt-get -y dist-upgrade
web1: upgrade FAILED (12.3s): the command exited with 100
web1: going back to the snapshot
web1: stop ok (1.20s)
web1: restore begins
web1: the restore of web1 failed: dataset is busy; trying again
web1: restore FAILED (30.0s): the restore of web1 failed: dataset is busy
web1 is in an unknown state: the rollback could not be finished.
  why     the command exited with 100; then the restore of web1 failed: dataset is busy
  output  /var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log
  kept    the lock and the snapshot belay-20260501t120000z-ab12
  `belay recover` tries again to end it. By hand, in this order:
    incus snapshot restore web1 belay-20260501t120000z-ab12
    incus config unset web1 user.belay.transaction
    incus start web1
)");
}

TEST_CASE("what comes of the phases around a rollback, in plain lines", "[report]") {
    const test::captured file;
    report::plain view(file.fd(), {});
    fakes::event_stream events([&](const auto& r) { view.on(r); });
    events.plan.quiesce = {{"flush", "", {"flush"}}};
    events.plan.resume = {{"go on", "", {"go on"}}};
    events.open();
    events.phase(core::act::preflight, 0.1, [](auto& e) {
        e.facts.emplace();
        e.facts->disks = {{"root", "/", "fast", true, false},
                          {"data", "/data", "fast/data", false, false, "fast", "data", "btrfs"}};
    });
    events.phase(core::act::quiesce, 0.1);
    events.phase(core::act::pause, 0.1);
    for (const auto* target : {"root", "fast/data"}) {
        events.add(core::started{{core::act::snapshot, target}});
        events.add(core::finished{.what = {core::act::snapshot, target}, .seconds = 0.1}, 0.1);
    }
    events.phase(core::act::unpause, 0.1);
    events.phase(core::act::resume, 0.1);
    events.phase(core::act::upgrade, 1, [](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::command_failed, "the command exited with 100", "", false};
        e.packages = core::package_diff{{{"nginx", "1.22", "1.24"}}, {}, {{"old", "1"}}};
    });
    events.decide(core::verdict::undo);
    events.phase(core::act::evidence, 0.3, [](auto& e) { e.evidence = {"checks", "journal"}; });
    events.phase(core::act::stop, 1);
    events.phase(core::act::keep_failed, 1, [](auto& e) { e.copy = "web1-failed-x"; });
    CHECK(file.text() == R"(belay: web1  20260501t120000z-ab12
web1: preflight ok (0.10s)
web1: quiesce begins: flush
web1: quiesce ok (0.10s)
web1: pause begins: freezing the instance for its snapshots
web1: pause ok (0.10s)
web1: snapshot root ok (0.10s)
web1: snapshot fast/data ok (0.10s)
web1: unpause ok (0.10s)
web1: resume begins: go on
web1: resume ok (0.10s)
web1: upgrade begins: apt-get -y dist-upgrade
web1: upgrade FAILED (1.00s): the command exited with 100
web1: packages: 1 upgraded (nginx 1.22 → 1.24), 1 removed (old)
web1: going back to the snapshot
web1: evidence begins
web1: evidence ok (0.30s)
web1: saved: checks, journal
web1: stop ok (1.00s)
web1: keep-failed begins: copying the broken state to web1-failed-20260501t120000z-ab12
web1: keep-failed ok (1.00s)
web1: web1-failed-x has the broken state, and is stopped
)");
}

TEST_CASE("a run that is refused for its disks shows all of them, and the options that accept it", "[report]") {
    const test::captured file;
    report::plain view(file.fd(), {});
    fakes::event_stream events([&](const auto& r) { view.on(r); });
    events.open();
    events.phase(core::act::preflight, 0.1, [](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::uncovered, "the snapshot does not cover /srv", "", false};
        e.facts.emplace();
        e.facts->disks = {{"root", "/", "fast", true, false}, {"srv", "/srv", "/srv\x1b[2J", false, false}};
    });
    CHECK(file.text() == R"(belay: web1  20260501t120000z-ab12
web1: preflight FAILED (0.10s): the snapshot does not cover /srv
    ✓  root  /     fast      with the instance
    ✗  srv   /srv  /srv [2J  on the host: NOT covered
web1: to accept that, add --uncovered /srv
)");
}
