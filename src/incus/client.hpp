// SPDX-License-Identifier: Apache-2.0
// A program in the instance that gets belay's terminal, run by the incus client as a child process.
#pragma once
#include "ports/host.hpp"

#include <stop_token>
#include <string>

namespace belay::incus {

/// Where the client finds the instance.
struct client_site {
    std::string program; ///< the incus client
    std::string socket;
    std::string project;
    std::string instance;
};

/// As port host says of exec. Error: io_error when the client cannot be started.
core::expected<ports::guest_exit> exec_on_terminal(const client_site& where, const ports::guest_command& command,
                                                   core::milliseconds limit, const std::stop_token& stop);

} // namespace belay::incus
