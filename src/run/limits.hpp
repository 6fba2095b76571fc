// SPDX-License-Identifier: Apache-2.0
// Limits that the acts share.
#pragma once
#include "core/plan.hpp"

namespace belay::run {

/// One request that reads, or changes a key: the daemon needs milliseconds, unless it is in trouble.
inline constexpr core::milliseconds request_limit{30'000};

/// How often a lost compare-and-swap is tried again: each loss means that somebody else changed the configuration.
inline constexpr int swap_attempts = 20;

} // namespace belay::run
