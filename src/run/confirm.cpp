// SPDX-License-Identifier: Apache-2.0
// Waiting for a confirmation. Its deadline is a time of day, because it must outlive this process and a restart of the
// host; everything else about it runs on the monotonic clock.
#include "core/durations.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <algorithm>

namespace belay::run {

namespace {

using core::milliseconds;
using core::verdict;

constexpr milliseconds look_pause{200};
constexpr milliseconds round_pause{2'000};

/// Listens to the terminal as long as it lives.
class attention {
public:
    explicit attention(ports::inbox& inbox) : inbox_(inbox) { inbox_.listen(true); }

    attention(const attention&) = delete;
    attention& operator=(const attention&) = delete;

    ~attention() { inbox_.listen(false); }

private:
    ports::inbox& inbox_;
};

} // namespace

/// What this process wants to be decided now, if anything.
std::optional<core::decision> transaction::wish(core::wall_time until) const {
    if (auto why = world_.inbox.interruption()) {
        return core::decision{verdict::undo, *std::move(why)};
    }
    if (const auto answer = world_.inbox.answer()) {
        return *answer == verdict::commit
                   ? core::decision{verdict::commit, {}}
                   : core::decision{verdict::undo, {core::reason::no_confirm, "undone at the terminal"}};
    }
    if (world_.clock.wall() >= until) {
        return core::decision{verdict::undo, {core::reason::no_confirm, "nobody confirmed the upgrade in time"}};
    }
    return std::nullopt;
}

/// The decision that holds. What cannot be published does not count, and then undoing is the safe side.
std::optional<core::decision> transaction::decision_so_far(core::wall_time until,
                                                           const std::optional<core::error>& stays_bad) {
    auto known = world_.decisions.read();
    if (!known) {
        return core::decision{verdict::undo, known.error()};
    }
    if (*known) {
        return **known;
    }
    const auto mine = stays_bad ? std::optional(core::decision{verdict::undo, *stays_bad}) : wish(until);
    if (!mine) {
        return std::nullopt;
    }
    auto holds = world_.decisions.publish(*mine);
    if (holds) {
        return *std::move(holds);
    }
    return mine->what == verdict::undo ? *mine : core::decision{verdict::undo, holds.error()};
}

core::finished transaction::confirm(const core::perform& what) {
    const attention listening(world_.inbox);
    const auto until = what.until.value_or(world_.clock.wall());
    const auto stop = world_.inbox.interrupts();
    core::finished f;
    f.what = what.what;
    std::optional<bool> good;
    std::optional<milliseconds> bad_since;
    std::optional<core::error> stays_bad;
    for (auto next_round = world_.clock.monotonic();;) {
        if (auto decision = decision_so_far(until, stays_bad)) {
            if (decision->what == verdict::commit) {
                // Kept is only what is healthy, and nothing but its health can undo it any more.
                return good == true ? f : until_good(what.what, what.attempt, policy_of_upgrade(), {});
            }
            f.how = decision->why.code == core::reason::interrupted ? core::result::cancelled : core::result::failed;
            f.why = std::move(decision->why);
            return f;
        }
        const auto now = world_.clock.monotonic();
        if (now >= next_round) {
            auto verdict = round(f, what.attempt, policy_of_upgrade(), stop);
            if (!verdict.good && !stop.stop_requested() && daemon_was_lost()) {
                good.reset();
                (void)await_daemon(); // if it stays away, the next rounds are bad
            } else {
                good = verdict.good;
                bad_since = verdict.good ? std::nullopt : std::optional(bad_since.value_or(now));
            }
            if (bad_since && now - *bad_since >= plan().limit.retry_for) {
                stays_bad = std::move(verdict.why);
            }
            next_round = world_.clock.monotonic() + std::min(round_pause, plan().limit.retry_for / 2 + look_pause);
        }
        const std::chrono::duration<double> left = until - world_.clock.wall();
        show(core::soaking{what.what, std::max(0.0, left.count())});
        world_.inbox.wait(look_pause, stop);
    }
}

} // namespace belay::run
