// SPDX-License-Identifier: Apache-2.0
// A fake Incus, the daemon's side: one instance with its disks, snapshots and configuration, and operations that live
// on when whoever asked for them is gone. What the real one does not protect is not protected here either; a value, so
// that a test can copy it as it stands. Nothing here is a port.
#pragma once
#include "core/event.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace belay::fakes {

using core::milliseconds;

/// What is on a disk: a word for its files, and what the instance wrote itself, once each time it was started.
struct files {
    std::string content{"old"};
    std::vector<std::string> written{};

    bool operator==(const files&) const = default;
};

struct saved : files {
    std::map<std::string, std::string> config{};
    bool powered{}; ///< `volatile.last_state.power`, which a restore brings back like every key
    bool complete{};
    std::optional<core::wall_time> expires{};
    int number{}; ///< in the order in which they were taken

    bool operator==(const saved&) const = default;
};

struct disk : files {
    std::map<std::string, saved> snapshots;

    bool operator==(const disk&) const = default;
};

enum class task { snapshot, discard, restore, stop, start, freeze, unfreeze };

/// A request that was accepted. It goes on in the daemon, whatever becomes of its client.
struct operation {
    task what{};
    std::string target{"root"};
    std::string name{};
    milliseconds ends{};
    bool froze{false}; ///< the daemon froze the instance itself, and thaws it at the end

    bool operator==(const operation&) const = default;
};

/// A command in the instance. It goes on until it ends or the instance stops.
struct guest_program {
    milliseconds ends{};
    std::string leaves; ///< the content that it leaves behind

    bool operator==(const guest_program&) const = default;
};

/// The daemon and its one instance, whose root disk are the members of `disk`.
class fake_daemon : public disk {
public:
    fake_daemon() {
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

    bool operator==(const fake_daemon&) const = default;

    // What is true.
    core::instance_facts facts;
    bool exists{true};
    bool powered{true}; ///< a daemon that comes up starts the instance if it is not running
    bool frozen{false};
    std::map<std::string, std::string> config;
    std::map<std::string, disk> volumes;
    std::optional<guest_program> program;
    bool quiesced{false}; ///< by a hook: the software in the instance waits
    std::map<std::string, std::string> volume_schedules;
    std::map<std::string, std::string> copies; ///< other instances, and what is on them

    bool daemon_up{true};
    std::string daemon_process{"1"};
    std::optional<milliseconds> back_at; ///< when a daemon that died comes back
    std::vector<operation> under_way;
    milliseconds copies_until{0}; ///< driver dir: a copy that a dead daemon left behind writes until then
    bool leaves_leftovers{false}; ///< driver btrfs: a restore that is cut leaves what makes every later one fail
    bool leftover{false};
    bool tells_generations{true}; ///< a restore leaves a new generation, and the state of power of the snapshot
    bool lucky{false};            ///< an operation that is cut had its effect, where either may be

    milliseconds operation_takes{100};
    milliseconds orphans_take{3'000};

    // What happened that must not, as sentences.
    std::vector<std::string> harm;

    static inline const std::string volume_restored_again =
        "what the instance wrote to a volume after its rollback is gone";

    disk& disk_of(const std::string& target) { return target == "root" ? *this : volumes[target]; }

    std::string& schedule_of(const std::string& target) {
        return target == "root" ? config["snapshots.schedule"] : volume_schedules[target];
    }

    const disk& disk_of(const std::string& target) const { return target == "root" ? *this : volumes.at(target); }

    /// What a schedule does.
    void take_by_schedule(const std::string& name) {
        snapshots[name] = {*this, config, powered, true, {}, ++snapshots_taken_};
    }

    /// Does what has become due. Called whenever the clock may have moved.
    void catch_up(milliseconds now) {
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

    /// Accepts a request, or says why not. Whatever the real daemon accepts is accepted, and does its harm.
    std::optional<std::string> begin(operation o, milliseconds now) {
        o.ends = now + operation_takes;
        if (auto refusal = begin_effect(o, now)) {
            return refusal;
        }
        under_way.push_back(o);
        return std::nullopt;
    }

    /// The daemon is killed.
    void die(milliseconds now, std::optional<milliseconds> back) {
        for (const auto& o : std::exchange(under_way, {})) {
            cut(o, now);
        }
        daemon_up = false;
        back_at = back;
    }

    /// The host loses power and is there again: no program survives, and the daemon starts what ran.
    void lose_power(milliseconds now) {
        die(now, now);
        copies_until = milliseconds{0};
        program.reset();
        facts.running = frozen = quiesced = false;
        come_up();
    }

    /// Whether nothing works on the instance.
    bool settled(milliseconds now) const { return under_way.empty() && copies_until <= now; }

    /// When that will be.
    milliseconds settles_at(milliseconds now) const {
        auto at = std::max(now, copies_until);
        for (const auto& o : under_way) {
            at = std::max(at, o.ends);
        }
        return at;
    }

    std::string etag() const {
        std::string all = facts.running ? "running" : "stopped";
        for (const auto& [k, v] : config) {
            all += ";" + k + "=" + v;
        }
        return all;
    }

    bool is_mixed() const {
        return content == "mix" ||
               std::ranges::any_of(volumes, [](const auto& volume) { return volume.second.content == "mix"; });
    }

    bool is_under_way(task what) const {
        return std::ranges::any_of(under_way, [&](const auto& o) { return o.what == what; });
    }

private:
    std::optional<std::string> begin_effect(operation& o, milliseconds now) {
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

    /// The instance is thawed while it is being copied: what comes out is of no one moment.
    void spoil_snapshots() {
        for (const auto& o : under_way) {
            if (o.what == task::snapshot) {
                disk_of(o.target).snapshots[o.name].content = "mix";
            }
        }
    }

    /// The row comes before the copy. `dir` keeps the instance frozen meanwhile.
    std::optional<std::string> begin_snapshot(operation& o, disk& on) {
        if (on.snapshots.contains(o.name)) {
            return "UNIQUE constraint failed";
        }
        if (o.target == "root" && facts.driver == "dir" && facts.running && !frozen) {
            o.froze = frozen = true;
        }
        on.snapshots[o.name] = {on, config, powered, false, {}, ++snapshots_taken_};
        return std::nullopt;
    }

    /// Incus 6.0 stops a running instance before it looks whether it can restore at all.
    std::optional<std::string> begin_restore(const operation& o, disk& on, milliseconds now) {
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

    void complete(const operation& o) {
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

    /// The configuration is written last, with the state of power and a new generation in it. A snapshot of Incus 6.0
    /// has no description, so that it is empty then.
    void put_back(const operation& o) {
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

    void put_files_back(disk& on, const saved& from) {
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

    /// A copy of `dir` that is cut leaves a mix, and goes on to write for a while; btrfs has swapped or it has not.
    void cut(const operation& o, milliseconds now) {
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

    void come_up() {
        daemon_up = true;
        back_at.reset();
        daemon_process = std::to_string(std::stoi(daemon_process) + 1);
        if (powered && !facts.running) {
            go_up();
        }
    }

    void go_down() {
        facts.running = frozen = powered = quiesced = false;
        program.reset();
    }

    void go_up() {
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

    void ruin(const std::string& how) {
        ruined_ = true;
        content = "ruined";
        harm.push_back(how);
    }

    int starts_{0};
    int restores_{0};
    int snapshots_taken_{0};
    bool ruined_{false};
    std::set<std::string> since_restore_; ///< starts after a restore that succeeded
    std::map<std::string, files> before_restore_;
};

} // namespace belay::fakes
