// SPDX-License-Identifier: Apache-2.0
#include "incus/socket.hpp"

#include <cstdlib>
#include <unistd.h>

namespace belay::incus {
namespace {

std::string usable_in(const std::string& folder, const socket_surroundings& world) {
    std::string socket = folder + "/unix.socket";
    const std::string of_user = socket + ".user";
    return !world.writable(socket) && world.writable(of_user) ? of_user : socket;
}

} // namespace

socket_surroundings real_surroundings() {
    return {.variable =
                [](const char* name) {
                    const char* value = std::getenv(name);
                    return std::string(value == nullptr ? "" : value);
                },
            .exists = [](const std::string& path) { return ::access(path.c_str(), F_OK) == 0; },
            .writable = [](const std::string& path) { return ::access(path.c_str(), W_OK) == 0; }};
}

core::expected<std::string> find_socket(const socket_surroundings& world) {
    if (auto socket = world.variable("INCUS_SOCKET"); !socket.empty()) {
        return socket;
    }
    if (const auto folder = world.variable("INCUS_DIR"); !folder.empty()) {
        return usable_in(folder, world);
    }
    for (const std::string folder : {"/var/lib/incus", "/run/incus"}) {
        auto socket = usable_in(folder, world);
        if (world.exists(socket)) {
            return socket;
        }
    }
    return core::failure(core::reason::no_daemon,
                         "no Incus daemon found: neither /var/lib/incus/unix.socket nor /run/incus/unix.socket exists; "
                         "start it (`systemctl start incus`), or set INCUS_SOCKET or INCUS_DIR");
}

} // namespace belay::incus
