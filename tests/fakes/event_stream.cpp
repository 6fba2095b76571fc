// SPDX-License-Identifier: Apache-2.0
#include "fakes/event_stream.hpp"

#include <utility>

namespace belay::fakes {

event_stream::event_stream(sink to) : to_(std::move(to)) {}

core::plan event_stream::usual_plan() {
    core::plan how;
    how.instance = "web1";
    how.command.argv = {"apt-get", "-y", "dist-upgrade"};
    for (const auto* name : {"listening", "services", "packages"}) {
        core::check_spec check;
        check.name = name;
        check.file = std::string("/usr/share/belay/checks/") + name;
        how.checks.push_back(check);
    }
    return how;
}

void event_stream::add(core::event what, double seconds) {
    boottime_ += seconds;
    core::record r;
    r.seq = records.size() + 1;
    r.time = core::wall_time(std::chrono::milliseconds(1'777'636'800'000 + static_cast<std::int64_t>(boottime_ * 1e3)));
    r.boottime = 1'000 + boottime_;
    r.txn = txn;
    r.instance = plan.instance;
    r.what = std::move(what);
    chronicle_.see(r);
    records.push_back(std::move(r));
    if (to_) {
        to_(records.back());
    }
}

void event_stream::pass(const core::record& r) const {
    if (to_) {
        to_(r);
    }
}

void event_stream::begin(core::act what) {
    core::started e;
    e.what = key_of(what);
    e.attempt = ++attempt_;
    add(e);
}

void event_stream::end(core::act what, double seconds, const std::function<void(core::finished&)>& change) {
    core::finished e;
    e.what = key_of(what);
    e.attempt = attempt_;
    e.seconds = seconds;
    if (change) {
        change(e);
    }
    if (e.how != core::result::again) {
        attempt_ = 0;
    }
    add(e, seconds);
}

void event_stream::phase(core::act what, double seconds, const std::function<void(core::finished&)>& change) {
    begin(what);
    end(what, seconds, change);
}

void event_stream::print(std::string bytes, core::output::stream from) {
    add(core::output{from, std::move(bytes)});
}

std::vector<core::reading> event_stream::baseline_readings() {
    using enum core::health;
    return {{"listening", core::place::guest, true, pass, "2 ports", {"tcp/22 any", "tcp/53 any"}, {}, 0.1},
            {"services", core::place::guest, true, pass, "12 units run", {"unit ssh.service"}, {}, 0.2},
            {"packages", core::place::guest, true, skip, "no package database", {}, {}, 0.1}};
}

void event_stream::up_to_upgrade() {
    open();
    phase(core::act::preflight, 0.03, [](auto& e) {
        e.facts = core::instance_facts{};
        e.facts->pool = "default";
    });
    phase(core::act::lock, 0.01);
    phase(core::act::baseline, 0.41, [](auto& e) { e.checks = baseline_readings(); });
    phase(core::act::snapshot, 0.03);
}

void event_stream::wait_for_confirmation(core::wall_time until) {
    plan.confirms = true;
    up_to_upgrade();
    phase(core::act::upgrade, 1);
    phase(core::act::verify, 1);
    add(core::started{{core::act::confirm, {}}, 1, until});
}

std::vector<core::judged> event_stream::judgement(bool good) const {
    auto now = baseline_readings();
    if (!good) {
        now[0].summary = "1 port";
        now[0].good = {"tcp/22 any"};
    }
    return core::judge(baseline_readings(), now, {false, plan.expect_lost});
}

void event_stream::verify_well() {
    begin(core::act::verify);
    add(core::checked{{core::act::verify, {}}, 1, judgement(true)}, 0.4);
    add(core::soaking{{core::act::verify, {}}, 10}, 0);
    add(core::soaking{{core::act::verify, {}}, 5}, 5);
    end(core::act::verify, 10.5, [&](auto& e) { e.judgements = judgement(true); });
}

void event_stream::go_back() {
    decide(core::verdict::undo);
    phase(core::act::stop, 1.2);
    phase(core::act::restore, 0.2);
    phase(core::act::start, 0.9);
    phase(core::act::reverify, 2.5, [&](auto& e) { e.judgements = judgement(true); });
    phase(core::act::discard, 0.05);
    phase(core::act::unlock, 0.01);
    close(core::outcome::rolled_back);
}

void event_stream::upgrade_fails() {
    end(core::act::upgrade, 12.3, [](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::command_failed, "the command exited with 100", "", false};
        e.command = core::command_end{100, 42};
    });
}

void event_stream::good() {
    up_to_upgrade();
    begin(core::act::upgrade);
    print("Reading package lists...\n");
    print("Setting up pdns-server\n");
    end(core::act::upgrade, 41.2, [](auto& e) { e.command = core::command_end{0, 48}; });
    verify_well();
    decide(core::verdict::commit);
    phase(core::act::unlock, 0.01);
    close(core::outcome::committed);
}

void event_stream::bad_command() {
    up_to_upgrade();
    begin(core::act::upgrade);
    print("Reading package lists...\n");
    print("E: Unable to locate package\n", core::output::stream::err);
    upgrade_fails();
    go_back();
}

void event_stream::bad_check() {
    up_to_upgrade();
    begin(core::act::upgrade);
    end(core::act::upgrade, 41.2, [](auto& e) { e.command = core::command_end{0, 0}; });
    begin(core::act::verify);
    add(core::checked{{core::act::verify, {}}, 1, judgement(false)}, 0.4);
    add(core::checked{{core::act::verify, {}}, 2, judgement(false)}, 0.4);
    end(core::act::verify, 60.1, [&](auto& e) {
        e.how = core::result::failed;
        e.why = {core::reason::check_failed, core::explain(judgement(false)), "", false};
        e.judgements = judgement(false);
    });
    go_back();
}

void event_stream::stuck() {
    up_to_upgrade();
    begin(core::act::upgrade);
    upgrade_fails();
    decide(core::verdict::undo);
    phase(core::act::stop, 1.2);
    const core::error why{core::reason::restore_failed, "the restore of web1 failed", "dataset is busy", false};
    phase(core::act::restore, 3, [&](auto& e) {
        e.how = core::result::again;
        e.why = why;
    });
    phase(core::act::restore, 27, [&](auto& e) {
        e.how = core::result::failed;
        e.why = why;
    });
    close(core::outcome::stuck);
}

core::key event_stream::key_of(core::act what) {
    const bool per_target = what == core::act::snapshot || what == core::act::restore || what == core::act::discard;
    return {what, per_target ? "root" : ""};
}

} // namespace belay::fakes
