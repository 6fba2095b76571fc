// SPDX-License-Identifier: Apache-2.0
// What becomes of the snapshots when an upgrade is kept.
#include "run/limits.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

namespace belay::run {

core::finished transaction::keep() {
    core::finished f;
    if (plan().keep_for > core::milliseconds{0}) {
        f.expires = world_.clock.wall() + plan().keep_for;
    }
    for (const auto& target : plan().targets) {
        auto done = world_.host.set_expiry(target, snapshot_name(), f.expires, request_limit);
        if (!done) {
            return repeated({core::act::keep, {}}, done);
        }
    }
    return f;
}

} // namespace belay::run
