// SPDX-License-Identifier: Apache-2.0
// Errors are values: what every fallible function of belay returns instead of throwing.
#pragma once
#include "core/words.hpp"

#include <expected>
#include <string>

namespace belay::core {

/// A failure: a word for programs, a sentence for a person (what happened to what, and what to do next), and what the
/// layer below said, if anything.
struct error {
    reason code{reason::ok};
    std::string message;
    std::string cause{};
    bool transient{false}; ///< the same request may succeed a moment later (daemon away, instance busy)

    bool operator==(const error&) const = default;
};

/// The sentence and its cause as one line.
std::string describe(const error& e);

template <class T>
using expected = std::expected<T, error>;

inline std::unexpected<error> failure(reason code, std::string message, std::string cause = {}) {
    return std::unexpected(error{code, std::move(message), std::move(cause), false});
}

} // namespace belay::core

/// Evaluates an expected; returns its error from the calling function, or yields its value.
/// `BELAY_TRY(auto, facts, host.examine())` declares `facts`.
#define BELAY_TRY(type, name, expression)                                                                              \
    auto name##_or_error = (expression);                                                                               \
    if (!name##_or_error) {                                                                                            \
        return std::unexpected(std::move(name##_or_error).error());                                                    \
    }                                                                                                                  \
    type name = *std::move(name##_or_error)

/// The same for an expected without a value.
#define BELAY_TRY_VOID(expression)                                                                                     \
    if (auto belay_result = (expression); !belay_result) {                                                             \
        return std::unexpected(std::move(belay_result).error());                                                       \
    }
