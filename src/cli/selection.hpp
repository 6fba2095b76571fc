// SPDX-License-Identifier: Apache-2.0
// Which checks a run has: the default ones, less those that were taken out, and those that were added. What it saves
// before it goes back, and the hooks of the host.
#pragma once
#include "checks/library.hpp"
#include "recipe/settings.hpp"

#include <array>

namespace belay::cli {

/// What runs without any configuration.
inline constexpr std::array<const char*, 3> default_checks{"listening", "services", "packages"};

bool is_default(const std::string& check);

/// The checks in the order in which they are shown. A default one that is masked is left out; one that is also asked
/// for as wanted only warns. Errors: usage (unknown check, not executable, nothing that could be left out, …).
core::expected<std::vector<core::check_spec>> select_checks(const recipe::settings& wish,
                                                            const checks::library& library);

/// What is saved before a rollback: every collector that is installed, by name, then the shell commands in the
/// instance, named command-1, command-2 and so on. The names are those of the files. Errors: usage (a collector that
/// cannot be run, or has the name of a file that belay itself saves).
core::expected<std::vector<core::check_spec>> select_collectors(const std::vector<std::string>& commands,
                                                                const checks::library& library);

/// A hook that is installed, ready for a plan; `folder` is the one that it is in, below /etc/belay. Error: usage.
core::expected<core::check_spec> installed_hook(const checks::entry& found, const std::string& folder);

/// The hooks of an event that are installed, by name. Errors: usage (one that cannot be run; `event` is for the
/// message).
core::expected<std::vector<core::check_spec>> select_hooks(const std::string& event, const checks::library& library);

} // namespace belay::cli
