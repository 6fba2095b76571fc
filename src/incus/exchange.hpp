// SPDX-License-Identifier: Apache-2.0
// One request and its answer over the daemon's unix socket (HTTP/1.1, RFC 9112), and the wait for several of them.
// Nothing here blocks but wait_for.
#pragma once
#include "core/error.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <poll.h>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace belay::incus {

using time_point = std::chrono::steady_clock::time_point;

struct request {
    std::string method;
    std::string path;       ///< escaped, with its query
    std::string body{};     ///< JSON
    std::string if_match{}; ///< an ETag as it came; empty: none
    bool upgrades{false};   ///< asks for a WebSocket instead of an answer

    bool operator==(const request&) const = default;
};

struct response {
    long status{};
    std::string etag{};
    std::string body{};
};

/// An answer that is longer than this is an error: it is no answer of a daemon.
inline constexpr std::size_t longest_body = 64U << 20U;

/// A connection to the daemon: a stream whose reads and writes take what can be had now.
class wire {
public:
    wire() = default;
    wire(wire&& other) noexcept;
    wire& operator=(wire&& other) noexcept;
    ~wire();

    /// An empty one when it cannot be had; `number` then is errno.
    static wire open(const std::string& socket, int& number);

    explicit operator bool() const { return fd_ >= 0; }

    int fd() const { return fd_; }

    /// Whether nothing has come over it that nobody asked for, also not its end.
    bool quiet() const;

    /// Whether the other side has closed it, also when something of it is still to be read.
    bool hung_up() const;

    enum class moved { some, none_now, ended };

    /// Takes up to `size` bytes. `number`: errno, when the connection broke.
    moved receive(char* to, std::size_t size, std::size_t& got, int& number);

    /// Sends the front of `bytes`, and removes it from them.
    moved send(std::string_view& bytes, int& number);

private:
    explicit wire(int fd) : fd_(fd) {}

    int fd_{-1};
};

class exchange {
public:
    exchange(wire over, const request& what);
    ~exchange();
    exchange(exchange&&) noexcept;
    exchange& operator=(exchange&&) noexcept;

    /// What poll(2) is to wait for, until it has ended.
    pollfd interest() const;

    /// Sends as much as can be now.
    void send();

    /// The same, and receives.
    void advance();

    bool ended() const { return ended_.has_value(); }

    /// Whether any byte of an answer has come.
    bool heard() const;

    /// How it ended: the answer, whatever its status, or a connection that was lost (no_daemon, transient). Once.
    core::expected<response> result();

    /// The connection, when it is free for the next request, or has become a WebSocket; else none.
    wire take_wire();

    /// What came behind the answer: the first bytes of a WebSocket.
    std::string take_rest();

    time_point begun() const { return begun_; }

    time_point ended_at() const { return ended_at_; }

private:
    class reader;
    enum class end { answered, lost, too_long, unreadable };

    void send_some();
    void receive_some();
    void finish(end how, int number = 0);

    wire wire_;
    std::string request_;
    std::size_t sent_{0};
    std::unique_ptr<reader> reader_;
    std::optional<end> ended_;
    int number_{0};
    time_point begun_;
    time_point ended_at_;
};

/// Waits for sockets; a stop request wakes it. One for each wait that may be cut short.
class waiter {
public:
    explicit waiter(const std::stop_token& stop = {});
    ~waiter();
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    enum class why { ready, timed_out, stopped };

    /// Until one of them is ready, a moment (if there is one), or a stop request.
    why wait_for(std::vector<pollfd>& which, std::optional<time_point> until);

private:
    void wake() const;

    std::stop_token stop_;
    int event_;
    std::optional<std::stop_callback<std::function<void()>>> on_stop_;
};

/// Drives exchanges, of which none has ended, until one has, or to a moment, or to a stop request.
waiter::why drive_one(const std::vector<exchange*>& all, waiter& patience, std::optional<time_point> until);

/// The same until all have ended.
waiter::why drive(const std::vector<exchange*>& all, waiter& patience, std::optional<time_point> until);

} // namespace belay::incus
