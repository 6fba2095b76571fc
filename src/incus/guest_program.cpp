// SPDX-License-Identifier: Apache-2.0
#include "incus/guest_program.hpp"

#include "incus/bodies.hpp"
#include "incus/decode.hpp"
#include "incus/operations.hpp"
#include "incus/transport.hpp"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>

namespace belay::incus {

namespace {

using core::milliseconds;
using core::reason;
using clock = std::chrono::steady_clock;

/// How long the daemon may take to accept a program. It is started when its streams are connected.
constexpr milliseconds start_limit{30'000};

/// Between SIGTERM and SIGKILL, and how long the end is waited for after that.
constexpr milliseconds grace{1'000};

/// How long output is waited for that should have come before the end.
constexpr milliseconds drain_limit{1'000};

constexpr std::size_t piece_size = 256U * 1024U;

} // namespace

core::expected<wire> guest_program::connection() const {
    int number = 0;
    auto made = wire::open(socket_, number);
    if (!made) {
        return std::unexpected(no_connection(socket_, number));
    }
    return made;
}

core::expected<ports::guest_exit> guest_program::run(milliseconds limit, const ports::output_sink& sink,
                                                     const std::stop_token& stop) {
    BELAY_TRY_VOID(begin(limit, stop));
    return finish(sink, stop);
}

core::expected<void> guest_program::begin(milliseconds limit, const std::stop_token& stop) {
    const auto now = clock::now();
    until_ = limit > milliseconds::zero() ? std::optional(now + limit) : std::nullopt;
    begun_ = waiter::why::stopped;
    if (stop.stop_requested()) { // a prepared one would begin at once
        return {};
    }
    const bool hurries = until_ && limit < start_limit;
    buffer_ = std::make_unique_for_overwrite<char[]>(piece_size);
    waiter patience(stop);
    BELAY_TRY(const auto, how, make_run(patience, now + (hurries ? limit : start_limit)));
    begun_ = how;
    if (how == waiter::why::timed_out && !hurries) {
        return std::unexpected(
            core::error{reason::no_daemon,
                        fmt::format("the Incus daemon at {} did not start a program in time", socket_),
                        {},
                        true});
    }
    if (how == waiter::why::ready) {
        feed(command_.input);
    }
    return {};
}

core::expected<ports::guest_exit> guest_program::finish(const ports::output_sink& sink, const std::stop_token& stop) {
    auto how = begun_;
    if (how == waiter::why::ready) {
        sink_ = &sink;
        waiter patience(stop);
        how = attend(patience, until_);
        if (how == waiter::why::ready) {
            return how_it_ended();
        }
        end_early();
    }
    return ports::guest_exit{how == waiter::why::stopped ? ports::ended::cancelled : ports::ended::timed_out, 0};
}

bool guest_program::begin_without_input(milliseconds limit, const std::stop_token& stop) {
    if (stop.stop_requested()) {
        return false;
    }
    buffer_ = std::make_unique_for_overwrite<char[]>(piece_size);
    waiter patience(stop);
    const auto made = make_run(patience, clock::now() + limit);
    return made && *made == waiter::why::ready;
}

void guest_program::read_on(milliseconds limit, const ports::output_sink& sink, const std::function<bool()>& enough,
                            const std::stop_token& stop) {
    sink_ = &sink;
    waiter patience(stop);
    (void)attend(patience, clock::now() + limit, enough);
    sink_ = nullptr;
}

core::expected<ports::guest_exit> guest_program::go_on(std::string_view input, milliseconds limit,
                                                       const ports::output_sink& sink, const std::stop_token& stop,
                                                       std::string_view later, milliseconds open) {
    until_ = limit > milliseconds::zero() ? std::optional(clock::now() + limit) : std::nullopt;
    if (stop.stop_requested()) {
        return ports::guest_exit{ports::ended::cancelled, 0};
    }
    begun_ = waiter::why::ready;
    if (!later.empty()) {
        say(input);
        read_on(until_ ? std::min(limit, open) : open, sink, {}, stop);
        input = later;
    }
    if (is_running()) {
        feed(input);
    }
    return finish(sink, stop);
}

void guest_program::run_for_nothing(milliseconds limit, const std::stop_token& stop) {
    if (!given_up()) {
        command_.input.clear();
        (void)run(limit, {}, stop); // there is nobody to be told
    }
}

/// Whether its daemon is gone, or does not wait for it any more: then its streams are closed.
bool guest_program::given_up() const {
    return std::ranges::any_of(std::array{out, err, control},
                               [this](stream which) { return channels_[which].over.hung_up(); });
}

/// Until the program runs. What the daemon has given up meanwhile, and so did not start, is prepared once more. It is
/// not even asked for the input of such a one: Incus 6.0.4 lets that request of a program of another daemon wait, and
/// with it those of others, and may crash when a stream is connected just when its operation ends.
core::expected<waiter::why> guest_program::make_run(waiter& patience, time_point until) {
    const bool usable = is_prepared() && !given_up();
    if (usable && is_started()) {
        return waiter::why::ready;
    }
    if (usable) {
        auto started = start();
        if (started) {
            return waiter::why::ready;
        }
        if (started.error().code == reason::no_daemon) {
            return std::unexpected(std::move(started).error());
        }
    }
    end_.reset();
    return prepare(ports::readiness::waiting, patience, until);
}

core::expected<waiter::why> guest_program::prepare(ports::readiness how_far, waiter& patience, time_point until) {
    BELAY_TRY(wire, over, connection());
    exchange post(std::move(over), {"POST", path_, exec_body(command_)});
    if (const auto how = drive({&post}, patience, until); how != waiter::why::ready) {
        return how;
    }
    BELAY_TRY(const response, r, post.result());
    BELAY_TRY_VOID(accepted(r, socket_));
    operation_ = decode_answer(r.body).operation;
    auto secrets = decode_secrets(r.body);
    secrets_ = {secrets["0"], secrets["1"], secrets["2"], secrets["control"]};
    free_ = post.take_wire();
    BELAY_TRY_VOID(open_streams({out, err, control}));
    if (how_far == ports::readiness::waiting) {
        BELAY_TRY_VOID(start());
    }
    return waiter::why::ready;
}

/// The daemon starts the program when it has input and outputs, whether or not it has the control, and when the program
/// has ended nothing can be connected any more: so the input comes last, and what asks for the end is there before.
core::expected<void> guest_program::start() {
    if (!free_ || !free_.quiet()) { // the daemon may have closed it
        BELAY_TRY(wire, over, connection());
        free_ = std::move(over);
    }
    BELAY_TRY_VOID(open_streams({in}));
    end_.emplace(std::move(free_), request{"GET", operation_ + "/wait"});
    return {};
}

/// Not cut short by anything: a program that was started without its control could not be ended.
core::expected<void> guest_program::open_streams(const std::vector<stream>& which) {
    constexpr long switching_protocols = 101;
    std::vector<exchange> upgrades;
    for (const auto one : which) {
        BELAY_TRY(auto, over, connection());
        const auto path = operation_ + "/websocket?secret=" + escape(secrets_[one]);
        upgrades.emplace_back(std::move(over), request{.method = "GET", .path = path, .upgrades = true});
    }
    std::vector<exchange*> all;
    for (auto& one : upgrades) {
        all.push_back(&one);
    }
    waiter patience;
    if (drive(all, patience, clock::now() + connect_limit) != waiter::why::ready) {
        return std::unexpected(
            core::error{reason::no_daemon,
                        fmt::format("the Incus daemon at {} did not open the streams of a program", socket_),
                        {},
                        true});
    }
    for (std::size_t i = 0; i < which.size(); ++i) {
        BELAY_TRY(const response, r, upgrades[i].result());
        if (r.status != switching_protocols) {
            BELAY_TRY_VOID(accepted(r, socket_));
            return core::failure(reason::io_error, "the Incus daemon did not open a stream of the program");
        }
        channels_[which[i]] = {.over = upgrades[i].take_wire()};
        take(which[i], upgrades[i].take_rest());
    }
    return {};
}

void guest_program::say(std::string_view input) {
    channels_[in].waiting += frame_of(opcode::binary, input);
    channels_[in].send_waiting();
}

/// An empty text message is the end of the input.
void guest_program::feed(std::string_view input) {
    if (!input.empty()) {
        say(input);
    }
    channels_[in].waiting += frame_of(opcode::text, {});
}

std::vector<pollfd> guest_program::interests() const {
    std::vector<pollfd> which;
    if (!end_->ended()) {
        which.push_back(end_->interest());
    }
    for (const auto& c : channels_) {
        if (c.is_open()) {
            which.push_back({c.over.fd(), static_cast<short>(c.waiting.empty() ? POLLIN : POLLIN | POLLOUT), 0});
        }
    }
    return which;
}

/// Until the program has ended and its output was read, or there was enough of that.
waiter::why guest_program::attend(waiter& patience, std::optional<time_point> until,
                                  const std::function<bool()>& enough) {
    for (bool draining = false;;) {
        end_->advance();
        for (const auto which : {in, out, err, control}) {
            advance(which);
        }
        if ((end_->ended() && drained()) || (enough && enough())) {
            return waiter::why::ready;
        }
        if (end_->ended() && !draining) {
            draining = true;
            until = clock::now() + drain_limit;
        }
        auto which = interests();
        if (const auto how = patience.wait_for(which, until); how != waiter::why::ready) {
            return draining ? waiter::why::ready : how;
        }
    }
}

void guest_program::end_early() {
    waiter patience;
    for (const int number : {SIGTERM, SIGKILL}) {
        channels_[control].waiting += frame_of(opcode::text, signal_body(number));
        if (attend(patience, clock::now() + grace) == waiter::why::ready) {
            return;
        }
    }
}

void guest_program::channel::send_waiting() {
    std::string_view left = waiting;
    int number = 0;
    while (!left.empty()) {
        const auto moved = over.send(left, number);
        if (moved == wire::moved::ended) {
            left = {}; // nobody reads it any more
        }
        if (moved != wire::moved::some) {
            break;
        }
    }
    waiting.erase(0, waiting.size() - left.size());
}

void guest_program::take(stream which, std::string_view bytes) {
    auto& c = channels_[which];
    const auto shown = which == err ? core::output::stream::err : core::output::stream::out;
    const auto on_data = [&](std::string_view data) {
        if (sink_ != nullptr && *sink_ && (which == out || which == err)) {
            (*sink_)(shown, data);
        }
    };
    c.frames.read(bytes, on_data, [&](std::string_view ping) { c.waiting += frame_of(opcode::pong, ping); });
}

/// One piece at a time, so that both outputs and the end get their turn.
void guest_program::advance(stream which) {
    auto& c = channels_[which];
    if (!c.is_open()) {
        return;
    }
    c.send_waiting();
    std::size_t size = 0;
    int number = 0;
    switch (c.over.receive(buffer_.get(), piece_size, size, number)) {
    case wire::moved::some:
        return take(which, {buffer_.get(), size});
    case wire::moved::none_now:
        return;
    case wire::moved::ended:
        c.over = {};
    }
}

/// What the daemon says of the operation. The answer to the wait for a program that was not found, say, is only its
/// error: the exit status is in the operation.
ports::guest_exit guest_program::how_it_ended() {
    auto said = end_->result();
    std::string why = said ? decode_answer(said->body).error : core::describe(said.error());
    if (said && !why.empty()) {
        said = look_again();
    }
    const int status = said ? decode_operation(said->body).exit_status : -1;
    if (status >= 0) {
        return {ports::ended::exited, status};
    }
    return {ports::ended::lost, 0, why.empty() ? "the Incus daemon does not say how it ended" : std::move(why)};
}

core::expected<response> guest_program::look_again() const {
    BELAY_TRY(auto, over, connection());
    exchange look(std::move(over), {"GET", operation_});
    waiter patience;
    if (drive({&look}, patience, clock::now() + start_limit) != waiter::why::ready) {
        return core::failure(reason::no_daemon, "the Incus daemon does not answer");
    }
    return look.result();
}

} // namespace belay::incus
