// SPDX-License-Identifier: Apache-2.0
// Finds the daemon's socket. Asks its surroundings through functions, so that it can be tested.
#pragma once
#include "core/error.hpp"

#include <functional>
#include <string>

namespace belay::incus {

/// What the search sees of the world.
struct socket_surroundings {
    std::function<std::string(const char* variable)> variable; ///< empty when it is not set
    std::function<bool(const std::string& path)> exists;
    std::function<bool(const std::string& path)> writable;
};

/// The real environment and file system.
socket_surroundings real_surroundings();

/// $INCUS_SOCKET, else unix.socket below $INCUS_DIR, /var/lib/incus or /run/incus: a variable that is set wins, of the
/// folders the first that has one. As the incus client does, a socket that is not ours to use gives way to the
/// unix.socket.user beside it (incus-user). Error: no_daemon, with the paths that were tried.
core::expected<std::string> find_socket(const socket_surroundings& world);

} // namespace belay::incus
