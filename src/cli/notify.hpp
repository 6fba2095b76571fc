// SPDX-License-Identifier: Apache-2.0
// Tells people and programs how a transaction ended, by the hooks of this host and of the recipe.
#pragma once
#include "core/event.hpp"
#include "ports/checks.hpp"

namespace belay::cli {

/// The event of an outcome: "committed", "rolled-back", "stuck" or "refused".
std::string event_of(core::outcome how);

/// Runs the hooks of the event, one after another, with the report on their standard input; what is wrong with one is
/// printed on standard error and changes nothing.
void notify(const core::plan& plan, const core::report& report, ports::checks& hooks);

/// The same for a transaction that was refused before there was anything to run a hook with.
void notify_of_refusal(const core::plan& plan, const core::report& report);

/// The outcome that people were told by whoever worked on this transaction before: it got stuck, or something is left
/// to be cleaned up, which a recovery tries every minute.
std::optional<core::outcome> told_before(const std::vector<core::record>& past);

} // namespace belay::cli
