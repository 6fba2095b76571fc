// SPDX-License-Identifier: Apache-2.0
// What is likely to be run in the instance next is prepared while the daemon is waited for. No outcome depends on it: a
// program that is not prepared, or not any more, is begun when its turn comes.
#include "run/transaction.hpp"

#include <utility>

namespace belay::run {

using ports::readiness;

/// While the lock is written. No check begins before that: what runs them waits for their scripts.
void transaction::prepare_baseline() {
    const bool is_asked = !plan().checks.empty() || listing_in_baseline();
    if (is_asked && !plan().undoes_kept && !state().decision) {
        world_.host.prepare(ports::waiting_shell(), readiness::waiting);
    }
}

/// While the baseline is taken, or what comes before it when there is none: what begins with the snapshot, and in which
/// the command waits for its turn. An undo has none.
void transaction::prepare_command() {
    const auto beside = plan().undoes_kept ? std::nullopt : command_beside();
    if (beside) {
        world_.host.prepare(beside->what, readiness::accepted);
    }
}

/// Before the command begins, or while it runs: a shell for what comes behind it, the proof, the checks or the
/// collectors. Behind a short one it is there; behind a long one, say an upgrade of the C library, it has ended long
/// ago, so that nobody takes it for something that must be restarted. A restart would come in between, or look for such
/// programs.
void transaction::prepare_verify() {
    const auto& command = plan().command;
    if (!command.interactive && plan().restart == core::restart_policy::never &&
        !std::exchange(verify_is_prepared_, true)) {
        world_.host.prepare(ports::waiting_shell(), readiness::waiting);
    }
}

/// As soon as the command has failed: if that shell has ended, or was not begun.
void transaction::prepare_evidence() {
    if (plan().saves_evidence && (!plan().collectors.empty() || listing_after())) {
        world_.host.prepare(ports::waiting_shell(), readiness::waiting);
    }
}

} // namespace belay::run
