// SPDX-License-Identifier: Apache-2.0
// The summary of one transaction: what `closed` holds, what --format json prints and `belay show` shows.
#pragma once
#include "core/error.hpp"
#include "core/packages.hpp"
#include "core/verdicts.hpp"

#include <optional>
#include <string>
#include <vector>

namespace belay::core {

/// A phase that was gone through, in its order. `commit` gathers the acts after the decision to keep the upgrade.
struct phase {
    std::string name;
    std::string target;
    std::chrono::sys_time<milliseconds> started{};
    double seconds{};
    bool ok{};
    std::string message; ///< empty when ok

    bool operator==(const phase&) const = default;
};

struct report {
    std::string transaction;
    std::string instance;
    std::string project;
    std::vector<std::string> command;
    outcome how{outcome::refused};
    reason why{reason::ok};
    std::string message; ///< one or two sentences: what happened, and what to do if there is something to do
    int exit_code{};     ///< belay's, for this instance
    std::optional<int> command_exit{}; ///< the command's own, when it ended and it is known
    std::string snapshot;              ///< the one that exists now; empty when there is none
    std::optional<std::chrono::sys_time<milliseconds>> snapshot_expires{}; ///< absent for never
    std::chrono::sys_time<milliseconds> started{};
    double seconds{};
    std::vector<phase> phases;
    std::vector<judged> checks;
    std::optional<package_diff> packages{}; ///< what the command changed; absent when it is not known
    std::vector<std::string> evidence;      ///< names of the files that were saved before the rollback
    std::string failed_copy{};              ///< the instance that holds the broken state
    std::vector<std::string> warnings;
    std::vector<std::string> manual; ///< stuck: the commands that end it by hand, in their order
    double downtime_seconds{};       ///< between belay's stop of the instance and its start
    std::string undoes{};            ///< the transaction whose kept upgrade this one took back
    std::string log;                 ///< file of the command's output; empty when there is none

    bool operator==(const report&) const = default;
};

} // namespace belay::core
