// SPDX-License-Identifier: Apache-2.0
// The text of --dry-run: what belay would do, and what it found.
#pragma once
#include "core/event.hpp"
#include "report/style.hpp"

#include <string>

namespace belay::report {

/// The plan of a transaction: the phases in their order as core would choose them, when all goes well and when the
/// command fails, which disks go back and which do not, the checks, the limits, what is saved and what is kept.
std::string dry_run_text(const core::plan& how, const core::instance_facts& facts, const style& look);

} // namespace belay::report
