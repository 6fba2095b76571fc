// SPDX-License-Identifier: Apache-2.0
// Lends belay's terminal to a child and takes it back. Never opens a terminal: it is the one on standard input, or
// none.
#pragma once
#include <sys/types.h>
#include <termios.h>

namespace belay::process {

/// Remembers who owns the terminal and how it is set; puts both back when it ends, whatever the child did to them.
/// Harmless without a terminal, and when belay itself is in the background: then there is nothing to lend.
class lent_terminal {
public:
    lent_terminal();
    ~lent_terminal();
    lent_terminal(const lent_terminal&) = delete;
    lent_terminal& operator=(const lent_terminal&) = delete;

    bool ours() const { return owner_ > 0; }

private:
    pid_t owner_{-1}; ///< the foreground process group to put back
    termios settings_{};
};

/// Makes the calling process' group the foreground one. For the child between fork and exec: async-signal-safe.
void take_foreground();

} // namespace belay::process
