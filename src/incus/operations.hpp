// SPDX-License-Identifier: Apache-2.0
// Requests to the daemon and the background operations that they begin: deadlines, retries while an instance is busy,
// and what was left under way when a wait was lost. Knows nothing of snapshots or states.
#pragma once
#include "incus/decode.hpp"
#include "incus/transport.hpp"

#include <algorithm>
#include <chrono>
#include <set>

namespace belay::incus {

/// A limit of time that several requests share.
class deadline {
public:
    explicit deadline(core::milliseconds limit) : limit_(limit), until_(std::chrono::steady_clock::now() + limit) {}

    /// Never negative.
    core::milliseconds left() const {
        const auto left = std::chrono::ceil<core::milliseconds>(until_ - std::chrono::steady_clock::now());
        return std::max(left, core::milliseconds::zero());
    }

    bool passed() const { return left() == core::milliseconds::zero(); }

    core::milliseconds limit() const { return limit_; }

private:
    core::milliseconds limit_;
    std::chrono::steady_clock::time_point until_;
};

/// How long the daemon may take to freeze an instance, which stands still meanwhile. With cgroup v1 that may never end
/// (a process waits for its vfork child, which was frozen before it), and the operation stays until the daemon ends.
inline constexpr core::milliseconds freezing_limit{30'000};

/// The daemon as one project of it sees it.
///
/// Errors of all calls: no_daemon (transient: away, connection lost, limit passed), no_permission, not_found (404),
/// locked (412: the ETag is not that of the configuration any more), and io_error for everything that the daemon
/// refused or that failed, with the daemon's own words as the cause.
class operations {
public:
    operations(std::string socket, std::string project, core::milliseconds freezing = freezing_limit);

    /// `path` with `?project=`, which every request about an instance carries.
    std::string in_project(const std::string& path) const;

    /// Reads something; the body is the whole answer.
    core::expected<response> get(const std::string& path, const deadline& until);

    /// What is to be read as well, now that the one at this place has been read, or is an error. Told of each.
    using follow_up = std::function<std::vector<std::string>(std::size_t which, const core::expected<response>& r)>;

    /// Reads several things at once; what comes out is in their order, and each for itself. What `next` says is read
    /// along and comes behind them.
    std::vector<core::expected<response>> get_all(const std::vector<std::string>& paths, const deadline& until,
                                                  const follow_up& next = {});

    /// As of transport::prepare.
    void prepare(const std::vector<std::string>& paths);

    /// Sends a request as it is; any HTTP status is a value.
    core::expected<response> send(const request& what, const deadline& until);

    /// Sends a request that changes something and waits for the end of its operation. While the instance is busy the
    /// request is repeated. ok only when the operation succeeded. When the limit passes or the connection is lost the
    /// operation may go on: `settled` is false from then on.
    /// `meanwhile`, if any, is called when the daemon has accepted it and goes on in the background.
    core::expected<void> change(const request& what, const deadline& until,
                                const std::function<void()>& meanwhile = {});

    /// `change`, and reads something else at the same time.
    struct changed {
        core::expected<void> outcome;
        std::vector<core::expected<response>> read; ///< in the order of the paths
    };

    changed change_and_get(const request& what, const std::vector<std::string>& paths, const deadline& until);

    /// From now on operations on these volumes (paths without a query) count as operations on the instance.
    void watch(std::vector<std::string> volumes);

    /// Whether no operation that this object, or another belay before it, began can still be under way.
    bool settled() const { return settled_; }

    /// Whether no operation is under way on an instance now.
    core::expected<bool> is_settled(const std::string& instance, const deadline& until);

    /// Waits for the operations under way on an instance, unless it is settled. Incus does not protect a restore that
    /// is in progress: starting the instance or deleting the snapshot meanwhile destroys it.
    core::expected<void> settle(const std::string& instance, const deadline& until);

    /// The same, and reads something as it is when the instance has settled, without a round of its own if nothing was
    /// under way.
    core::expected<response> settle_and_get(const std::string& instance, const std::string& path,
                                            const deadline& until);

    /// The path that lists what is under way, and what ended within the last seconds: only where it is, since the whole
    /// may be long (the program of an exec is in it).
    std::string list_path() const;

    /// What such a list has on an instance and on the volumes that are watched. When anything is under way it is read.
    core::expected<std::vector<task>> tasks_in(const response& list, const std::string& instance,
                                               const deadline& until);

    /// Waits for the end of an operation, whoever began it. How it ended is of no interest, and a daemon that is away
    /// cannot be listed again: so the one error is that the limit passed. A freezing that hangs is no task any more.
    core::expected<void> await(const task& what, const deadline& until);

    /// Whether such a one was seen.
    bool freezing_hangs() const { return !hung_.empty(); }

    const std::string& project() const { return project_; }

    const std::string& socket() const { return transport_.socket(); }

    void observe(observer who) { transport_.observe(std::move(who)); }

private:
    core::expected<void> attempt(const request& what, const deadline& until, const std::function<void()>& meanwhile);
    core::expected<void> conclude(const core::expected<response>& r, bool was_settled, const deadline& until,
                                  const std::function<void()>& meanwhile = {});
    core::expected<response> checked(core::expected<response> r) const;
    core::expected<void> wait(const std::string& operation, const deadline& until);
    core::expected<void> wait_for_tasks(const response& list, const std::string& instance, const deadline& until);

    transport transport_;
    std::string project_;
    core::milliseconds freezing_limit_;
    std::set<std::string> hung_;       ///< paths of freezings that do not end
    std::vector<std::string> volumes_; ///< whose operations are watched, too
    bool settled_{false};              ///< not before the first look: a killed belay may have left something
};

/// The error that a HTTP answer means, if its status or its envelope says so.
core::expected<void> accepted(const response& r, const std::string& socket);

/// Whether the daemon refused because another operation on the instance is under way, which it says in words only.
bool busy(const core::error& e);

} // namespace belay::incus
