// SPDX-License-Identifier: Apache-2.0
#include "process/terminal.hpp"

#include <csignal>
#include <unistd.h>

namespace belay::process {
namespace {

/// A process that is not in the foreground is stopped by SIGTTOU when it touches the terminal's settings.
class without_sigttou {
public:
    without_sigttou() {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTTOU);
        pthread_sigmask(SIG_BLOCK, &set, &before_);
    }

    ~without_sigttou() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    without_sigttou(const without_sigttou&) = delete;
    without_sigttou& operator=(const without_sigttou&) = delete;

private:
    sigset_t before_{};
};

} // namespace

lent_terminal::lent_terminal() {
    const pid_t owner = ::tcgetpgrp(STDIN_FILENO);
    if (owner == ::getpgrp() && ::tcgetattr(STDIN_FILENO, &settings_) == 0) {
        owner_ = owner;
    }
}

lent_terminal::~lent_terminal() {
    if (!ours()) {
        return;
    }
    const without_sigttou blocked;
    ::tcsetpgrp(STDIN_FILENO, owner_);
    // TCSANOW: TCSADRAIN would wait for as long as somebody holds the output with Ctrl-S.
    ::tcsetattr(STDIN_FILENO, TCSANOW, &settings_);
}

void take_foreground() {
    const without_sigttou blocked;
    ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
}

} // namespace belay::process
