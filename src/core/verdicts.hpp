// SPDX-License-Identifier: Apache-2.0
// Judges health checks: what a check said now against what it said at the baseline.
#pragma once
#include "core/plan.hpp"

#include <set>
#include <string>
#include <vector>

namespace belay::core {

/// What one run of a check said.
struct reading {
    std::string name;
    place where{place::guest};
    bool required{true};
    health how{health::none};
    std::string summary;
    std::set<std::string> good; ///< must still be there after the upgrade
    std::set<std::string> bad;  ///< must not be new after the upgrade
    double seconds{};

    bool operator==(const reading&) const = default;
};

/// A reading against its baseline; the form in which a report lists a check.
struct judged {
    std::string name;
    place where{place::guest};
    bool required{true};
    health baseline{health::none};
    health final{health::none};
    std::string summary;
    std::vector<std::string> new_bad;
    std::vector<std::string> lost_good; ///< without those that --expect-lost accepts
    bool acceptable{true};              ///< whether this check lets the upgrade pass, were it required
    std::string baseline_summary{};     ///< what it said then; empty when it says the same now

    bool operator==(const judged&) const = default;
};

struct judge_policy {
    bool accept_unhealthy{false}; ///< a check that failed at the baseline only reports; its findings still count
    std::vector<std::string> expect_lost; ///< globs
};

/// Compares a round with the baseline, check by check in the round's order. A check without a baseline is judged by
/// what it says alone: its `bad` findings are not new then.
std::vector<judged> judge(const std::vector<reading>& baseline, const std::vector<reading>& now,
                          const judge_policy& policy);

/// The first round of all: the baseline column is what the round said.
std::vector<judged> judge_baseline(const std::vector<reading>& baseline);

/// Whether every required check is acceptable.
bool acceptable(const std::vector<judged>& round);

/// Whether a required check of a baseline forbids the upgrade (failed or never got ready).
bool baseline_acceptable(const std::vector<reading>& baseline);

/// Whether a required check asks for more time (exit 75).
bool waits(const std::vector<reading>& round);

/// A sentence that names each required check that is not acceptable and what it saw; for lost findings the option
/// that accepts them, ready to paste.
std::string explain(const std::vector<judged>& round);

/// What the check said now and, when it does not pass any more, what it said before: "http 502 from …; before: http 200
/// from …".
std::string with_baseline(const judged& check);

/// Shell-like match of a whole text: `*`, `?` and `[a-z]`, as fnmatch(3) without flags.
bool glob_match(std::string_view pattern, std::string_view text);

} // namespace belay::core
