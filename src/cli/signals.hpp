// SPDX-License-Identifier: Apache-2.0
// Port inbox: SIGINT and SIGTERM mean "undo now", and while a confirmation is waited for the keys of the terminal `y`
// keeps and `n` undoes. A thread waits for both, so that no code runs in a signal handler.
#pragma once
#include "ports/inbox.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace belay::cli {

/// Blocks SIGINT and SIGTERM for the calling thread and every thread it starts later, ignores SIGHUP, SIGPIPE
/// and SIGXFSZ (a write beyond a limit is an error then, not the end). To be
/// called before there is a second thread.
void prepare_signals();

class signal_inbox : public ports::inbox {
public:
    /// Begins to wait for signals; prepare_signals() was called before. `keys`: whether a person at the terminal may
    /// answer when a confirmation is waited for. Where no thread is to be had for that it is an interruption at once,
    /// so that nothing begins that nobody could interrupt.
    explicit signal_inbox(bool keys = false);
    signal_inbox(const signal_inbox&) = delete;
    signal_inbox& operator=(const signal_inbox&) = delete;
    ~signal_inbox() override;

    std::stop_token interrupts() const override { return interrupts_.get_token(); }

    std::optional<core::error> interruption() const override;
    void listen(bool on) override;
    std::optional<core::verdict> answer() const override;
    void wait(core::milliseconds duration, std::stop_token stop) override;

private:
    void watch();
    void take_signal();
    bool take_key();
    void wake() const;

    std::stop_source interrupts_;
    mutable std::mutex mutex_;
    std::condition_variable_any woken_;
    std::condition_variable keys_changed_;
    std::optional<core::error> why_;
    std::optional<core::verdict> answer_;
    bool may_have_keys_;
    bool wants_keys_{false};
    bool reads_keys_{false};
    bool ends_{false};
    int signal_fd_{-1};
    int wake_fd_{-1};
    std::thread thread_;
};

} // namespace belay::cli
