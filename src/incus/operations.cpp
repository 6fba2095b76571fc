// SPDX-License-Identifier: Apache-2.0
#include "incus/operations.hpp"

#include "core/durations.hpp"
#include "core/obstacles.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <thread>
#include <utility>

namespace belay::incus {
namespace {

using core::milliseconds;
using core::reason;
using std::chrono::seconds;

/// How long one wait lasts; then the daemon is asked again. Bounds how long a daemon that hangs goes unnoticed.
constexpr seconds one_wait{60};
constexpr seconds wait_slack{10};

constexpr milliseconds first_pause{20};
constexpr milliseconds longest_pause{500};

/// `/wait` of Incus 6.0 to 6.x says this when its own time is up, and nothing more. An operation may fail with these
/// words as well, so that they mean: look.
constexpr std::string_view wait_timed_out = "context deadline exceeded";

core::error refused(reason code, std::string message, std::string cause) {
    return {code, std::move(message), std::move(cause)};
}

core::error unreadable() {
    return {reason::no_daemon, "the Incus daemon's answer cannot be read", {}, true};
}

core::error failed_operation(const std::string& cause) {
    return refused(reason::io_error, "the Incus daemon could not do it", cause.empty() ? "no reason given" : cause);
}

core::error still_under_way(const deadline& until) {
    return {
        reason::no_daemon,
        fmt::format("the operation of the Incus daemon did not end within {}", core::format_duration(until.limit())),
        {},
        true};
}

} // namespace

bool busy(const core::error& e) {
    return e.cause.find("Instance is busy running a") != std::string::npos;
}

operations::operations(std::string socket, std::string project, milliseconds freezing)
    : transport_(std::move(socket)), project_(std::move(project)), freezing_limit_(freezing) {}

std::string operations::in_project(const std::string& path) const {
    return path + (path.find('?') == std::string::npos ? "?project=" : "&project=") + escape(project_);
}

core::expected<response> operations::send(const request& what, const deadline& until) {
    return transport_.send(what, until.left());
}

core::expected<void> accepted(const response& r, const std::string& socket) {
    const auto a = decode_answer(r.body);
    if (r.status == 403) {
        return std::unexpected(refused(
            reason::no_permission,
            fmt::format("the Incus daemon at {} does not permit it: run as root or as a member of incus-admin", socket),
            a.error));
    }
    if (r.status == 404) {
        return std::unexpected(refused(reason::not_found, "the Incus daemon does not know it", a.error));
    }
    if (r.status == 412) {
        return std::unexpected(refused(reason::locked, "its configuration has changed meanwhile", a.error));
    }
    if (r.status == 503) { // it starts up or shuts down
        return std::unexpected(core::error{reason::no_daemon, "the Incus daemon is not ready", a.error, true});
    }
    if (r.status >= 400 || a.what == answer::kind::error) {
        return std::unexpected(failed_operation(a.error.empty() ? fmt::format("HTTP status {}", r.status) : a.error));
    }
    if (a.what == answer::kind::unreadable) {
        return std::unexpected(unreadable());
    }
    return {};
}

core::expected<response> operations::get(const std::string& path, const deadline& until) {
    return checked(send({"GET", path}, until));
}

namespace {

std::vector<request> reading(const std::vector<std::string>& paths) {
    std::vector<request> requests;
    for (const auto& path : paths) {
        requests.push_back({"GET", path});
    }
    return requests;
}

} // namespace

void operations::prepare(const std::vector<std::string>& paths) {
    transport_.prepare(reading(paths));
}

std::vector<core::expected<response>> operations::get_all(const std::vector<std::string>& paths, const deadline& until,
                                                          const follow_up& next) {
    const auto asked_next = [&](std::size_t which, core::expected<response>& answer) {
        answer = checked(std::move(answer));
        return next ? reading(next(which, answer)) : std::vector<request>{};
    };
    return transport_.send_all(reading(paths), until.left(), {}, asked_next);
}

/// An answer that is an error becomes one.
core::expected<response> operations::checked(core::expected<response> r) const {
    if (r) {
        BELAY_TRY_VOID(accepted(*r, socket()));
    }
    return r;
}

core::expected<void> operations::change(const request& what, const deadline& until,
                                        const std::function<void()>& meanwhile) {
    for (auto pause = first_pause;; pause = std::min(pause * 2, longest_pause)) {
        auto done = attempt(what, until, meanwhile);
        if (done || !busy(done.error())) {
            return done;
        }
        if (until.left() <= pause) {
            done.error().transient = true;
            return done;
        }
        std::this_thread::sleep_for(pause);
    }
}

/// One request and the wait for what it began. From the moment it is sent until its end is known nothing is settled.
core::expected<void> operations::attempt(const request& what, const deadline& until,
                                         const std::function<void()>& meanwhile) {
    const bool was_settled = std::exchange(settled_, false);
    return conclude(send(what, until), was_settled, until, meanwhile);
}

core::expected<void> operations::conclude(const core::expected<response>& r, bool was_settled, const deadline& until,
                                          const std::function<void()>& meanwhile) {
    if (!r) {
        return std::unexpected(r.error());
    }
    if (auto taken = accepted(*r, socket()); !taken) {
        settled_ = was_settled;
        return std::unexpected(std::move(taken).error());
    }
    const auto a = decode_answer(r->body);
    if (meanwhile && a.what == answer::kind::async) {
        meanwhile();
    }
    auto ended = a.what == answer::kind::async ? wait(a.operation, until) : core::expected<void>{};
    const bool known = ended || ended.error().code == reason::io_error;
    settled_ = known && was_settled;
    return ended;
}

operations::changed operations::change_and_get(const request& what, const std::vector<std::string>& paths,
                                               const deadline& until) {
    auto all = reading(paths);
    all.insert(all.begin(), what);
    const bool was_settled = std::exchange(settled_, false);
    auto answers = transport_.send_all(all, until.left());
    changed result{conclude(answers.front(), was_settled, until), {}};
    if (!result.outcome && busy(result.outcome.error())) {
        result.outcome = change(what, until);
    }
    for (std::size_t i = 1; i < answers.size(); ++i) {
        result.read.push_back(checked(std::move(answers[i])));
    }
    return result;
}

/// Waits for an operation by its path. A 404 means that the daemon forgot it: it ended more than 5 seconds ago, or died
/// with the daemon; nobody can say how, so that is an error like a lost connection.
core::expected<void> operations::wait(const std::string& operation, const deadline& until) {
    bool look_only = false;
    while (!until.passed()) {
        const auto turn = std::min<milliseconds>(until.left(), one_wait);
        const auto path = look_only
                              ? operation
                              : fmt::format("{}/wait?timeout={}", operation, std::chrono::ceil<seconds>(turn).count());
        const deadline one(std::min<milliseconds>(until.left(), turn + wait_slack));
        auto r = send({"GET", path}, one);
        if (!r) {
            return std::unexpected(until.passed() ? still_under_way(until) : std::move(r).error());
        }
        const auto a = decode_answer(r->body);
        if (r->status == 404) {
            return std::unexpected(
                core::error{reason::no_daemon, "the Incus daemon forgot the operation", a.error, true});
        }
        BELAY_TRY_VOID(r->status < 400 && a.what == answer::kind::error ? core::expected<void>{}
                                                                        : accepted(*r, socket()));
        look_only = a.what == answer::kind::error && a.error == wait_timed_out;
        if (look_only) {
            continue;
        }
        if (a.what == answer::kind::error) {
            return std::unexpected(failed_operation(a.error));
        }
        const auto state = decode_operation(r->body);
        if (state.succeeded()) {
            return {};
        }
        if (!state.under_way()) {
            return state.status_code == 0 ? std::unexpected(unreadable())
                                          : std::unexpected(failed_operation(state.error));
        }
    }
    return std::unexpected(still_under_way(until));
}

void operations::watch(std::vector<std::string> volumes) {
    if (volumes != volumes_) {
        volumes_ = std::move(volumes);
        settled_ = false;
    }
}

std::string operations::list_path() const {
    return in_project("/1.0/operations");
}

core::expected<std::vector<task>> operations::tasks_in(const response& list, const std::string& instance,
                                                       const deadline& until) {
    if (!lists_active(list.body)) {
        return {};
    }
    BELAY_TRY(const response, whole, get(in_project("/1.0/operations?recursion=1"), until));
    auto tasks = decode_tasks(whole.body, project_, instance, volumes_);
    std::erase_if(tasks, [&](const task& one) { return hung_.contains(one.path); });
    return tasks;
}

core::expected<void> operations::await(const task& what, const deadline& until) {
    const bool freezes = what.description == core::freezing_operation;
    const deadline own(freezes ? std::min(until.left(), freezing_limit_) : until.left());
    const auto ended = wait(what.path, own);
    if (!ended && freezes && own.passed() && !until.passed()) {
        hung_.insert(what.path);
    }
    return ended || !until.passed() ? core::expected<void>{} : std::unexpected(ended.error());
}

/// Settled is the instance when the list has no task on it.
core::expected<void> operations::wait_for_tasks(const response& list, const std::string& instance,
                                                const deadline& until) {
    BELAY_TRY(const auto, tasks, tasks_in(list, instance, until));
    settled_ = tasks.empty();
    for (const auto& task : tasks) {
        BELAY_TRY_VOID(await(task, until));
    }
    return {};
}

core::expected<bool> operations::is_settled(const std::string& instance, const deadline& until) {
    if (!settled_) {
        BELAY_TRY(const response, list, get(list_path(), until));
        BELAY_TRY(const auto, tasks, tasks_in(list, instance, until));
        settled_ = tasks.empty();
    }
    return settled_;
}

core::expected<void> operations::settle(const std::string& instance, const deadline& until) {
    while (!settled_) {
        BELAY_TRY(const response, list, get(list_path(), until));
        BELAY_TRY_VOID(wait_for_tasks(list, instance, until));
    }
    return {};
}

/// Both are asked at once. What was under way may have changed what was read then: so it is read again.
core::expected<response> operations::settle_and_get(const std::string& instance, const std::string& path,
                                                    const deadline& until) {
    if (!settled_) {
        auto both = get_all({list_path(), path}, until);
        if (!both[0]) {
            return std::unexpected(std::move(both[0]).error());
        }
        BELAY_TRY_VOID(wait_for_tasks(*both[0], instance, until));
        if (settled_) {
            return std::move(both[1]);
        }
        BELAY_TRY_VOID(settle(instance, until));
    }
    return get(path, until);
}

} // namespace belay::incus
