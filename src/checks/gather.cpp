// SPDX-License-Identifier: Apache-2.0
// Collectors of evidence, side by side and within one limit of time, whatever they do.
#include "checks/runner.hpp"
#include "ports/threads.hpp"

#include <algorithm>
#include <condition_variable>
#include <fmt/format.h>
#include <memory>
#include <utility>

namespace belay::checks {

namespace {

/// What the threads of one round of collectors and gather() share. It lives as long as the last of them.
struct collection {
    explicit collection(std::vector<core::check_spec> what)
        : specs(std::move(what)), texts(specs.size()), ends(specs.size()) {}

    const std::vector<core::check_spec> specs;
    std::vector<printed> texts;
    std::mutex mutex; ///< guards what follows
    std::condition_variable changed;
    std::vector<std::optional<core::health>> ends;

    void end(std::size_t i, core::health how) {
        const std::scoped_lock guard(mutex);
        ends[i] = how;
        changed.notify_all();
    }

    /// Whether all have ended within the limit.
    bool wait(core::milliseconds limit) {
        std::unique_lock lock(mutex);
        return changed.wait_for(
            lock, limit, [&] { return std::ranges::all_of(ends, [](const auto& one) { return one.has_value(); }); });
    }

    std::optional<core::health> how(std::size_t i) {
        const std::scoped_lock guard(mutex);
        return ends[i];
    }
};

/// The collectors, and behind them the listing, none of which may take longer than the limit.
std::vector<core::check_spec> all_within(core::milliseconds limit, std::vector<core::check_spec> collectors,
                                         const std::optional<core::check_spec>& listing) {
    if (listing) {
        collectors.push_back(*listing);
    }
    for (auto& spec : collectors) {
        spec.timeout = std::min(spec.timeout, limit);
    }
    return collectors;
}

/// What a collector printed itself. The mark of one that was ended is still there; a list of processes may have it in
/// command lines.
std::string without_end_mark(std::string text) {
    const auto line = fmt::format("\n{}\n", end_mark);
    if (text.ends_with(line)) {
        text.resize(text.size() - line.size());
    }
    text.erase(text.find_last_not_of('\n') + 1);
    return text.empty() ? text : text + "\n";
}

std::string piece_of(printed& text, const core::check_spec& spec) {
    const std::scoped_lock guard(text.mutex);
    return without_end_mark(text.out) + (is_heard(spec, kind::collector) ? text.err : std::string{});
}

} // namespace

ports::gathering runner::gather(const std::vector<core::check_spec>& collectors,
                                const std::optional<core::check_spec>& listing, const ports::hook_context& context,
                                core::milliseconds limit, const std::function<void()>& meanwhile) {
    const auto all = std::make_shared<collection>(all_within(limit, collectors, listing));
    std::vector<std::jthread> threads;
    const auto run_alone = [this, all, context](std::size_t i, const std::stop_token& stop) {
        all->end(i, run_one(all->specs[i], context, stop, all->texts[i], kind::collector).how);
    };
    const auto together = what_goes_together(all->specs, collectors.size(), kind::collector);
    if (!together.which.empty()) {
        const auto run_batch = [this, all, context, together, run_alone](const std::stop_token& stop) {
            std::vector<core::reading> readings(all->specs.size());
            std::vector<std::jthread> alone;
            const auto tell = [&](std::size_t i, std::optional<core::health> how) {
                if (how) {
                    all->end(i, *how);
                } else if (!ports::begin_thread(alone, [=] { run_alone(i, stop); })) {
                    all->end(i, core::health::fail);
                }
            };
            run_together(together, all->specs, context, stop, readings, all->texts, kind::collector, tell);
        };
        if (!ports::begin_thread(threads, run_batch)) {
            for (const auto i : together.which) {
                all->end(i, core::health::fail);
            }
        }
    }
    for (std::size_t i = 0; i < all->specs.size(); ++i) {
        const bool alone = std::ranges::find(together.which, i) == together.which.end();
        if (alone &&
            !ports::begin_thread(threads, [run_alone, i](const std::stop_token& stop) { run_alone(i, stop); })) {
            all->end(i, core::health::fail);
        }
    }
    const auto until = std::chrono::steady_clock::now() + limit;
    if (meanwhile) {
        meanwhile();
    }
    const auto left = std::chrono::duration_cast<core::milliseconds>(until - std::chrono::steady_clock::now());
    const bool in_time = all->wait(left); // all is said then: that the daemon sees the end is not waited for
    for (auto& thread : threads) {
        if (!in_time) {
            thread.request_stop();
        }
        stragglers_.push_back(std::move(thread));
    }
    ports::gathering found;
    for (std::size_t i = 0; i < collectors.size(); ++i) {
        auto text = piece_of(all->texts[i], collectors[i]);
        if (all->how(i) != core::health::skip && text.find_first_not_of(" \n") != std::string::npos) {
            found.pieces.push_back({collectors[i].name, std::move(text)});
        }
    }
    if (listing && all->how(collectors.size()) == core::health::pass) {
        found.listed = piece_of(all->texts.back(), all->specs.back());
    }
    return found;
}

} // namespace belay::checks
