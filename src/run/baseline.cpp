// SPDX-License-Identifier: Apache-2.0
#include "run/baseline.hpp"

#include <algorithm>

namespace belay::run {

namespace {

constexpr core::milliseconds longest_pause{1'000};

/// The checks that asked for more time.
std::vector<core::check_spec> waiting(const std::vector<core::check_spec>& specs,
                                      const std::vector<core::reading>& readings) {
    std::vector<core::check_spec> rest;
    for (std::size_t i = 0; i < specs.size(); ++i) {
        if (readings[i].how == core::health::not_yet) {
            rest.push_back(specs[i]);
        }
    }
    return rest;
}

void merge(std::vector<core::reading>& all, const std::vector<core::reading>& newer) {
    for (const auto& reading : newer) {
        std::ranges::replace_if(
            all, [&](const auto& old) { return old.name == reading.name; }, reading);
    }
}

} // namespace

core::milliseconds pacing::next() {
    const auto now = pause_;
    pause_ = std::min(2 * pause_, longest_pause);
    return now;
}

ports::round ready_round(ports::checks& checks, const std::vector<core::check_spec>& specs,
                         const std::optional<core::check_spec>& listing, const ports::hook_context& context,
                         core::milliseconds retry_for, ports::inbox& inbox, const ports::clock& clock) {
    if (specs.empty() && !listing) {
        return {};
    }
    const auto stop = inbox.interrupts();
    const auto give_up = clock.monotonic() + retry_for;
    auto found = checks.run(specs, listing, context, stop);
    for (pacing pace; !stop.stop_requested();) {
        const auto rest = waiting(specs, found.readings);
        const auto left = give_up - clock.monotonic();
        if (rest.empty() || left <= core::milliseconds{0}) {
            break;
        }
        inbox.wait(std::min(pace.next(), left), stop);
        merge(found.readings, checks.run(rest, std::nullopt, context, stop).readings);
    }
    return found;
}

} // namespace belay::run
