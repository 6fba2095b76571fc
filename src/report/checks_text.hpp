// SPDX-License-Identifier: Apache-2.0
// Texts about health checks: what is installed, and what they say now.
#pragma once
#include "core/verdicts.hpp"
#include "report/style.hpp"

#include <span>
#include <string>

namespace belay::report {

/// A check that belay would find by its name.
struct listed_check {
    std::string name;
    core::place where{core::place::guest};
    std::string summary;
    std::string path;
};

/// One line per check: name, where, summary, path. No head.
std::string checks_table(std::span<const listed_check> checks, const style& look);

/// What the checks say now, a line each with what is bad below it, and a last sentence about the instance.
std::string check_verdicts(const std::string& instance, std::span<const core::reading> readings, const style& look);

/// The same for a round that was judged against a baseline.
std::string check_verdicts(const std::string& instance, std::span<const core::judged> round, const style& look);

} // namespace belay::report
