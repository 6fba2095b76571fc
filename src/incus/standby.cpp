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
    : how_far_(how_far), until_(until), program_(std::move(program)),
      thread_([this](const std::stop_token& stop) { prepare(stop); }) {}

bool standby::candidate::is_for(const ports::guest_command& command) const {
    auto same = command;
    same.input = program_.command().input;
    return program_.command() == same;
}

void standby::candidate::prepare(const std::stop_token& stop) {
    waiter patience(stop);
    const auto how = program_.prepare(how_far_, patience, until_);
    std::unique_lock lock(mutex_);
    ready_ = how && *how == waiter::why::ready;
    over_ = true;
    changed_.notify_all();
    if (!ready_ || !waits()) {
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
    const auto is_for_it = [&](const candidate& one) { return one.is_for(program.command()); };
    candidates_.remove_if([&](const candidate& one) { return !one.is_fresh() || (is_for_it(one) && !one.waits()); });
    if (std::ranges::any_of(candidates_, is_for_it)) {
        return;
    }
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
    if (!prepared) {
        return program;
    }
    prepared->give_input(program.command().input);
    return *std::move(prepared);
}

} // namespace belay::incus
