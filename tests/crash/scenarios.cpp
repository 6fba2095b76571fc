// SPDX-License-Identifier: Apache-2.0
#include "crash/scenarios.hpp"

#include "core/coverage.hpp"

#include <cassert>

namespace belay::crash {

namespace {

using fakes::fake_incus;
using fakes::fake_world;
using fakes::hook;
using namespace std::chrono_literals;

const std::string every_hour = "0 * * * *";

/// Passes on the old state, and on the new one if that is good. `until`: a good new state turns bad then.
auto healthy_on(bool good_new, milliseconds until = 24h) {
    return [good_new, until](const core::check_spec& spec, fake_incus& incus, milliseconds now) {
        const bool good = incus.content == "old" || (incus.content == "new" && good_new && now < until);
        const bool seen = incus.daemon_up && incus.facts.running && !incus.frozen;
        core::reading r{spec.name, spec.where, spec.required, core::health::pass, "fine", {"tcp/80 any"}, {}, 0};
        if (!good || !seen) {
            r.how = core::health::fail;
            r.good.clear();
        }
        return r;
    };
}

void equip(fake_world& w, const std::string& leaves, int exit_code, bool good_new) {
    w.plan.limit.soak = 1s;
    w.plan.limit.retry_for = 100ms;
    w.plan.limit.daemon_wait = 20s;
    w.plan.limit.rollback_retry = 3s;
    w.plan.limit.restart = 2s;
    w.incus.command_leaves = leaves;
    w.incus.command = [exit_code](fake_incus& incus) {
        incus.content = "half";
        for (auto& [name, volume] : incus.volumes) {
            volume.content = "new";
        }
        return exit_code;
    };
    w.checks.answer = healthy_on(good_new);
}

scenario plain(std::string name, const std::string& leaves, int exit_code, bool good_new) {
    scenario s;
    s.name = std::move(name);
    s.may_keep = exit_code == 0 && good_new;
    s.equip = [=](fake_world& w) { equip(w, leaves, exit_code, good_new); };
    return s;
}

scenario with(scenario s, std::string name, std::function<void(fake_world&)> more) {
    s.name = std::move(name);
    s.equip = [before = std::move(s.equip), more = std::move(more)](fake_world& w) {
        before(w);
        more(w);
    };
    return s;
}

scenario good() {
    return plain("good", "new", 0, true);
}

scenario timed_out() {
    auto s = with(good(), "time-out", [](fake_world& w) {
        w.plan.limit.upgrade = 5s;
        w.incus.command_takes = 1h;
    });
    s.may_keep = false;
    return s;
}

scenario signal_in_upgrade() {
    auto s = good();
    s.name = "signal in the upgrade";
    s.may_keep = false;
    s.first = [](fake_world& w) {
        w.incus.on_call = [&w](fake_incus& incus) {
            if (incus.calls.back() == "upgrade") {
                w.inbox.interrupt();
            }
        };
    };
    return s;
}

scenario signal_in_soak() {
    auto s = good();
    s.name = "signal in the soak";
    s.may_keep = false;
    s.first = [](fake_world& w) {
        w.inbox.on_wait = [&w] { w.inbox.interrupt(); }; // the first wait of this scenario
    };
    return s;
}

/// `answer`: what another process publishes while the first one waits.
scenario confirmed(std::string name, std::optional<core::verdict> answer, bool turns_bad) {
    auto s = with(good(), std::move(name), [turns_bad](fake_world& w) {
        w.plan.confirms = true;
        w.plan.limit.soak = 0s;
        w.plan.limit.confirm = 3s;
        if (turns_bad) {
            w.plan.limit.confirm = 10s;
            w.checks.answer = healthy_on(true, 6s);
        }
    });
    s.confirms = true;
    s.may_keep = answer == core::verdict::commit;
    s.first = [answer](fake_world& w) {
        w.decisions.from_outside = [answer, reads = 0]() mutable {
            const bool now = answer && ++reads > 2;
            return now ? std::optional(core::decision{*answer, {core::reason::no_confirm, "asked for"}}) : std::nullopt;
        };
    };
    return s;
}

scenario two_disks(std::string name, scenario s) {
    s.name = std::move(name);
    s.targets = {"root", "pool/data"};
    return s;
}

/// Everything that a plan can ask for at once.
scenario everything(std::string name, scenario s) {
    s = with(two_disks({}, std::move(s)), std::move(name), [](fake_world& w) {
        w.plan.pre = {hook("pre")};
        w.plan.quiesce = {hook("quiesce")};
        w.plan.resume = {hook("resume")};
        w.plan.saves_evidence = w.plan.keeps_failed = w.plan.lists_packages = w.plan.retains = true;
        w.plan.keep_for = 24h;
    });
    s.scheduled = true;
    return s;
}

/// The instance is stopped for its snapshots.
scenario stopped(std::string name, scenario s) {
    return with(std::move(s), std::move(name), [](fake_world& w) { w.plan.mode = core::snapshot_mode::stopped; });
}

scenario unchanged() {
    auto s = with(good(), "unchanged", [](fake_world& w) { w.plan.lists_packages = w.plan.drops_unchanged = true; });
    s.unchanged = true;
    return s;
}

/// The first process cannot end its pause, and whoever recovers can.
scenario stays_paused() {
    auto s = two_disks("two disks, stays paused", good());
    s.may_keep = false;
    s.first = [](fake_world& w) { w.incus.failures["unpause"] = {}; };
    return s;
}

scenario undo() {
    auto s = with(good(), "undo of a kept upgrade", [](fake_world& w) {
        w.plan.command = {};
        w.plan.undoes_kept = true;
        w.plan.undoes = undone_txn;
        w.plan.restores = core::snapshot_name(undone_txn);
        w.plan.takes_present = true;
        w.locks.journals[undone_txn] = core::journal_knowledge::closed;
        w.baseline = {{"listening", {}, true, core::health::pass, "fine", {"tcp/80 any"}, {}, 0}};
    });
    s.undoes = true;
    s.may_keep = false;
    return s;
}

scenario never_healthy() {
    auto s = with(good(), "old state not healthy any more", [](fake_world& w) {
        w.checks.answer = [](const core::check_spec& spec, fake_incus& incus, milliseconds now) {
            auto r = healthy_on(false)(spec, incus, now);
            if (incus.facts.last_used_at != "start-0") { // it does not survive a restart
                r.how = core::health::fail;
            }
            return r;
        };
    });
    s.may_keep = false;
    s.heals = false;
    return s;
}

} // namespace

site scenario::begin() const {
    site s;
    s.daemon.facts.driver = driver;
    s.daemon.operation_takes = 1s;
    s.daemon.tells_generations = tells_generations;
    s.daemon.facts.generation = tells_generations ? "generation-0" : "";
    for (const auto& target : targets) {
        s.daemon.disk_of(target);
        const auto [pool, volume] = core::volume_of(target);
        if (!volume.empty()) {
            s.daemon.facts.disks.push_back(
                {volume, "/" + volume, target, false, false, pool, volume, scheduled ? "zfs" : driver});
        }
        if (scheduled) {
            s.daemon.schedule_of(target) = every_hour;
        }
    }
    if (scheduled && driver == "btrfs") {
        s.daemon.facts.driver = "zfs"; // behaves like it, but for the snapshots that it can restore
    }
    if (undoes) {
        const auto lock = std::string(undone_txn) + " machine boot 7";
        fakes::saved before;
        before.config = {{std::string(core::lock_key_name), lock}};
        before.powered = before.complete = true;
        s.daemon.snapshots[core::snapshot_name(undone_txn)] = before;
        s.daemon.content = "new";
    }
    return s;
}

std::string way_back(const scenario& s) {
    return core::snapshot_name(s.undoes ? undone_txn : txn);
}

std::vector<scenario> scenarios(const std::string& driver) {
    auto bad_command = plain("bad command", "half", 100, false);
    std::vector<scenario> all{
        good(),
        bad_command,
        plain("bad check", "new", 0, false),
        timed_out(),
        signal_in_upgrade(),
        signal_in_soak(),
        confirmed("confirmed", core::verdict::commit, false),
        confirmed("confirm: undone", core::verdict::undo, false),
        confirmed("confirm: nobody", std::nullopt, false),
        confirmed("confirm: turns bad", std::nullopt, true),
        with(good(), "restart", [](fake_world& w) { w.plan.restart = core::restart_policy::always; }),
        with(bad_command, "restart, bad command", [](fake_world& w) { w.plan.restart = core::restart_policy::always; }),
        two_disks("two disks", good()),
        two_disks("two disks, bad command", bad_command),
        stays_paused(),
        everything("everything", good()),
        everything("everything, bad command", bad_command),
        stopped("stopped for the snapshots", good()),
        stopped("stopped, two disks, bad command", two_disks({}, bad_command)),
        unchanged(),
        undo(),
        never_healthy(),
    };
    for (auto& s : all) {
        s.driver = driver;
    }
    return all;
}

scenario without_generations(const std::string& driver) {
    auto s = plain("bad command, no generations", "half", 100, false);
    s.driver = driver;
    s.tells_generations = false;
    return s;
}

scenario scenario_named(const std::string& name, const std::string& driver) {
    for (auto& s : scenarios(driver)) {
        if (s.name == name) {
            return s;
        }
    }
    assert(false && "no such scenario");
    return {};
}

} // namespace belay::crash
