// SPDX-License-Identifier: Apache-2.0
// The commands. Each returns belay's exit code, and has a file of its own.
#pragma once
#include "cli/arguments.hpp"
#include "core/error.hpp"

#include <filesystem>
#include <string>

namespace belay::cli {

int run_command(const run_options& options);
int check_command(const check_command_options& options);
int history_command(const history_options& options);
int show_command(const show_options& options);
int confirm_command(const confirm_options& options);
int rollback_command(const rollback_options& options);
int recover_command(const recover_options& options);
int prune_command(const prune_options& options);
int checks_command(const checks_options& options);
int recipes_command(const recipes_options& options);
int doctor_command(const doctor_options& options);

/// Prints "belay: …" on standard error and returns the exit code that belongs to the error: 2 for usage, else 3.
int complain(const core::error& problem);

/// Prints text on standard output, whole; a reader that went away is no error.
void print(std::string_view text);

/// Likewise on standard error.
void print_error(std::string_view text);

/// The state directory that the options and the environment mean. Error: usage.
core::expected<std::filesystem::path> state_directory_of(const common_options& options);

} // namespace belay::cli
