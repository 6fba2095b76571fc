// SPDX-License-Identifier: Apache-2.0
// The interpreter that a script names in its first line.
#pragma once
#include "checks/library.hpp"

#include <string_view>

namespace belay::checks {

/// The interpreter of a script and its arguments; `sh` when the script names none.
std::vector<std::string> interpreter_of(std::string_view text);

/// The name of the interpreter, also behind `env` and before its options.
std::string program_of(const std::vector<std::string>& interpreter);

/// Whether this host has the interpreter of a check that runs on it. Nothing is known of those that run in an instance.
/// Error: usage.
core::expected<void> check_interpreter(const check_file& check);

} // namespace belay::checks
