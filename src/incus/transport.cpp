// SPDX-License-Identifier: Apache-2.0
#include "incus/transport.hpp"

#include "core/durations.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <system_error>
#include <utility>

namespace belay::incus {

using core::milliseconds;
using core::reason;

/// A request that is under way, or why it is not.
struct transport::sent {
    request what;
    std::optional<exchange> under_way{};
    bool kept{false}; ///< over a connection that may have been closed before anybody waited for the answer
    core::error why_not{};
    bool taken{false}; ///< its outcome

    bool is_under_way() const { return under_way && !under_way->ended(); }

    /// The daemon has closed the connection before it said anything: a request that only reads is worth another one.
    bool is_stale() const {
        return kept && !taken && under_way->ended() && !under_way->heard() && what.method == "GET";
    }
};

core::error no_connection(const std::string& socket, int number) {
    if (number == EACCES || number == EPERM) {
        return {reason::no_permission,
                fmt::format("no permission for the Incus daemon at {}: run as root, or join the group incus-admin and "
                            "log in again",
                            socket)};
    }
    return {reason::no_daemon,
            fmt::format("no Incus daemon answers at {}: is it running (`systemctl status incus`)?", socket),
            std::generic_category().message(number), true};
}

transport::transport(std::string socket, milliseconds longest_prepared)
    : socket_(std::move(socket)), longest_prepared_(longest_prepared) {}

transport::~transport() = default;
transport::transport(transport&&) noexcept = default;
transport& transport::operator=(transport&&) noexcept = default;

void transport::prepare(const std::vector<request>& what) {
    for (const auto& one : what) {
        prepared_.push_back(begin(one, false));
        if (prepared_.back().under_way) {
            prepared_.back().under_way->send();
        }
    }
}

/// What was prepared, unless it is too old by now; else it begins now.
transport::sent transport::taken_up(const request& what, std::vector<sent>& prepared) {
    const auto known = std::ranges::find(prepared, what, &sent::what);
    if (known == prepared.end()) {
        return begin(what, false);
    }
    auto one = std::move(*known);
    prepared.erase(known);
    one.kept = true;
    const bool counts = one.under_way && std::chrono::steady_clock::now() - one.under_way->begun() < longest_prepared_;
    return counts ? std::move(one) : begin(what, false);
}

/// Over a connection that is free, or a new one.
transport::sent transport::begin(const request& what, bool anew) {
    sent one{what};
    while (!anew && !idle_.empty() && !one.under_way) {
        auto free = std::move(idle_.back());
        idle_.pop_back();
        if (free.quiet()) {
            one.under_way.emplace(std::move(free), what);
            one.kept = true;
        }
    }
    if (!one.under_way) {
        int number = 0;
        if (auto made = wire::open(socket_, number)) {
            one.under_way.emplace(std::move(made), what);
        } else {
            one.why_not = no_connection(socket_, number);
        }
    }
    return one;
}

core::expected<response> transport::outcome_of(sent& one, waiter::why how, milliseconds limit) {
    one.taken = true;
    if (!one.under_way) {
        return std::unexpected(std::move(one.why_not));
    }
    if (one.under_way->ended()) {
        if (observer_) {
            observer_(
                {false, one.what.method + " " + one.what.path, one.under_way->begun(), one.under_way->ended_at()});
        }
        auto result = one.under_way->result();
        if (auto free = one.under_way->take_wire()) {
            idle_.push_back(std::move(free));
        }
        return result;
    }
    // What has not ended loses its connection: a late answer cannot be mistaken for the next one.
    if (how == waiter::why::stopped) {
        return core::failure(reason::interrupted, "interrupted while waiting for the Incus daemon");
    }
    return std::unexpected(core::error{
        reason::no_daemon,
        fmt::format("the Incus daemon at {} did not answer within {}", socket_, core::format_duration(limit)),
        {},
        true});
}

core::expected<response> transport::send(const request& what, milliseconds limit, std::stop_token stop) {
    return std::move(send_all({what}, limit, std::move(stop)).front());
}

std::vector<core::expected<response>> transport::send_all(const std::vector<request>& what, milliseconds limit,
                                                          std::stop_token stop, const follow_up& next) {
    const auto until = std::chrono::steady_clock::now() + limit;
    waiter patience(stop);
    std::vector<sent> all;
    std::vector<core::expected<response>> results;
    auto prepared = std::exchange(prepared_, {});
    const auto ask = [&](const std::vector<request>& more) {
        for (const auto& one : more) {
            all.push_back(taken_up(one, prepared));
            results.emplace_back();
        }
    };
    ask(what);
    for (auto how = waiter::why::ready;;) {
        const bool goes_on = how == waiter::why::ready;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (goes_on && all[i].is_stale()) {
                all[i] = begin(all[i].what, true);
            }
            if (!all[i].taken && !(goes_on && all[i].is_under_way())) {
                results[i] = outcome_of(all[i], how, limit);
                ask(next ? next(i, results[i]) : std::vector<request>{});
            }
        }
        std::vector<exchange*> left;
        for (auto& one : all) {
            if (!one.taken) {
                left.push_back(&*one.under_way);
            }
        }
        if (left.empty()) {
            return results;
        }
        how = drive_one(left, patience, until);
    }
}

std::string escape(std::string_view name) {
    std::string safe;
    for (const char c : name) {
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                c == '-' || c == '.' || c == '_' || c == '~';
        if (unreserved) {
            safe += c;
        } else {
            safe += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return safe;
}

} // namespace belay::incus
