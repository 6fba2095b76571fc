// SPDX-License-Identifier: Apache-2.0
// Where belay runs: users, folders, programs, the current project of the incus program. The only place that reads the
// environment for the commands.
#pragma once
#include "checks/library.hpp"
#include "core/error.hpp"
#include "recipe/book.hpp"

#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace belay::cli {

/// The value of an environment variable, nothing when it is not set or empty.
std::optional<std::string> variable(const char* name);

// What is installed: the user's folder, the host's, and the one that came with belay, in this order.

checks::library installed_checks();

/// Collectors of evidence.
checks::library installed_collectors();

/// What has hooks in `hooks.d`: what is run around a transaction, and at its end.
inline constexpr std::array<const char*, 7> hook_events{"pre",         "quiesce", "resume", "committed",
                                                        "rolled-back", "stuck",   "refused"};

/// The hooks of an event. None come with belay; they run on the host unless they say otherwise.
checks::library installed_hooks(const std::string& event);

recipe::book installed_recipes();

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
