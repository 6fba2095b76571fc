// SPDX-License-Identifier: Apache-2.0
// The live view on a terminal: draws what `live` shows, at most 20 times a second, from a thread of its own, so that a
// command that prints nothing does not look dead.
#pragma once
#include "ports/clock.hpp"
#include "ports/listener.hpp"
#include "report/live.hpp"
#include "report/stream.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace belay::report {

class terminal final : public ports::listener {
public:
    /// `clock` is read from two threads and must outlive the view.
    terminal(int fd, const style& look, const ports::clock& clock);

    /// Takes the status off the terminal: the cursor is at the beginning of a line then.
    ~terminal() override;

    terminal(const terminal&) = delete;
    terminal& operator=(const terminal&) = delete;

    void on(const core::record& r) override;
    void recall(const core::record& r) override;

    /// Shows a line (of the log, for instance) above the status. Safe to call from any thread.
    void say(std::string_view line);

private:
    void run(const std::stop_token& stop);
    void draw(milliseconds now);

    const ports::clock& clock_;
    stream out_;
    std::mutex mutex_; ///< guards what follows, and out_
    std::condition_variable_any changed_;
    live live_;
    std::size_t columns_{80};
    milliseconds drawn_at_{-1'000};
    std::jthread ticker_; ///< without one it is drawn when something happens
};

/// The view that fits: live on a capable terminal, else plain.
std::unique_ptr<ports::listener> make_view(int fd, const style& look, const ports::clock& clock);

} // namespace belay::report
