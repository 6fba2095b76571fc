// SPDX-License-Identifier: Apache-2.0
// How an attempt at an act ended, from what a port returned.
#pragma once
#include "core/event.hpp"

namespace belay::run {

inline core::finished failed(core::error why) {
    core::finished f;
    f.how = core::result::failed;
    f.why = std::move(why);
    return f;
}

/// Whether an error says that the daemon does not answer.
inline bool away(const core::error& e) {
    return e.code == core::reason::no_daemon && e.transient;
}

inline core::finished outcome_of(const core::expected<void>& outcome) {
    return outcome ? core::finished{} : failed(outcome.error());
}

} // namespace belay::run
