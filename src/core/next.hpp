// SPDX-License-Identifier: Apache-2.0
// Chooses the next step of a transaction. Never touches the host, the clock or the disk.
#pragma once
#include "core/state.hpp"

namespace belay::core {

/// Do an act; it is journalled as `started` and `finished`.
struct perform {
    key what;
    int attempt{1};
    bool cancellable{false}; ///< a signal may end it
    std::optional<wall_time> until{};

    bool operator==(const perform&) const = default;
};

/// Write the verdict down; from then on it holds.
struct decide {
    verdict what{};

    bool operator==(const decide&) const = default;
};

/// Ask the host what is true, after another process took over.
struct observe {
    bool operator==(const observe&) const = default;
};

struct close {
    outcome how{};

    bool operator==(const close&) const = default;
};

/// End this process's part: the outcome is certain, but something is left behind (a lock, a snapshot) that could not be
/// taken away now. The journal stays open, so that a recovery does it.
struct leave {
    outcome how{};

    bool operator==(const leave&) const = default;
};

/// The transaction has ended.
struct nothing {
    bool operator==(const nothing&) const = default;
};

using step = std::variant<perform, decide, observe, close, leave, nothing>;

/// The first thing that is still to be done. Normal run, refusal, rollback and recovery are this one function.
step next(const state& s);

/// The name under which people see an act: after the decision to keep the upgrade all are one phase, `commit`.
std::string_view phase_name(act what, std::optional<verdict> decision);

/// Whether an act belongs to the part before the verdict.
constexpr bool undecided(act what) {
    return what <= act::confirm;
}

} // namespace belay::core
