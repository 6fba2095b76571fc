// SPDX-License-Identifier: Apache-2.0
// HTTP over the daemon's unix socket. The only file that knows libcurl is transport.cpp; nothing of it is in this
// header.
#pragma once
#include "core/error.hpp"
#include "core/plan.hpp"

#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace belay::incus {

struct request {
    std::string method;
    std::string path;       ///< escaped, with its query
    std::string body{};     ///< JSON
    std::string if_match{}; ///< an ETag as it came; empty: none
};

struct response {
    long status{};
    std::string etag{};
    std::string body{};
};

class transport {
public:
    /// An answer that is longer than this is an error: it is no answer of a daemon.
    static constexpr std::size_t longest_body = 64U << 20U;

    explicit transport(std::string socket);
    ~transport();
    transport(transport&&) noexcept;
    transport& operator=(transport&&) noexcept;

    /// Sends a request and waits for its whole answer, whatever its status. One call at a time; the connection is
    /// kept. Errors: no_permission for the socket; interrupted when `stop` was requested; else no_daemon, and transient
    /// but for an answer that is too long: no socket, nobody listens, the connection was lost, nothing within `limit`.
    /// Whether the daemon acted on a request that failed is not known.
    core::expected<response> send(const request& what, core::milliseconds limit, std::stop_token stop = {});

    /// Sends them all at once, each over a connection of its own, and waits until each is answered or has failed. What
    /// comes out is in their order, and each for itself: those that were answered in time stand, whatever became of the
    /// others. `limit` is for all of them together.
    std::vector<core::expected<response>> send_all(const std::vector<request>& what, core::milliseconds limit,
                                                   std::stop_token stop = {});

    const std::string& socket() const;

private:
    class connection;
    std::unique_ptr<connection> connection_;
};

/// A name as a part of a path or a query (RFC 3986: everything but the unreserved characters is escaped).
std::string escape(std::string_view name);

} // namespace belay::incus
