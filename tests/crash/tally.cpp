// SPDX-License-Identifier: Apache-2.0
#include "crash/tally.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <iostream>

namespace belay::crash {

problems once_each(problems found) {
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

std::size_t stride() {
    static const std::size_t step = std::getenv("BELAY_SANITIZED") == nullptr ? 1 : 7;
    return step;
}

void tally::conclude() const {
    std::cout << group_ << ": " << runs_ << " runs\n";
    INFO(bad_ << " of " << runs_ << " runs are bad, the first of them:\n" << shown_);
    CHECK(bad_ == 0);
    CHECK(runs_ > 0);
}

} // namespace belay::crash
