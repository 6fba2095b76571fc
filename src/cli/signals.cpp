// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.hpp"

#include <array>
#include <csignal>
#include <cstdint>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace belay::cli {

namespace {

sigset_t undo_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

} // namespace

void prepare_signals() {
    const auto set = undo_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGHUP, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

signal_inbox::signal_inbox() {
    const auto set = undo_signals();
    signal_fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    end_fd_ = eventfd(0, EFD_CLOEXEC);
    thread_ = std::thread([this] { listen(); });
}

signal_inbox::~signal_inbox() {
    const std::uint64_t one = 1;
    (void)!write(end_fd_, &one, sizeof one);
    thread_.join();
    close(signal_fd_);
    close(end_fd_);
}

void signal_inbox::listen() {
    std::array<pollfd, 2> fds{{{signal_fd_, POLLIN, 0}, {end_fd_, POLLIN, 0}}};
    for (;;) {
        if (poll(fds.data(), fds.size(), -1) < 0) {
            continue; // EINTR
        }
        if (fds[1].revents != 0) {
            return;
        }
        signalfd_siginfo info{};
        if (read(signal_fd_, &info, sizeof info) != sizeof info) {
            continue;
        }
        {
            const std::scoped_lock guard(mutex_);
            if (!why_) {
                const std::string name = info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
                why_ = core::error{core::reason::interrupted, "interrupted by " + name};
            }
        }
        interrupts_.request_stop();
    }
}

std::optional<core::error> signal_inbox::interruption() const {
    const std::scoped_lock guard(mutex_);
    return why_;
}

void signal_inbox::wait(core::milliseconds duration, std::stop_token stop) {
    std::unique_lock guard(mutex_);
    woken_.wait_for(guard, stop, duration, [] { return false; });
}

} // namespace belay::cli
