// SPDX-License-Identifier: Apache-2.0
#include "incus/bodies.hpp"

#include "core/lock_rule.hpp"
#include "core/time_text.hpp"

#include <nlohmann/json.hpp>

namespace belay::incus {
namespace {

using nlohmann::json;

constexpr const char* never = "0001-01-01T00:00:00Z";

std::string dump(const json& body) {
    return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

std::string settings_body(const std::map<std::string, std::string>& keys, const std::string& description) {
    return dump({{"config", keys}, {"description", description}});
}

std::string state_body(const std::string& action, core::milliseconds patience, bool force) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(patience);
    return dump({{"action", action}, {"timeout", seconds.count()}, {"force", force}, {"stateful", false}});
}

std::string snapshot_body(const std::string& name) {
    return dump({{"name", name}, {"stateful", false}, {"expires_at", never}});
}

std::string eternal_body() {
    return dump({{"expires_at", never}});
}

std::string expiry_body(std::optional<core::wall_time> when) {
    return dump({{"expires_at", when ? core::to_rfc3339(*when) : std::string(never)}});
}

std::string copy_body(const copied_instance& source, const std::string& name) {
    auto devices = json::object();
    for (const auto& [device, settings] : source.devices) {
        const auto at = settings.find("path");
        const bool root = at != settings.end() && at->second == "/";
        devices[device] = root ? settings : std::map<std::string, std::string>{{"type", "none"}};
    }
    return dump({{"name", name},
                 {"description", source.description},
                 {"source", {{"type", "copy"}, {"source", source.name}, {"instance_only", true}}},
                 {"config",
                  {{std::string(core::lock_key_name), ""},
                   {std::string(core::restored_key_name), ""},
                   {"boot.autostart", "false"},
                   {"snapshots.schedule", "@never"}}},
                 {"devices", devices},
                 {"profiles", source.profiles}});
}

std::string exec_body(const ports::guest_command& command) {
    auto environment = json::object();
    for (const auto& [name, value] : command.env) {
        environment[name] = value;
    }
    json body{{"command", command.argv},
              {"environment", environment},
              {"interactive", false},
              {"wait-for-websocket", true},
              {"record-output", false}};
    if (!command.cwd.empty()) {
        body["cwd"] = command.cwd;
    }
    if (command.user) {
        body["user"] = *command.user;
    }
    if (command.group) {
        body["group"] = *command.group;
    }
    return dump(body);
}

std::string signal_body(int number) {
    return dump({{"command", "signal"}, {"signal", number}});
}

std::string restore_body(const std::string& snapshot) {
    return dump({{"restore", snapshot}});
}

} // namespace belay::incus
