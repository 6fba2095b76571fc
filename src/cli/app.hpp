// SPDX-License-Identifier: Apache-2.0
// The command line: reads it, calls the command, returns its exit code.
#pragma once

namespace belay::cli {

/// All of belay, as main() calls it.
int run(int argc, char** argv);

} // namespace belay::cli
