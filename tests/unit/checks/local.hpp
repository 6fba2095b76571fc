// SPDX-License-Identifier: Apache-2.0
// An instance whose programs run on this machine, by the real means, as children of belay.
#pragma once
#include "process/child.hpp"
#include "unit/checks/guests.hpp"

#include <functional>
#include <mutex>

namespace belay::test {

class local_guest : public idle_guest {
public:
    /// What was run, in the order of its beginning.
    std::vector<std::string> programs() const {
        const std::scoped_lock guard(mutex_);
        return programs_;
    }

    /// How many of them ran checks or commands, and not a sweep.
    std::size_t runs() const {
        std::size_t count = 0;
        for (const auto& text : programs()) {
            count += text.find("/proc/[0-9]*/environ") == std::string::npos ? 1 : 0;
        }
        return count;
    }

    std::vector<ports::guest_command> commands; ///< all that was run, in any order
    std::vector<std::string> shell{"sh"};       ///< what is called sh there

    /// Sees, and may change, what a program prints before belay gets it, and how it ended. By the number of the
    /// program, from 1. As a whole, and only when it is set.
    std::function<void(int number, std::string& out, core::expected<ports::guest_exit>& end)> on_the_way;

    /// Sees what a sweep looks for.
    std::function<void(const std::string& pattern)> on_sweep;

    core::expected<ports::guest_exit> exec(const ports::guest_command& command, core::milliseconds limit,
                                           const ports::output_sink& sink, std::stop_token stop) override {
        {
            const std::scoped_lock guard(mutex_);
            commands.push_back(command);
        }
        auto argv = command.argv;
        argv.erase(argv.begin());
        argv.insert(argv.begin(), shell.begin(), shell.end());
        const auto number = note(command);
        if (on_sweep && command.argv.size() > 4 && command.argv[3] == "sweep") {
            on_sweep(command.argv[4]);
        }
        std::string held;
        const auto hold = [&](core::output::stream from, std::string_view piece) {
            if (on_the_way && from == core::output::stream::out) {
                held += piece;
            } else {
                sink(from, piece);
            }
        };
        auto end = ended(process::run({.argv = argv, .env = command.env, .input = command.input}, limit, hold, stop,
                                      core::milliseconds{200}));
        if (on_the_way) {
            on_the_way(number, held, end);
            sink(core::output::stream::out, held);
        }
        return end;
    }

private:
    static core::expected<ports::guest_exit> ended(const core::expected<process::status>& end) {
        if (!end) {
            return std::unexpected(end.error());
        }
        switch (end->how) {
        case process::ended::exited:
            return ports::guest_exit{ports::ended::exited, end->code};
        case process::ended::signalled:
            return ports::guest_exit{ports::ended::exited, 128 + end->code};
        case process::ended::timed_out:
            return ports::guest_exit{ports::ended::timed_out, 0};
        case process::ended::cancelled:
            return ports::guest_exit{ports::ended::cancelled, 0};
        }
        return ports::guest_exit{};
    }

    int note(const ports::guest_command& command) {
        const std::scoped_lock guard(mutex_);
        const bool on_input = command.argv == core::waiting_shell();
        programs_.push_back(on_input ? command.input : command.argv.size() > 2 ? command.argv[2] : std::string{});
        return static_cast<int>(programs_.size());
    }

    mutable std::mutex mutex_;
    std::vector<std::string> programs_;
};

} // namespace belay::test
