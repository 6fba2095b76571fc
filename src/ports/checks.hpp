// SPDX-License-Identifier: Apache-2.0
// Port: runs health checks and other hooks.
#pragma once
#include "core/event.hpp"
#include "ports/host.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace belay::ports {

/// What every hook finds in its environment.
struct hook_context {
    std::string txn;
    std::string instance;
    std::string project;
    std::string phase;
    int attempt{1};
    std::string snapshot;
};

/// What a collector saw before a rollback.
struct evidence {
    std::string name;
    std::string text;
};

/// What all collectors saw.
struct gathering {
    std::vector<evidence> pieces;
    std::optional<std::string> listed{}; ///< as of a round
};

/// What one round of checks has found.
struct round {
    std::vector<core::reading> readings; ///< in the order of the checks
    std::optional<std::string> listed{}; ///< all that the listing printed; nothing unless it ended with 0
    bool proved_running{false};          ///< a program was run in the instance, and how it ended is known
};

class checks {
public:
    virtual ~checks() = default;

    /// Runs each check once, side by side. A check that cannot be started, hangs or is cut short is a reading that
    /// fails, with the reason as its summary: there is no other error. `listing`: a shell command in the guest that is
    /// run beside them, and judged by nobody.
    virtual round run(const std::vector<core::check_spec>& specs, const std::optional<core::check_spec>& listing,
                      const hook_context& context, std::stop_token stop) = 0;

    /// Kills what was left behind in the instance by what had `run_variable` with this value.
    virtual void sweep(const std::string& run_id) = 0;

    /// Runs a hook once, and only once: unlike a check it may change something. `input` is for its standard input, if
    /// it runs on the host. A hook that fails, hangs or is cut short is a reading that fails, as of a check. Error:
    /// nothing could be started in the instance.
    virtual core::expected<core::reading> run_hook(const core::check_spec& hook, const hook_context& context,
                                                   const std::string& input, std::stop_token stop) = 0;

    /// Runs collectors of evidence, side by side and all within `limit`: what one has printed when its time is up
    /// counts. One that printed nothing, or that does not apply here (exit status 77), is left out. There is no error:
    /// evidence never stands in the way of a rollback. `listing`: as of a round. `meanwhile`, if any, is called once,
    /// on this thread, when they have begun.
    virtual gathering gather(const std::vector<core::check_spec>& collectors,
                             const std::optional<core::check_spec>& listing, const hook_context& context,
                             core::milliseconds limit, const std::function<void()>& meanwhile) = 0;
};

} // namespace belay::ports
