// SPDX-License-Identifier: Apache-2.0
#include "incus/bodies.hpp"

#include <nlohmann/json.hpp>

namespace belay::incus {
namespace {

using nlohmann::json;

constexpr const char* never = "0001-01-01T00:00:00Z";

std::string dump(const json& body) {
    return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

std::string config_body(const std::map<std::string, std::string>& keys) {
    return dump({{"config", keys}});
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

std::string exec_body(const std::string& program) {
    return dump(
        {{"command", {program}}, {"interactive", false}, {"wait-for-websocket", false}, {"record-output", false}});
}

std::string restore_body(const std::string& snapshot) {
    return dump({{"restore", snapshot}});
}

} // namespace belay::incus
