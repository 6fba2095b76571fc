// SPDX-License-Identifier: Apache-2.0
// A fake Incus, the daemon's side: one instance with its disks, snapshots and configuration, and operations that live
// on when whoever asked for them is gone. What the real one does not protect is not protected here either; a value, so
// that a test can copy it as it stands. Nothing here is a port.
#pragma once
#include "core/event.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
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
    fake_daemon();

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

    std::string& schedule_of(const std::string& target);

    const disk& disk_of(const std::string& target) const { return target == "root" ? *this : volumes.at(target); }

    /// What a schedule does.
    void take_by_schedule(const std::string& name);

    /// Does what has become due. Called whenever the clock may have moved.
    void catch_up(milliseconds now);

    /// Accepts a request, or says why not. Whatever the real daemon accepts is accepted, and does its harm.
    std::optional<std::string> begin(operation o, milliseconds now);

    /// The daemon is killed.
    void die(milliseconds now, std::optional<milliseconds> back);

    /// The host loses power and is there again: no program survives, and the daemon starts what ran.
    void lose_power(milliseconds now);

    /// Whether nothing works on the instance.
    bool settled(milliseconds now) const { return under_way.empty() && copies_until <= now; }

    /// When that will be.
    milliseconds settles_at(milliseconds now) const;

    std::string etag() const;

    bool is_mixed() const;

    bool is_under_way(task what) const;

private:
    std::optional<std::string> begin_effect(operation& o, milliseconds now);

    /// The instance is thawed while it is being copied: what comes out is of no one moment.
    void spoil_snapshots();

    /// The row comes before the copy. `dir` keeps the instance frozen meanwhile.
    std::optional<std::string> begin_snapshot(operation& o, disk& on);

    /// Incus 6.0 stops a running instance before it looks whether it can restore at all.
    std::optional<std::string> begin_restore(const operation& o, disk& on, milliseconds now);

    void complete(const operation& o);

    /// The configuration is written last, with the state of power and a new generation in it. A snapshot of Incus 6.0
    /// has no description, so that it is empty then.
    void put_back(const operation& o);

    void put_files_back(disk& on, const saved& from);

    /// A copy of `dir` that is cut leaves a mix, and goes on to write for a while; btrfs has swapped or it has not.
    void cut(const operation& o, milliseconds now);

    void come_up();

    void go_down();

    void go_up();

    void ruin(const std::string& how);

    int starts_{0};
    int restores_{0};
    int snapshots_taken_{0};
    bool ruined_{false};
    std::set<std::string> since_restore_; ///< starts after a restore that succeeded
    std::map<std::string, files> before_restore_;
};

} // namespace belay::fakes
