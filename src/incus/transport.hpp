// SPDX-License-Identifier: Apache-2.0
// Requests to the daemon, one or several at once, over connections that are kept.
#pragma once
#include "core/plan.hpp"
#include "incus/exchange.hpp"
#include "incus/observer.hpp"

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace belay::incus {

/// What is to be asked as well, now that the one at this place is answered, or has failed. May judge the answer anew.
using follow_up = std::function<std::vector<request>(std::size_t which, core::expected<response>& answer)>;

class transport {
public:
    explicit transport(std::string socket, core::milliseconds longest_prepared = std::chrono::seconds{1});
    ~transport();
    transport(transport&&) noexcept;
    transport& operator=(transport&&) noexcept;

    /// Sends requests that change nothing for the next call of send or send_all: what that asks for as well, before
    /// `longest_prepared` has passed, is not sent again. Nothing is waited for, and there is no error.
    void prepare(const std::vector<request>& what);

    /// Sends a request and waits for its whole answer, whatever its status. One call at a time; the connection is
    /// kept. Errors: no_permission for the socket; interrupted when `stop` was requested; else no_daemon, and transient
    /// but for an answer that is too long or none: no socket, nobody listens, the connection was lost, nothing within
    /// `limit`. Whether the daemon acted on a request that failed is not known.
    core::expected<response> send(const request& what, core::milliseconds limit, std::stop_token stop = {});

    /// Sends them all at once, each over a connection of its own, and waits until each is answered or has failed. What
    /// comes out is in their order, and each for itself: those that were answered in time stand, whatever became of the
    /// others. `next` is told of each when that is so, also at the limit; what it says is sent at once and comes behind
    /// the others. `limit` is for all of them together.
    std::vector<core::expected<response>> send_all(const std::vector<request>& what, core::milliseconds limit,
                                                   std::stop_token stop = {}, const follow_up& next = {});

    const std::string& socket() const { return socket_; }

    void observe(observer who) { observer_ = std::move(who); }

private:
    struct sent;

    sent begin(const request& what, bool anew);
    sent taken_up(const request& what, std::vector<sent>& prepared);
    core::expected<response> outcome_of(sent& one, waiter::why how, core::milliseconds limit);

    std::string socket_;
    core::milliseconds longest_prepared_;
    std::vector<wire> idle_;
    std::vector<sent> prepared_;
    observer observer_;
};

/// Why there is no connection to the daemon, by the errno of connect(2). Errors: no_permission, else no_daemon.
core::error no_connection(const std::string& socket, int number);

/// A name as a part of a path or a query (RFC 3986: everything but the unreserved characters is escaped).
std::string escape(std::string_view name);

} // namespace belay::incus
