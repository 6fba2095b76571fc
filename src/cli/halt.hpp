// SPDX-License-Identifier: Apache-2.0
// For the tests of crashes: stops this process (SIGSTOP) right after certain events were journalled, so that a test can
// kill it, or the daemon, at that very moment.
#pragma once
#include "ports/listener.hpp"

#include <memory>

namespace belay::cli {

/// A listener that stops the process after each journalled event whose number (the `seq` of the envelope) is in
/// BELAY_TEST_HALT_AFTER, as in "7" or "7,12"; nothing without that variable.
std::unique_ptr<ports::listener> make_halt();

} // namespace belay::cli
