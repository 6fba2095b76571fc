// SPDX-License-Identifier: Apache-2.0
// What a snapshot holds, against the present: what a restore would take back, and whether it could work at all.
#include "core/differences.hpp"
#include "core/lock_rule.hpp"
#include "incus/instance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace belay::incus {
namespace {

using core::milliseconds;
using core::reason;
using device = std::map<std::string, std::string>;

std::string value(const device& d, const std::string& key) {
    const auto found = d.find(key);
    return found == d.end() ? std::string() : found->second;
}

/// Devices that need not be there when the instance starts.
bool optional(const device& d) {
    return value(d, "required") == "false" || value(d, "optional") == "true";
}

bool gone_from_host(const std::string& path) {
    std::error_code problem;
    const bool there = std::filesystem::exists(path, problem);
    return !there && !problem; // what may not be looked at may be there
}

} // namespace

/// Whether the daemon knows a path. What this user may not see counts as there.
core::expected<bool> instance::exists(const std::string& path, const deadline& until) {
    const auto r = daemon_.get(daemon_.in_project(path), until);
    if (r || r.error().code == reason::no_permission) {
        return true;
    }
    if (r.error().code == reason::not_found) {
        return false;
    }
    return std::unexpected(r.error());
}

core::expected<std::vector<std::string>> instance::missing_for(const local_settings& local, const deadline& until) {
    std::vector<std::string> missing;
    const auto need = [&](const std::string& what, const std::string& path) -> core::expected<void> {
        BELAY_TRY(const bool, there, exists(path, until));
        if (!there) {
            missing.push_back(what);
        }
        return {};
    };
    for (const auto& [name, d] : local.devices) {
        const auto pool = value(d, "pool");
        const auto source = value(d, "source").empty() ? value(d, "path") : value(d, "source");
        const auto network = value(d, "network");
        const auto parent = value(d, "parent");
        const auto type = value(d, "type");
        if (type == "disk" && !pool.empty()) {
            BELAY_TRY_VOID(
                need("storage pool " + pool + " (device " + name + ")", "/1.0/storage-pools/" + escape(pool)));
            if (value(d, "path") != "/" && !value(d, "source").empty()) {
                const auto volume = value(d, "source");
                BELAY_TRY_VOID(need(fmt::format("volume {}/{} (device {})", pool, volume, name),
                                    "/1.0/storage-pools/" + escape(pool) + "/volumes/custom/" +
                                        escape(volume.substr(0, volume.find('/')))));
            }
        } else if ((type == "disk" || type == "unix-char" || type == "unix-block") && source.starts_with('/') &&
                   !optional(d) && gone_from_host(source)) {
            missing.push_back(fmt::format("{} on the host (device {})", source, name));
        } else if (type == "nic" && !network.empty()) {
            BELAY_TRY_VOID(need("network " + network + " (device " + name + ")", "/1.0/networks/" + escape(network)));
        } else if (type == "nic" && !parent.empty() && gone_from_host("/sys/class/net/" + parent)) {
            BELAY_TRY_VOID(need("network " + parent + " (device " + name + ")", "/1.0/networks/" + escape(parent)));
        }
    }
    return missing;
}

core::expected<ports::snapshot_facts> instance::examine_snapshot(const std::string& name, milliseconds limit) {
    const deadline until(limit);
    BELAY_TRY(const instance_state, now, look(until));
    const auto list = daemon_.get(path("/snapshots?recursion=1"), until);
    if (!list) {
        return std::unexpected(in_words(list.error(), reason::io_error,
                                        fmt::format("the snapshots of instance {} could not be read", name_)));
    }
    const auto all = decode_snapshots(list->body);
    const auto found = std::ranges::find(all, name, &snapshot_state::name);
    if (found == all.end()) {
        return core::failure(reason::not_restorable,
                             fmt::format("instance {0} has no snapshot {1}: `incus snapshot list {0}` shows those that "
                                         "it has",
                                         name_, name));
    }
    ports::snapshot_facts facts;
    facts.created = found->created;
    if (const auto key = found->local.config.find(std::string(core::lock_key_name)); key != found->local.config.end()) {
        facts.lock = key->second;
    }
    facts.changes = core::differences(now.local.config, found->local.config, now.local.devices, found->local.devices);
    BELAY_TRY(auto, missing, missing_for(found->local, until));
    facts.missing = std::move(missing);
    return facts;
}

} // namespace belay::incus
