// SPDX-License-Identifier: Apache-2.0
// What must be true of every run, as sentences about what is not.
#pragma once
#include "crash/process.hpp"

namespace belay::crash {

using problems = std::vector<std::string>;

/// At each point of a living process: what must be on disk is there before the host is asked anything, and no snapshot
/// is deleted before the outcome is on disk.
void check_rules(site& on, const fakes::fake_world& w, const scenario& s, const point& p);

/// After the last process: the transaction has ended, everything is as its outcome says, and nothing is left behind.
problems after_the_end(const site& at, const scenario& s);

/// Recovers with everything well until there is nothing to recover, and says what is wrong with the end.
problems ended_at_last(site& at, const scenario& s);

/// While the outcome is open, between two processes: the snapshot is there from the moment that it is needed.
problems while_open(const site& at, const scenario& s);

/// While it waits for a confirmation: the new state runs, with lock and snapshot.
problems while_waiting(const site& at, const scenario& s);

/// Whether the report, and its exit code, says in which state the instance is.
problems of_report(const core::report& r, const site& at, const scenario& s);

/// The journal in one line, for messages.
std::string chain(const std::vector<core::record>& journal);

} // namespace belay::crash
