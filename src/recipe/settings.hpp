// SPDX-License-Identifier: Apache-2.0
// What a run is to be like, as far as a recipe or the command line says so. A recipe is these settings in a file, and
// the command line is merged over them.
#pragma once
#include "core/plan.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace belay::recipe {

using core::milliseconds;

inline constexpr milliseconds default_keep_for{std::chrono::hours(7 * 24)};
inline constexpr int default_keep = 2;
inline constexpr int most_kept = 1'000;

/// The custom volumes that go with the instance; without names all of them.
struct volume_choice {
    std::optional<std::vector<std::string>> names;

    bool operator==(const volume_choice&) const = default;
};

/// Each member is a key of recipes (see each_key). What is not set says nothing.
struct settings {
    std::optional<std::string> schema;
    std::optional<std::string> summary;
    std::optional<std::vector<std::string>> command;
    std::vector<std::pair<std::string, std::string>> env;
    std::optional<unsigned> user;
    std::optional<unsigned> group;
    std::optional<std::string> cwd;
    std::optional<milliseconds> timeout;
    std::optional<std::uint64_t> log_limit;

    std::vector<std::string> checks;
    std::vector<std::string> wanted;
    std::vector<std::string> check_cmd;
    std::vector<std::string> no_check;
    std::optional<bool> no_checks;
    std::optional<milliseconds> retry_for;
    std::optional<milliseconds> soak;
    std::optional<bool> accept_unhealthy;
    std::vector<std::string> expect_lost;
    std::optional<milliseconds> confirm;

    std::optional<core::restart_policy> restart;
    std::optional<milliseconds> restart_timeout;
    std::optional<milliseconds> stop_timeout;
    std::optional<milliseconds> daemon_wait;

    std::optional<volume_choice> volumes;
    std::optional<core::snapshot_mode> snapshot_mode;
    std::optional<std::uint64_t> min_free;
    std::vector<std::string> uncovered;

    std::optional<std::string> pre;
    std::optional<std::string> quiesce;
    std::optional<std::string> resume;
    std::optional<std::string> committed;
    std::optional<std::string> rolled_back;
    std::optional<std::string> stuck;
    std::optional<std::string> refused;

    std::optional<milliseconds> keep_for;
    std::optional<int> keep;
    std::optional<bool> drop_if_unchanged;
    std::optional<milliseconds> evidence_limit;
    std::vector<std::string> evidence;
    std::optional<bool> keep_failed;

    bool operator==(const settings&) const = default;
};

/// Calls visit(name, member) for every key of a recipe, in the order in which they are written. The names are those of
/// the long options of `belay run`, with underscores.
void each_key(auto&& visit) {
    visit("$schema", &settings::schema);
    visit("summary", &settings::summary);
    visit("command", &settings::command);
    visit("env", &settings::env);
    visit("user", &settings::user);
    visit("group", &settings::group);
    visit("cwd", &settings::cwd);
    visit("timeout", &settings::timeout);
    visit("log_limit", &settings::log_limit);
    visit("checks", &settings::checks);
    visit("wanted", &settings::wanted);
    visit("check_cmd", &settings::check_cmd);
    visit("no_check", &settings::no_check);
    visit("no_checks", &settings::no_checks);
    visit("retry_for", &settings::retry_for);
    visit("soak", &settings::soak);
    visit("accept_unhealthy", &settings::accept_unhealthy);
    visit("expect_lost", &settings::expect_lost);
    visit("confirm", &settings::confirm);
    visit("restart", &settings::restart);
    visit("restart_timeout", &settings::restart_timeout);
    visit("stop_timeout", &settings::stop_timeout);
    visit("daemon_wait", &settings::daemon_wait);
    visit("volumes", &settings::volumes);
    visit("snapshot_mode", &settings::snapshot_mode);
    visit("min_free", &settings::min_free);
    visit("uncovered", &settings::uncovered);
    visit("pre", &settings::pre);
    visit("quiesce", &settings::quiesce);
    visit("resume", &settings::resume);
    visit("committed", &settings::committed);
    visit("rolled-back", &settings::rolled_back);
    visit("stuck", &settings::stuck);
    visit("refused", &settings::refused);
    visit("keep_for", &settings::keep_for);
    visit("keep", &settings::keep);
    visit("drop_if_unchanged", &settings::drop_if_unchanged);
    visit("evidence_limit", &settings::evidence_limit);
    visit("evidence", &settings::evidence);
    visit("keep_failed", &settings::keep_failed);
}

/// The names of all keys.
std::vector<std::string> key_names();

/// `over` wins: what is one value replaces, a variable of the environment replaces its namesake, lists add what is not
/// in them yet. A check of `over` is no longer left out.
settings merged(settings base, const settings& over);

/// Takes the settings into a plan, but for checks and collectors, which are files that must be found. What is not set
/// is as the plan has it, retention excepted.
void apply(const settings& from, core::plan& plan);

} // namespace belay::recipe
