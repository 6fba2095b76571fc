// SPDX-License-Identifier: Apache-2.0
// For the tests of crashes: stops this process (SIGSTOP) right after a certain event was journalled, so that a test can
// kill it, or the daemon, at that very moment.
#pragma once
#include "ports/listener.hpp"

#include <memory>

namespace belay::cli {

/// A listener that stops the process after the journalled event of the number in BELAY_TEST_HALT_AFTER (the `seq` of
/// the envelope); nothing without that variable.
std::unique_ptr<ports::listener> make_halt();

} // namespace belay::cli
