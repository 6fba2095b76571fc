// SPDX-License-Identifier: Apache-2.0
// One program in an instance (POST /1.0/instances/N/exec), its streams as WebSockets. Has its connections for itself,
// so that several threads can run programs at once.
#pragma once
#include "incus/exchange.hpp"
#include "incus/websocket.hpp"
#include "ports/host.hpp"

#include <array>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

namespace belay::incus {

/// How long the daemon waits for the streams of a program (cmd/incusd/instance_exec.go).
inline constexpr core::milliseconds connect_limit{5'000};

class guest_program {
public:
    /// `path`: of the exec, with its query. Nothing is asked of the daemon yet.
    guest_program(std::string socket, std::string path, ports::guest_command command)
        : socket_(std::move(socket)), path_(std::move(path)), command_(std::move(command)) {}

    const ports::guest_command& command() const { return command_; }

    /// Before it is run: instead of that of its command.
    void give_input(std::string input) { command_.input = std::move(input); }

    bool is_prepared() const { return !operation_.empty(); }

    /// Has the daemon accept it, and connects all of its streams but the input, without which the daemon does not start
    /// it: it gives it up after `connect_limit`. `waiting`: the input as well, but nothing is sent there. Once. Errors
    /// as of run().
    core::expected<waiter::why> prepare(ports::readiness how_far, waiter& patience, time_point until);

    /// Runs it to its end, once, prepared or not. As port host says of exec, but for `interactive` and for a `cwd` that
    /// does not exist. When it must end early it gets SIGTERM and, a second later, SIGKILL; what it has started itself
    /// lives on. Errors, and then the program was not started: no_permission, no_daemon, not_found, and io_error with
    /// the daemon's words.
    core::expected<ports::guest_exit> run(core::milliseconds limit, const ports::output_sink& sink,
                                          const std::stop_token& stop);

    /// The first half of run(), with its errors: until the program runs, or will not. Nothing is read of it yet.
    core::expected<void> begin(core::milliseconds limit, const std::stop_token& stop);

    /// The other half, for what has begun without an error. The limit is that of begin().
    core::expected<ports::guest_exit> finish(const ports::output_sink& sink, const std::stop_token& stop);

    /// Begins it, once, without its input. False when it could not be begun within the limit.
    bool begin_without_input(core::milliseconds limit, const std::stop_token& stop);

    /// Behind that: reads what it prints until there is enough of that, or it has ended; at most for `limit`.
    void read_on(core::milliseconds limit, const ports::output_sink& sink, const std::function<bool()>& enough,
                 const std::stop_token& stop);

    /// Whether it runs, as far as that is known, and could be given its input.
    bool is_running() const { return is_started() && !end_->ended() && !given_up(); }

    /// Behind begin_without_input: gives it some of its input, and not the end of that.
    void say(std::string_view input);

    /// Behind begin_without_input: gives it its input and waits for its end, as run() does. `later`, if any, is the
    /// rest of that input and comes after `open`, when the program has not ended by then.
    core::expected<ports::guest_exit> go_on(std::string_view input, core::milliseconds limit,
                                            const ports::output_sink& sink, const std::stop_token& stop,
                                            std::string_view later = {}, core::milliseconds open = {});

    /// Behind that as well: ends it, as at a limit.
    void end_early();

    /// Of one that waits and is wanted by nobody: tells it that there is no input, and waits for its end.
    void run_for_nothing(core::milliseconds limit, const std::stop_token& stop);

private:
    enum stream : std::size_t { in, out, err, control };

    static constexpr std::size_t streams = 4;

    class channel {
    public:
        wire over{};
        frame_reader frames{};
        std::string waiting{}; ///< to be sent

        bool is_open() const { return over && frames.now() == frame_reader::state::open; }

        void send_waiting();
    };

    core::expected<waiter::why> make_run(waiter& patience, time_point until);
    core::expected<void> start();
    core::expected<void> open_streams(const std::vector<stream>& which);
    core::expected<wire> connection() const;
    void feed(std::string_view input);
    waiter::why attend(waiter& patience, std::optional<time_point> until, const std::function<bool()>& enough = {});
    std::vector<pollfd> interests() const;
    void advance(stream which);
    void take(stream which, std::string_view bytes);

    bool is_started() const { return end_.has_value(); }

    bool given_up() const;

    bool drained() const { return !channels_[out].is_open() && !channels_[err].is_open(); }

    ports::guest_exit how_it_ended();
    core::expected<response> look_again() const;

    std::string socket_;
    std::string path_;
    ports::guest_command command_;
    const ports::output_sink* sink_{nullptr}; ///< while it runs
    std::string operation_;                   ///< when it is prepared
    std::array<std::string, streams> secrets_;
    wire free_; ///< the connection on which it was accepted
    std::array<channel, streams> channels_;
    std::unique_ptr<char[]> buffer_;
    std::optional<exchange> end_;           ///< the wait for the end of the operation
    waiter::why begun_{waiter::why::ready}; ///< whether it runs: ready; else why not
    std::optional<time_point> until_;       ///< when it must have ended
};

} // namespace belay::incus
