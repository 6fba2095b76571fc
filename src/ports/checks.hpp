// SPDX-License-Identifier: Apache-2.0
// Port: runs health checks.
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

class checks {
public:
    virtual ~checks() = default;

    /// Runs each check once, side by side, and returns their readings in the order of `specs`. A check that cannot be
    /// started, hangs or is cut short is a reading that fails, with the reason as its summary: there is no other error.
    virtual std::vector<core::reading> run(const std::vector<core::check_spec>& specs, const hook_context& context,
                                           std::stop_token stop) = 0;
};

} // namespace belay::ports
