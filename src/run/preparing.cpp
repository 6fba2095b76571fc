// SPDX-License-Identifier: Apache-2.0
// What is likely to be run in the instance next is prepared while the daemon is waited for. No outcome depends on it: a
// program that is not prepared, or not any more, is begun when its turn comes.
#include "run/transaction.hpp"

#include <utility>

namespace belay::run {

using ports::readiness;

/// While the lock is written. No check begins before that: what runs them waits for its word.
void transaction::prepare_baseline() {
    if (!plan().undoes_kept && !state().decision) {
        world_.checks.prepare(plan().checks, listing_in_baseline(), context(core::act::baseline, 1),
                              readiness::waiting);
    }
}

/// While the baseline is taken, or what comes before it when there is none: what begins with the snapshot, and in which
/// the command waits for its turn. An undo has none.
void transaction::prepare_command() {
    const auto beside = plan().undoes_kept ? std::nullopt : command_beside();
    if (beside) {
        world_.host.prepare(*beside, readiness::accepted);
    }
}

/// Before the command begins, or while it runs: behind a short one all is ready, behind a long one these have been run
/// for nothing. A restart would come in between.
void transaction::prepare_verify() {
    const auto& command = plan().command;
    if (command.interactive || plan().restart == core::restart_policy::always ||
        std::exchange(verify_is_prepared_, true)) {
        return;
    }
    const auto lister = listing_after();
    if (plan().checks.empty() && !lister) {
        world_.host.prepare_proof();
    } else {
        world_.checks.prepare(plan().checks, lister, context(core::act::verify, 1), readiness::spare);
    }
}

/// While the daemon is asked what the exit status means.
void transaction::prepare_evidence() {
    if (plan().saves_evidence) {
        world_.checks.prepare(plan().collectors, listing_after(), context(core::act::evidence, 1), readiness::accepted);
    }
}

} // namespace belay::run
