// SPDX-License-Identifier: Apache-2.0
// Collectors of evidence, side by side and within one limit of time, whatever they do.
#include "checks/runner.hpp"

#include <condition_variable>
#include <memory>
#include <system_error>

namespace belay::checks {

namespace {

/// What the threads of one round of collectors and gather() share. It lives as long as the last of them.
struct collection {
    explicit collection(std::size_t size) : texts(size), skipped(size, 0) {}

    std::vector<printed> texts;
    std::mutex mutex; ///< guards what follows
    std::condition_variable changed;
    std::vector<char> skipped;
    std::size_t ended{0};

    void end(std::size_t i, bool skips) {
        const std::scoped_lock guard(mutex);
        skipped[i] = skips ? 1 : 0;
        ++ended;
        changed.notify_all();
    }

    /// Whether all have ended within the limit.
    bool wait(std::size_t started, core::milliseconds limit) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, limit, [&] { return ended == started; });
    }

    bool applies(std::size_t i) {
        const std::scoped_lock guard(mutex);
        return skipped[i] == 0;
    }
};

/// What a collector printed itself.
std::string without_end_mark(std::string text) {
    if (const auto at = text.rfind(end_mark); at != std::string::npos) {
        text.erase(at);
    }
    text.erase(text.find_last_not_of('\n') + 1);
    return text.empty() ? text : text + "\n";
}

/// Of a command that a person asked for its errors count as well. A collector that was installed says itself what it
/// wants to be read; anything else is noise, and often the same for all of them.
std::string piece_of(printed& text, const core::check_spec& spec) {
    const std::scoped_lock guard(text.mutex);
    return without_end_mark(text.out) + (spec.file.empty() ? text.err : std::string{});
}

} // namespace

std::vector<ports::evidence> runner::gather(const std::vector<core::check_spec>& collectors,
                                            const ports::hook_context& context, core::milliseconds limit) {
    const auto all = std::make_shared<collection>(collectors.size());
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < collectors.size(); ++i) {
        auto spec = collectors[i];
        spec.timeout = std::min(spec.timeout, limit);
        try {
            threads.emplace_back([this, all, i, spec, context](const std::stop_token& stop) {
                const auto reading = run_one(spec, context, stop, all->texts[i], kind::collector);
                all->end(i, reading.how == core::health::skip);
            });
        } catch (const std::system_error&) {
            break; // no thread to be had: what has begun must do
        }
    }
    if (!all->wait(threads.size(), limit)) {
        for (auto& thread : threads) {
            thread.request_stop();
            stragglers_.push_back(std::move(thread));
        }
    }
    std::vector<ports::evidence> found;
    for (std::size_t i = 0; i < collectors.size(); ++i) {
        auto text = piece_of(all->texts[i], collectors[i]);
        if (all->applies(i) && text.find_first_not_of(" \n") != std::string::npos) {
            found.push_back({collectors[i].name, std::move(text)});
        }
    }
    return found;
}

} // namespace belay::checks
