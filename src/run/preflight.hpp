// SPDX-License-Identifier: Apache-2.0
// The rules that an instance must meet before anything is touched.
#pragma once
#include "core/event.hpp"

namespace belay::run {

/// Whether a transaction may begin on this instance: running, not ephemeral (stopping an ephemeral instance deletes
/// it), and every writable disk either covered by the snapshot or accepted by name. Errors: ephemeral, not_running,
/// uncovered.
core::expected<void> check_facts(const core::instance_facts& facts, const core::plan& plan);

} // namespace belay::run
