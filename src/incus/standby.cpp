// SPDX-License-Identifier: Apache-2.0
#include "incus/standby.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace belay::incus {

using std::chrono::steady_clock;

namespace {

constexpr core::milliseconds longest_run_for_nothing{2'000};

} // namespace

standby::candidate::candidate(guest_program program, ports::readiness how_far, time_point until)
    : until_(until), program_(std::move(program)),
      thread_([this, how_far](const std::stop_token& stop) { prepare(how_far, stop); }) {}

void standby::candidate::prepare(ports::readiness how_far, const std::stop_token& stop) {
    waiter patience(stop);
    const auto how = program_.prepare(how_far, patience, until_);
    std::unique_lock lock(mutex_);
    ready_ = how && *how == waiter::why::ready;
    over_ = true;
    changed_.notify_all();
    if (!ready_ || how_far != ports::readiness::spare) {
        return;
    }
    changed_.wait_until(lock, stop, until_, [] { return false; });
    if (!stop.stop_requested()) { // its time is over
        ready_ = false;
        lock.unlock();
        program_.run_for_nothing(longest_run_for_nothing, stop);
    }
}

std::optional<guest_program> standby::candidate::wait(time_point until, const std::stop_token& stop) {
    {
        std::unique_lock lock(mutex_);
        changed_.wait_until(lock, stop, until, [this] { return over_; });
    }
    thread_.request_stop();
    thread_.join();
    return ready_ && is_fresh() ? std::optional(std::move(program_)) : std::nullopt;
}

void standby::prepare(guest_program program, ports::readiness how_far) {
    const std::scoped_lock guard(mutex_);
    candidates_.remove_if([&](const candidate& one) { return !one.is_fresh() || one.is_for(program.command()); });
    try {
        candidates_.emplace_back(std::move(program), how_far, steady_clock::now() + longest_);
    } catch (const std::system_error&) {
        // no thread is to be had: it will be prepared when it is run
    }
}

void standby::clear() {
    std::list<candidate> all;
    const std::scoped_lock guard(mutex_);
    all.swap(candidates_);
}

guest_program standby::take(guest_program program, core::milliseconds limit, const std::stop_token& stop) {
    std::list<candidate> found;
    {
        const std::scoped_lock guard(mutex_);
        const auto is_it = [&](const candidate& one) { return one.is_for(program.command()); };
        const auto one = std::ranges::find_if(candidates_, is_it);
        if (one != candidates_.end()) {
            found.splice(found.begin(), candidates_, one);
        }
    }
    const auto until = steady_clock::now() + (limit > core::milliseconds::zero() ? limit : longest_);
    auto prepared = found.empty() ? std::nullopt : found.front().wait(until, stop);
    return prepared ? *std::move(prepared) : std::move(program);
}

} // namespace belay::incus
