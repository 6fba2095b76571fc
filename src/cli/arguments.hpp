// SPDX-License-Identifier: Apache-2.0
// What the command line asks for, as values. Only arguments.cpp knows CLI11.
#pragma once
#include "core/plan.hpp"
#include "recipe/settings.hpp"

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
    bool timings{false}; ///< of run, check, rollback, recover
};

struct run_options {
    common_options common;
    std::optional<std::string> project;
    std::vector<std::string> instances;
    std::optional<std::string> recipe; ///< its name
    recipe::settings settings;         ///< what the command line says, which wins over the recipe
    bool interactive{false};
    bool dry_run{false};
};

struct check_command_options {
    common_options common;
    std::optional<std::string> project;
    std::vector<std::string> instances;
    std::optional<std::string> recipe;
    recipe::settings settings; ///< which checks, and retry_for
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
    std::optional<std::string> new_check; ///< the file to write a template to
};

struct recipes_options {
    common_options common;
};

struct doctor_options {
    common_options common;
};

using request =
    std::variant<run_options, check_command_options, history_options, show_options, confirm_options, rollback_options,
                 recover_options, prune_options, checks_options, recipes_options, doctor_options>;

/// The command line is finished already: help or version was printed, or it was wrong.
struct finished_early {
    int exit_code{0};
    std::string out; ///< for standard output
    std::string err; ///< for standard error
};

/// Reads the command line. What follows the first "--" is the command, verbatim.
std::variant<request, finished_early> parse_arguments(const std::vector<std::string>& args);

} // namespace belay::cli
