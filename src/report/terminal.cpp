// SPDX-License-Identifier: Apache-2.0
#include "report/terminal.hpp"

#include "ports/threads.hpp"
#include "report/plain.hpp"

namespace belay::report {

namespace {

constexpr milliseconds between_frames{50};

/// Finished lines that are written at once even if the last frame was just now.
constexpr std::size_t batch = 64U << 10U;

} // namespace

terminal::terminal(int fd, const style& look, const ports::clock& clock)
    : clock_(clock), out_(fd, terminal_patience), live_(look),
      ticker_(ports::begin_thread([this](const std::stop_token& stop) { run(stop); })) {}

terminal::~terminal() {
    ticker_ = {};
    const std::lock_guard guard(mutex_);
    draw(clock_.monotonic());
    out_.write(live_.leave(columns_of(out_.fd()).value_or(columns_)));
}

void terminal::on(const core::record& r) {
    const auto now = clock_.monotonic();
    const std::lock_guard guard(mutex_);
    const bool was_moving = live_.moving();
    const bool was_silent = live_.silent();
    live_.see(r, now);
    if (live_.silent() && !was_silent) {
        draw(now); // the last thing before the command gets the terminal
    } else if (live_.waiting() >= batch || now - drawn_at_ >= between_frames || !live_.moving()) {
        draw(now);
    }
    if (live_.moving() && !was_moving) {
        changed_.notify_one();
    }
}

void terminal::recall(const core::record& r) {
    const std::scoped_lock guard(mutex_);
    live_.recall(r);
}

void terminal::say(std::string_view line) {
    const std::lock_guard guard(mutex_);
    live_.say(line);
    if (!live_.silent()) {
        draw(clock_.monotonic());
    }
}

void terminal::run(const std::stop_token& stop) {
    std::unique_lock guard(mutex_);
    while (!stop.stop_requested()) {
        if (!changed_.wait(guard, stop, [this] { return live_.moving(); })) {
            return;
        }
        if (const auto now = clock_.monotonic(); now - drawn_at_ >= between_frames) {
            draw(now);
        }
        changed_.wait_for(guard, stop, between_frames, [] { return false; });
    }
}

void terminal::draw(milliseconds now) {
    drawn_at_ = now;
    out_.pump();
    if (out_.dead() || out_.stalled()) {
        // A frame is of no use to a terminal that takes nothing; the log has the output.
        if (out_.dead() || live_.waiting() > batch) {
            live_.drop_waiting();
        }
        return;
    }
    columns_ = columns_of(out_.fd()).value_or(80);
    out_.write(live_.frame(columns_, now));
}

std::unique_ptr<ports::listener> make_view(int fd, const style& look, const ports::clock& clock) {
    if (look.live) {
        return std::make_unique<terminal>(fd, look, clock);
    }
    return std::make_unique<plain>(fd, look);
}

} // namespace belay::report
