// SPDX-License-Identifier: Apache-2.0
// Whether a host has what belay needs: judges what was found out about the daemon, its client, the state directory and
// the recovery timer. Looks at nothing itself.
#pragma once
#include "core/error.hpp"
#include "core/findings.hpp"

#include <cstdint>
#include <optional>
#include <set>

namespace belay::core {

/// What is known of the way to the daemon.
struct socket_facts {
    std::string path;
    bool chosen{false};            ///< by INCUS_SOCKET or INCUS_DIR
    std::string user;              ///< who asks
    std::string group{};           ///< whose members may connect; empty when only root may
    bool member{false};            ///< the user database has the user in it
    std::optional<error> failed{}; ///< the daemon could not be asked
    bool trusted{true};
    std::string version{};

    bool operator==(const socket_facts&) const = default;
};

finding judge_socket(const socket_facts& facts);

/// What does not work without API extensions that the daemon has not (Incus documentation, "API extensions"); those
/// which only a part of belay needs are notes.
std::vector<finding> judge_extensions(const std::set<std::string>& extensions);

/// The client is an Incus program of another version than the server (empty: not known).
finding judge_client(const std::string& program, const std::string& client, const std::string& server);

/// What is known of one directory of belay's state.
struct directory_facts {
    std::string path;
    bool exists{true};
    bool is_directory{true};
    unsigned owner{};
    unsigned mode{};       ///< the lower 12 bits
    bool writable{true};   ///< where it does not exist yet: it can be made
    std::string made_in{}; ///< where it does not exist yet: the nearest folder above it that does
    std::uint64_t free_bytes{};
    std::optional<std::uint64_t> free_inodes{}; ///< nothing when the file system counts none
    std::string lock_problem{};                 ///< why file locks do not work there; empty when they do

    bool operator==(const directory_facts&) const = default;
};

/// `uid`: who runs belay.
std::vector<finding> judge_directory(const directory_facts& facts, unsigned uid, const std::string& user);

/// What systemd says of belay-recover.timer.
struct timer_facts {
    bool systemd{false};   ///< it runs this host
    bool serves{true};     ///< the timer is for this user and state directory
    std::string enabled{}; ///< `systemctl is-enabled`; empty or "not-found" when there is no such unit
    std::string active{};  ///< `systemctl is-active`
};

finding judge_timer(const timer_facts& facts);

} // namespace belay::core
