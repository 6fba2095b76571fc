// SPDX-License-Identifier: Apache-2.0
// What outlives a process of belay: the daemon with its instance, the state directory, and time. A value: each branch
// of the matrix goes on with a copy.
#pragma once
#include "core/decision.hpp"
#include "core/state.hpp"
#include "fakes/clock.hpp"
#include "fakes/daemon.hpp"

#include <optional>
#include <string>
#include <vector>

namespace belay::crash {

using core::milliseconds;

struct site {
    fakes::fake_clock clock;
    fakes::fake_daemon daemon;
    std::vector<core::record> journal;
    std::size_t synced{0}; ///< so many records are certainly on disk
    std::optional<core::decision> decision;
    long pid{42}; ///< of the next process
    int boot{1};

    bool command_began{false};
    bool journal_failed{false};      ///< a process could not write to it
    std::vector<std::string> broken; ///< rules that a process broke while it ran, as sentences

    core::state known() const;

    /// Lets time pass until nothing is under way any more.
    void calm_down();

    void pass(milliseconds time);
};

/// Whether a recovery finds the same on both, whenever it comes.
bool same_place(const site& a, const site& b);

/// What is lost when a process dies: records that were not synced, and with the power all that runs.
struct loss {
    std::size_t kept; ///< records
    bool power{false};
    bool lucky{false};        ///< operations that the power cuts had their effect
    milliseconds later{};     ///< until somebody recovers
    std::string name() const; ///< for messages
};

/// Every loss that makes a difference: each prefix of the journal from what was synced, the power, and a recovery that
/// comes at once or when everything has ended.
std::vector<loss> all_losses(const site& s);

/// The two ends of it: nothing is lost, and everything that can be.
std::vector<loss> main_losses(const site& s);

site after(site s, const loss& what);

} // namespace belay::crash
