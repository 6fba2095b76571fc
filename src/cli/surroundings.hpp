// SPDX-License-Identifier: Apache-2.0
// Where belay runs: users, folders, programs, the current project of the incus program. The only place that reads the
// environment for the commands.
#pragma once
#include "core/error.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace belay::cli {

/// The value of an environment variable, nothing when it is not set or empty.
std::optional<std::string> variable(const char* name);

/// The folders of checks in the order of their precedence: the user's, the host's, those that came with belay.
std::vector<std::filesystem::path> check_folders();

/// The same of collectors of evidence.
std::vector<std::filesystem::path> evidence_folders();

/// The same of recipes.
std::vector<std::filesystem::path> recipe_folders();

/// The same of the hooks of an event: "pre", "committed", and so on. None come with belay.
std::vector<std::filesystem::path> event_folders(const std::string& event);

/// The folder that belay's own checks and schema are in: ../share/belay as seen from the running program, so that an
/// installed tree can be moved.
std::filesystem::path share_folder();

/// The incus program in PATH. Error: no_daemon, with the package that has it.
core::expected<std::string> incus_program();

/// The project that `incus` itself would use: the option, $INCUS_PROJECT, the one chosen by `incus project switch`,
/// "default". Error: usage, for an impossible name.
core::expected<std::string> project_name(const std::optional<std::string>& option);

/// The project that a configuration file of the incus program sets for the remote `local`; nothing when it sets none.
std::optional<std::string> project_in_config(const std::string& yaml);

} // namespace belay::cli
