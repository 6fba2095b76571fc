// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <system_error>
#include <termios.h>
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

/// How often a terminal whose keys are wanted is looked at.
constexpr core::milliseconds foreground_pause{500};

bool in_foreground() {
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/// As long as it lives, keys arrive one by one and are not echoed. What was typed before does not count.
class key_reading {
public:
    key_reading() {
        valid_ = tcgetattr(STDIN_FILENO, &before_) == 0;
        auto now = before_;
        now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        now.c_cc[VMIN] = 1;
        now.c_cc[VTIME] = 0;
        if (valid_) {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &now);
        }
    }

    key_reading(const key_reading&) = delete;
    key_reading& operator=(const key_reading&) = delete;

    ~key_reading() {
        if (valid_) {
            tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
        }
    }

private:
    termios before_{};
    bool valid_{false};
};

} // namespace

void prepare_signals() {
    const auto set = undo_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGHUP, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

signal_inbox::signal_inbox(bool keys) : may_have_keys_(keys && isatty(STDIN_FILENO) != 0) {
    const auto set = undo_signals();
    signal_fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    try {
        thread_ = std::thread([this] { watch(); });
    } catch (const std::system_error& problem) {
        why_ =
            core::error{core::reason::io_error,
                        "no thread could be started that waits for signals: end other programs, or raise the limit of "
                        "processes (`ulimit -u`, TasksMax= of the unit)",
                        problem.what()};
        interrupts_.request_stop();
    }
}

signal_inbox::~signal_inbox() {
    {
        const std::scoped_lock guard(mutex_);
        ends_ = true;
    }
    wake();
    if (thread_.joinable()) {
        thread_.join();
    }
    close(signal_fd_);
    close(wake_fd_);
}

void signal_inbox::wake() const {
    const std::uint64_t one = 1;
    (void)!write(wake_fd_, &one, sizeof one);
}

void signal_inbox::watch() {
    // A terminal that is not ours any more must not stop us.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTTOU);
    sigaddset(&set, SIGTTIN);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::optional<key_reading> keys;
    for (;;) {
        bool wants = false;
        {
            const std::scoped_lock guard(mutex_);
            if (ends_) {
                return;
            }
            wants = wants_keys_;
            reads_keys_ = reads_keys_ || wants; // from here on: whoever ends the listening waits for this thread
        }
        if (wants != keys.has_value() && (!wants || in_foreground())) {
            wants ? void(keys.emplace()) : keys.reset();
        }
        {
            const std::scoped_lock guard(mutex_);
            reads_keys_ = keys.has_value();
        }
        keys_changed_.notify_all();
        std::array<pollfd, 3> fds{
            {{signal_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}, {keys ? STDIN_FILENO : -1, POLLIN, 0}}};
        // Without keys that are wanted the terminal is looked at again: somebody may bring belay to the foreground.
        const int patience = wants ? static_cast<int>(foreground_pause.count()) : -1;
        if (poll(fds.data(), fds.size(), patience) <= 0) {
            continue; // EINTR, or time to look
        }
        if (fds[0].revents != 0) {
            take_signal();
        }
        if (fds[1].revents != 0) {
            std::uint64_t count{};
            (void)!read(wake_fd_, &count, sizeof count);
        }
        if (fds[2].revents != 0 && !take_key()) {
            const std::scoped_lock guard(mutex_);
            wants_keys_ = false; // the terminal is gone
        }
    }
}

void signal_inbox::take_signal() {
    signalfd_siginfo info{};
    if (read(signal_fd_, &info, sizeof info) != sizeof info) {
        return;
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

/// False when the terminal has ended.
bool signal_inbox::take_key() {
    char key{};
    const auto got = read(STDIN_FILENO, &key, 1);
    if (got != 1) {
        return got < 0 && (errno == EINTR || errno == EAGAIN);
    }
    const std::scoped_lock guard(mutex_);
    if (key == 'y' || key == 'Y') {
        answer_ = answer_.value_or(core::verdict::commit);
    } else if (key == 'n' || key == 'N') {
        answer_ = answer_.value_or(core::verdict::undo);
    }
    return true;
}

/// Returns when the terminal is as asked for: it is left as it was found.
void signal_inbox::listen(bool on) {
    if (!may_have_keys_) {
        return;
    }
    std::unique_lock guard(mutex_);
    wants_keys_ = on;
    if (on) {
        answer_.reset(); // what was said to an earlier confirmation is no answer to this one
    }
    guard.unlock();
    wake();
    guard.lock();
    if (!on) {
        keys_changed_.wait(guard, [this] { return !reads_keys_; });
    }
}

std::optional<core::verdict> signal_inbox::answer() const {
    const std::scoped_lock guard(mutex_);
    return answer_;
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
