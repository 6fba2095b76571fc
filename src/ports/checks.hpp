// SPDX-License-Identifier: Apache-2.0
// Port: runs health checks and other hooks.
#pragma once
#include "core/event.hpp"

#include <stop_token>

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

class checks {
public:
    virtual ~checks() = default;

    /// Runs each check once, side by side, and returns their readings in the order of `specs`. A check that cannot be
    /// started, hangs or is cut short is a reading that fails, with the reason as its summary: there is no other error.
    virtual std::vector<core::reading> run(const std::vector<core::check_spec>& specs, const hook_context& context,
                                           std::stop_token stop) = 0;

    /// Runs a hook once, and only once: unlike a check it may change something. `input` is for its standard input, if
    /// it runs on the host. A hook that fails, hangs or is cut short is a reading that fails, as of a check. Error:
    /// nothing could be started in the instance.
    virtual core::expected<core::reading> run_hook(const core::check_spec& hook, const hook_context& context,
                                                   const std::string& input, std::stop_token stop) = 0;

    /// Runs collectors of evidence, side by side and all within `limit`: what one has printed when its time is up
    /// counts. One that printed nothing, or that does not apply here (exit status 77), is left out. There is no error:
    /// evidence never stands in the way of a rollback.
    virtual std::vector<evidence> gather(const std::vector<core::check_spec>& collectors, const hook_context& context,
                                         core::milliseconds limit) = 0;
};

} // namespace belay::ports
