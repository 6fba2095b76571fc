// SPDX-License-Identifier: Apache-2.0
#include "fakes/daemon.hpp"

#include <algorithm>
#include <utility>

namespace belay::fakes {

fake_daemon::fake_daemon() {
    facts.uuid = "0000-web1";
    facts.generation = "generation-0";
    facts.server = "server";
    facts.type = "container";
    facts.pool = "default";
    facts.driver = "btrfs";
    facts.last_used_at = "start-0";
    facts.running = true;
    facts.description = "what people wrote";
    facts.disks = {{"root", "/", "default", true, false}};
}

std::string& fake_daemon::schedule_of(const std::string& target) {
    return target == "root" ? config["snapshots.schedule"] : volume_schedules[target];
}

void fake_daemon::take_by_schedule(const std::string& name) {
    snapshots[name] = {*this, config, powered, true, {}, ++snapshots_taken_};
}

void fake_daemon::catch_up(milliseconds now) {
    while (!under_way.empty()) {
        const auto first = std::ranges::min_element(under_way, {}, &operation::ends);
        if (first->ends > now) {
            break;
        }
        const auto done = *first;
        under_way.erase(first);
        complete(done);
    }
    if (program && program->ends <= now) {
        content = program->leaves;
        program.reset();
    }
    if (!daemon_up && back_at && *back_at <= now) {
        come_up();
    }
}

std::optional<std::string> fake_daemon::begin(operation o, milliseconds now) {
    o.ends = now + operation_takes;
    if (auto refusal = begin_effect(o, now)) {
        return refusal;
    }
    under_way.push_back(o);
    return std::nullopt;
}

void fake_daemon::die(milliseconds now, std::optional<milliseconds> back) {
    for (const auto& o : std::exchange(under_way, {})) {
        cut(o, now);
    }
    daemon_up = false;
    back_at = back;
}

void fake_daemon::lose_power(milliseconds now) {
    die(now, now);
    copies_until = milliseconds{0};
    program.reset();
    facts.running = frozen = quiesced = false;
    come_up();
}

milliseconds fake_daemon::settles_at(milliseconds now) const {
    auto at = std::max(now, copies_until);
    for (const auto& o : under_way) {
        at = std::max(at, o.ends);
    }
    return at;
}

std::string fake_daemon::etag() const {
    std::string all = facts.running ? "running" : "stopped";
    for (const auto& [k, v] : config) {
        all += ";" + k + "=" + v;
    }
    return all;
}

bool fake_daemon::is_mixed() const {
    return content == "mix" ||
           std::ranges::any_of(volumes, [](const auto& volume) { return volume.second.content == "mix"; });
}

bool fake_daemon::is_under_way(task what) const {
    return std::ranges::any_of(under_way, [&](const auto& o) { return o.what == what; });
}

std::optional<std::string> fake_daemon::begin_effect(operation& o, milliseconds now) {
    auto& on = disk_of(o.target);
    switch (o.what) {
    case task::snapshot:
        return begin_snapshot(o, on);
    case task::discard:
        if (is_under_way(task::restore) || copies_until > now) {
            ruin("a snapshot was deleted while it was being restored");
        }
        if (!on.snapshots.contains(o.name)) {
            return "Instance snapshot not found";
        }
        on.snapshots[o.name].complete = false;
        return std::nullopt;
    case task::restore:
        return begin_restore(o, on, now);
    case task::start:
        if (facts.running) {
            return "The instance is already running";
        }
        if (is_under_way(task::restore) || copies_until > now) {
            ruin("the instance was started while it was being restored");
        }
        if (is_mixed()) {
            harm.emplace_back("the instance was started on a mix of old and new");
        }
        return std::nullopt;
    case task::stop:
        return facts.running ? std::nullopt : std::optional<std::string>("The instance is already stopped");
    case task::freeze:
        frozen = facts.running;
        return std::nullopt;
    case task::unfreeze:
        if (is_under_way(task::snapshot)) {
            spoil_snapshots();
        }
        return std::nullopt;
    }
    return std::nullopt;
}

void fake_daemon::spoil_snapshots() {
    for (const auto& o : under_way) {
        if (o.what == task::snapshot) {
            disk_of(o.target).snapshots[o.name].content = "mix";
        }
    }
}

std::optional<std::string> fake_daemon::begin_snapshot(operation& o, disk& on) {
    if (on.snapshots.contains(o.name)) {
        return "UNIQUE constraint failed";
    }
    if (o.target == "root" && facts.driver == "dir" && facts.running && !frozen) {
        o.froze = frozen = true;
    }
    on.snapshots[o.name] = {on, config, powered, false, {}, ++snapshots_taken_};
    return std::nullopt;
}

std::optional<std::string> fake_daemon::begin_restore(const operation& o, disk& on, milliseconds now) {
    if (o.target != "root" && facts.running) {
        return "The volume is in use by a running instance";
    }
    go_down();
    if (is_under_way(task::restore) || copies_until > now) {
        ruin("a restore was begun while another one was under way");
    }
    if (leftover) {
        return "Failed to rename \"/pool/containers/web1\" to \"/pool/containers/web1.incustmp\": file exists";
    }
    const auto found = on.snapshots.find(o.name);
    if (found == on.snapshots.end()) {
        return "Instance snapshot not found";
    }
    if (!found->second.complete) {
        ruin("a snapshot that is not whole was restored");
    }
    before_restore_[o.target] = on;
    on.content = ruined_ ? "ruined" : "mix";
    return std::nullopt;
}

void fake_daemon::complete(const operation& o) {
    auto& on = disk_of(o.target);
    switch (o.what) {
    case task::snapshot:
        if (const auto row = on.snapshots.find(o.name); row != on.snapshots.end()) {
            row->second.complete = true;
        }
        frozen = frozen && !o.froze;
        return;
    case task::discard:
        on.snapshots.erase(o.name);
        return;
    case task::restore:
        put_back(o);
        return;
    case task::stop:
        go_down();
        return;
    case task::start:
        go_up();
        return;
    case task::freeze:
        return;
    case task::unfreeze:
        frozen = false;
        return;
    }
}

void fake_daemon::put_back(const operation& o) {
    auto& on = disk_of(o.target);
    const auto found = on.snapshots.find(o.name);
    if (found == on.snapshots.end()) {
        return ruin("the snapshot was gone before its restore had ended");
    }
    put_files_back(on, found->second);
    if (o.target == "root") {
        config = found->second.config;
        facts.description.clear();
        ++restores_;
        if (tells_generations) {
            powered = found->second.powered;
            facts.generation = "generation-" + std::to_string(restores_);
        }
    }
}

void fake_daemon::put_files_back(disk& on, const saved& from) {
    for (const auto& entry : on.written) {
        if (since_restore_.contains(entry) && std::ranges::find(from.written, entry) == from.written.end()) {
            harm.push_back(&on == this ? "what the instance wrote after its rollback is gone: " + entry
                                       : volume_restored_again);
        }
    }
    static_cast<files&>(on) = from;
    if (ruined_) {
        content = "ruined";
    }
}

void fake_daemon::cut(const operation& o, milliseconds now) {
    auto& on = disk_of(o.target);
    if (o.what == task::restore && facts.driver == "dir") {
        copies_until = now + orphans_take;
    } else if (o.what == task::restore) {
        leftover = leaves_leftovers;
        const auto from = on.snapshots.find(o.name);
        if (lucky && from != on.snapshots.end()) {
            put_files_back(on, from->second);
        } else {
            static_cast<files&>(on) = before_restore_[o.target];
        }
    } else if (o.what != task::snapshot && lucky) {
        complete(o);
    }
}

void fake_daemon::come_up() {
    daemon_up = true;
    back_at.reset();
    daemon_process = std::to_string(std::stoi(daemon_process) + 1);
    if (powered && !facts.running) {
        go_up();
    }
}

void fake_daemon::go_down() {
    facts.running = frozen = powered = quiesced = false;
    program.reset();
}

void fake_daemon::go_up() {
    const auto entry = "start-" + std::to_string(++starts_);
    facts.running = powered = true;
    facts.last_used_at = entry;
    written.push_back(entry);
    for (auto& [name, volume] : volumes) {
        volume.written.push_back(entry);
    }
    if (restores_ > 0) {
        since_restore_.insert(entry);
    }
}

void fake_daemon::ruin(const std::string& how) {
    ruined_ = true;
    content = "ruined";
    harm.push_back(how);
}

} // namespace belay::fakes
