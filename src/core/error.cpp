// SPDX-License-Identifier: Apache-2.0
#include "core/error.hpp"

namespace belay::core {

std::string describe(const error& e) {
    if (e.cause.empty() || e.message.find(e.cause) != std::string::npos) {
        return e.message;
    }
    return e.message + ": " + e.cause;
}

} // namespace belay::core
