// SPDX-License-Identifier: Apache-2.0
// What the command line asks for, as values. Only arguments.cpp knows CLI11.
#pragma once
#include "core/plan.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace belay::cli {

enum class output_format { text, json, jsonl };

struct common_options {
    std::optional<std::string> state_dir;
    output_format format{output_format::text};
    int verbose{0}; ///< number of -v
    bool quiet{false};
};

/// Which checks are to run.
struct check_options {
    std::vector<std::string> add;      ///< --check
    std::vector<std::string> wanted;   ///< --wanted
    std::vector<std::string> remove;   ///< --no-check
    std::vector<std::string> commands; ///< --check-cmd
    bool no_defaults{false};           ///< --no-checks
};

struct run_options {
    common_options common;
    std::optional<std::string> project;
    std::vector<std::string> instances;
    check_options checks;
    core::command_spec command;
    std::vector<std::pair<std::string, std::string>> env;
    core::limits limit;
    core::restart_policy restart{core::restart_policy::never};
    bool accept_unhealthy{false};
    std::vector<std::string> expect_lost;
    std::vector<std::string> uncovered;
    core::snapshot_mode mode{core::snapshot_mode::automatic};
    std::optional<std::vector<std::string>> volumes; ///< as in core::plan
    std::string quiesce;
    std::string resume;
    std::optional<std::uint64_t> min_free;
    std::vector<std::string> evidence; ///< commands
    bool keep_failed{false};
    bool drop_if_unchanged{false};
    core::milliseconds keep_for{std::chrono::hours(7 * 24)};
    int keep{2};
    std::uint64_t log_limit{100U << 20U};
    bool dry_run{false};
};

struct check_command_options {
    common_options common;
    std::optional<std::string> project;
    std::vector<std::string> instances;
    check_options checks;
    core::milliseconds retry_for{60'000};
};

struct history_options {
    common_options common;
    std::optional<std::string> instance;
};

struct show_options {
    common_options common;
    std::optional<std::string> what; ///< transaction or instance; the newest of all when not given
};

/// belay confirm
struct confirm_options {
    common_options common;
    std::optional<std::string> project;
    std::string what; ///< transaction or instance
};

/// belay rollback
struct rollback_options {
    common_options common;
    std::optional<std::string> project;
    std::string what;                    ///< transaction or instance
    std::optional<std::string> snapshot; ///< when the journal is gone
    bool yes{false};
    bool discard_newer{false};
    std::optional<core::milliseconds> retry_for; ///< else as in the upgrade that is undone, as the others here
    std::optional<core::milliseconds> stop;
    std::optional<core::milliseconds> daemon_wait;
};

struct recover_options {
    common_options common;
    core::milliseconds daemon_wait{120'000};
};

struct prune_options {
    common_options common;
    std::optional<std::string> project;
    std::vector<std::string> instances; ///< none: all that the journals know
    std::optional<int> keep;            ///< else as the newest kept upgrade of each instance asked for
    bool dry_run{false};
};

struct checks_options {
    common_options common;
};

struct doctor_options {
    common_options common;
};

using request = std::variant<run_options, check_command_options, history_options, show_options, confirm_options,
                             rollback_options, recover_options, prune_options, checks_options, doctor_options>;

/// The command line is finished already: help or version was printed, or it was wrong.
struct finished_early {
    int exit_code{0};
    std::string out; ///< for standard output
    std::string err; ///< for standard error
};

/// Reads the command line. What follows the first "--" is the command, verbatim.
std::variant<request, finished_early> parse_arguments(const std::vector<std::string>& args);

} // namespace belay::cli
