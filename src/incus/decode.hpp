// SPDX-License-Identifier: Apache-2.0
// Reads the daemon's JSON. Never throws and never trusts: what is missing or of another type is empty.
#pragma once
#include "core/event.hpp"
#include "core/leftovers.hpp"
#include "core/obstacles.hpp"
#include "core/retention.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace belay::incus {

/// The envelope of every answer (API document "rest-api"): what kind it is, and its error if it is one. The HTTP status
/// does not tell: `/wait` answers 200 to an operation that failed.
struct answer {
    enum class kind { sync, async, error, unreadable };

    kind what{kind::unreadable};
    std::string operation{}; ///< path of the background operation
    int error_code{};
    std::string error{};
};

answer decode_answer(std::string_view body);

/// A background operation. Codes below 200 are under way, 200 is success, the others are failures.
struct operation_state {
    int status_code{};
    std::string error{};
    int exit_status{-1}; ///< of a command that was executed; else -1

    bool under_way() const { return status_code > 0 && status_code < 200; }

    bool succeeded() const { return status_code == 200; }
};

operation_state decode_operation(std::string_view body);

/// What the answer to an exec says of its WebSockets: their secrets by name ("0", "1", "2", "control").
std::map<std::string, std::string> decode_secrets(std::string_view body);

/// What an instance or a snapshot has of its own, without its profiles: a restore takes it back.
struct local_settings {
    std::map<std::string, std::string> config;
    std::map<std::string, std::map<std::string, std::string>> devices;
};

/// What a GET of an instance says; `driver` of the facts stays empty, and `server`.
struct instance_state {
    core::instance_facts facts;
    std::string status;                 ///< Running, Stopped, Frozen, …
    std::string lock;                   ///< value of the lock key
    std::string restored;               ///< value of the key that says which transaction's restore succeeded
    std::vector<std::string> variables; ///< names of those that every program gets (environment.*)
    local_settings local;
};

/// Error: io_error when it is no instance at all.
core::expected<instance_state> decode_instance(std::string_view body);

/// The list of instances (recursion=1), of one project or of all. Those whose cluster member is down come without a
/// configuration: they are marked so.
std::vector<core::seen_instance> decode_instances(std::string_view body);

/// The names in a list of snapshots (paths, recursion=0).
std::vector<std::string> decode_snapshot_names(std::string_view body);

/// What a copy of an instance needs to know of it.
struct copied_instance {
    std::string name;
    std::string description;
    std::vector<std::string> profiles;
    std::map<std::string, std::map<std::string, std::string>> devices; ///< with those of its profiles
};

copied_instance decode_for_copy(std::string_view body);

/// What an instance or a custom volume says of itself, as far as a change of its schedule needs it.
struct own_schedule {
    std::optional<std::string> schedule; ///< `snapshots.schedule`, without that of profiles
    std::string description;
};

own_schedule decode_own_schedule(std::string_view body);

struct server_state {
    bool trusted{};
    bool clustered{};
    std::string version{};
    std::string fingerprint{};
    std::string process{};     ///< its process number: another one after a restart
    std::string only_driver{}; ///< of all its pools; empty in a cluster, whose members need not know each other's
    std::set<std::string> extensions{};
};

server_state decode_server(std::string_view body);

struct pool_state {
    std::string driver;
    std::map<std::string, std::string> config;
};

pool_state decode_pool(std::string_view body);

/// How full a pool is (`GET /1.0/storage-pools/P/resources`); nothing when the daemon does not say.
std::optional<core::pool_space> decode_pool_space(std::string_view body);

/// A size in the words of Incus (500MiB, 10GB, 4096; shared/units ParseByteSizeString); nothing when it is none.
std::optional<std::int64_t> parse_size(std::string_view text);

/// A custom volume, and who uses it: paths of instances and of profiles.
struct volume_state {
    std::vector<std::string> instances;
    std::vector<std::string> profiles;
    std::optional<std::string> schedule; ///< `snapshots.schedule`
    std::string content;                 ///< filesystem, block or iso
    std::optional<std::int64_t> size{};  ///< as configured
};

volume_state decode_volume(std::string_view body);

/// The paths of the instances that use a profile.
std::vector<std::string> decode_profile_users(std::string_view body);

/// An instance in the words of a person: its name, with its project before it unless that is the asker's.
std::string instance_label(const std::string& path, const std::string& project);

/// What matters of the settings of a project.
struct project_state {
    bool restricted{};
    std::string snapshots{}; ///< `restricted.snapshots`
    bool limited{};          ///< it has limits of some kind
    bool own_volumes{};      ///< its custom volumes are not those of the default project
};

project_state decode_project(std::string_view body);

/// The limits of a project and what is in use of them, by configuration key (`GET /1.0/projects/P/state`).
std::map<std::string, core::project_limit> decode_project_limits(std::string_view body);

/// What an instance counts towards the limits of its project, by configuration key (Incus, project/permissions.go,
/// getInstanceLimits).
std::map<std::string, std::int64_t> decode_claims(std::string_view body);

/// The configured size of the root disk of an instance.
std::optional<std::int64_t> decode_root_size(std::string_view body);

/// The status of a cluster member: Online, Evacuated, …
std::string decode_member_status(std::string_view body);

/// A snapshot, as one GET or the list of all of them gives it.
struct snapshot_state {
    std::string name;
    core::wall_time created{};
    std::optional<core::wall_time> expires{}; ///< nothing: never
    local_settings local;
};

snapshot_state decode_snapshot(std::string_view body);

/// The list of an instance's snapshots (recursion=1), oldest first.
std::vector<snapshot_state> decode_snapshots(std::string_view body);

/// The same list, as core knows them.
std::vector<core::snapshot_entry> decode_entries(std::string_view body);

/// When a snapshot expires; empty for never.
std::string decode_expiry(std::string_view body);

/// An operation that is under way.
struct task {
    std::string path;
    std::string description;

    bool operator==(const task&) const = default;
};

/// Whether a list of operations without recursion, which has their paths by status, has one that has not ended.
bool lists_active(std::string_view body);

/// The operations under way that work on an instance, or on one of these volumes (paths without a query), from the list
/// with recursion=1. Background tasks and migrations, whose data goes over websockets; not the commands that are
/// executed in it, which may be anybody's shell (Incus, operationtype.Type.Description).
std::vector<task> decode_tasks(std::string_view body, const std::string& project, const std::string& instance,
                               const std::vector<std::string>& volumes = {});

} // namespace belay::incus
