// SPDX-License-Identifier: Apache-2.0
// What was decided about a transaction that waits for a confirmation.
#pragma once
#include "core/error.hpp"

namespace belay::core {

struct decision {
    verdict what{verdict::undo}; ///< commit or undo
    error why{};                 ///< of an undo: the reason that the transaction ends with

    bool operator==(const decision&) const = default;
};

} // namespace belay::core
