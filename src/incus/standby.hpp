// SPDX-License-Identifier: Apache-2.0
// Programs that are likely to be run in the instance next, prepared while something else is waited for.
#pragma once
#include "incus/guest_program.hpp"

#include <condition_variable>
#include <list>
#include <mutex>
#include <stop_token>
#include <thread>

namespace belay::incus {

/// How old a prepared program may be to be run: what remains of the daemon's time for its streams is for the last one.
inline constexpr core::milliseconds longest_standby = connect_limit - core::milliseconds{2'000};

/// Safe to use from several threads. What nobody takes is given up by the daemon (one that waits is told before that
/// there is no input), and by the destructor.
class standby {
public:
    explicit standby(core::milliseconds longest = longest_standby) : longest_(longest) {}

    /// Begins with it, and waits for nothing. What goes wrong is of no interest: it is not prepared then. Takes the
    /// place of one for the same command, unless that waits already.
    void prepare(guest_program program, ports::readiness how_far);

    /// The program for the same command, if there is one and the daemon has not given it up, with the input of this
    /// one; else this one. Waits while it is being prepared, at most for `limit` (0: as long as that may take), unless
    /// `stop` says not to.
    guest_program take(guest_program program, core::milliseconds limit, const std::stop_token& stop);

    /// Gives up all of them: what they were accepted for is not the same any more.
    void clear();

private:
    class candidate {
    public:
        candidate(guest_program program, ports::readiness how_far, time_point until);

        /// But for the input, which it does not have yet.
        bool is_for(const ports::guest_command& command) const;

        bool is_fresh() const { return std::chrono::steady_clock::now() < until_; }

        bool waits() const { return how_far_ == ports::readiness::waiting; }

        /// Nothing when it could not be prepared by then. Once.
        std::optional<guest_program> wait(time_point until, const std::stop_token& stop);

    private:
        void prepare(const std::stop_token& stop);

        ports::readiness how_far_;
        time_point until_;
        guest_program program_;
        std::mutex mutex_; ///< guards what follows
        std::condition_variable_any changed_;
        bool over_{false};
        bool ready_{false};
        std::jthread thread_; ///< the last member: it uses the others
    };

    core::milliseconds longest_;
    std::mutex mutex_;
    std::list<candidate> candidates_;
};

} // namespace belay::incus
