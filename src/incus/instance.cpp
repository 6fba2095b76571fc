// SPDX-License-Identifier: Apache-2.0
// Reading the instance and what surrounds it, its lock key, and its power states. Snapshots are in snapshots.cpp,
// programs in exec.cpp.
#include "incus/instance.hpp"

#include "core/drivers.hpp"
#include "core/durations.hpp"
#include "core/lock_rule.hpp"
#include "core/names.hpp"
#include "core/text.hpp"
#include "incus/bodies.hpp"
#include "incus/copies.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <set>
#include <thread>
#include <utility>

namespace belay::incus {

using core::milliseconds;
using core::reason;

instance::instance(std::string socket, std::string project, std::string name, std::string program)
    : daemon_(std::move(socket), std::move(project)), name_(std::move(name)), program_(std::move(program)) {}

void instance::observe(observer who) {
    daemon_.observe(who);
    observer_ = std::move(who);
}

std::string instance::path_of(const std::string& target, const std::string& below) const {
    const auto [pool, volume] = core::volume_of(target);
    return volume.empty()
               ? path(below)
               : daemon_.in_project("/1.0/storage-pools/" + escape(pool) + "/volumes/custom/" + escape(volume) + below);
}

/// How a person knows a target.
std::string instance::words_for(const std::string& target) const {
    return target == "root" ? "instance " + name_ : "volume " + target;
}

std::string instance::path(const std::string& below) const {
    return daemon_.in_project("/1.0/instances/" + escape(name_) + below);
}

/// Gives what the daemon refused its meaning: the word of the act, and a sentence about this instance. A daemon that is
/// away and missing rights keep their own words.
core::error instance::in_words(core::error e, reason code, std::string sentence) const {
    switch (e.code) {
    case reason::no_daemon:
    case reason::no_permission:
        return e;
    case reason::not_found:
        if (e.cause.find("Project not found") != std::string::npos) {
            e.message =
                fmt::format("project {} does not exist: `incus project list` shows those that do", daemon_.project());
        } else {
            e.message =
                fmt::format("instance {} does not exist in project {}: `incus list --project {}` shows those that do",
                            name_, daemon_.project(), core::shell_quote(daemon_.project()));
        }
        return e;
    default:
        return {code, std::move(sentence), std::move(e.cause), e.transient};
    }
}

/// Whether what was read then can still be relied on, where nobody else is expected to change it.
bool instance::is_fresh(std::chrono::steady_clock::time_point read) {
    constexpr milliseconds news{1'000};
    return std::chrono::steady_clock::now() - read < news;
}

core::expected<response> instance::checked(core::expected<response> r) const {
    if (!r) {
        return std::unexpected(
            in_words(r.error(), reason::io_error, fmt::format("instance {} could not be read", name_)));
    }
    return r;
}

core::expected<instance_state> instance::look(const deadline& until) {
    BELAY_TRY(const response, r, checked(daemon_.get(path(), until)));
    return read_state(r);
}

/// Every reading of the instance, so that its newest description is known.
core::expected<instance_state> instance::read_state(const response& r) {
    auto seen = decode_instance(r.body);
    if (seen) {
        description_ = {seen->facts.description, std::chrono::steady_clock::now()};
    }
    return seen;
}

/// What the instance says itself, which is all that a swap of its keys needs.
core::expected<ports::examined> instance::as_seen(core::expected<response> answer) {
    BELAY_TRY(const response, r, checked(std::move(answer)));
    BELAY_TRY(instance_state, seen, read_state(r));
    return ports::examined{std::move(seen.facts),    std::move(seen.lock), std::move(seen.restored), r.etag, {},
                           std::move(seen.variables)};
}

void instance::keep_for_later(const std::vector<std::string>& paths, std::vector<core::expected<response>>&& read,
                              std::size_t from) {
    for (std::size_t i = from; i < paths.size(); ++i) {
        if (read[i]) { // what was lost is asked again
            read_ahead_.insert_or_assign(paths[i], *std::move(read[i]));
        }
    }
}

/// What `examine` has read just before, once; else anew.
core::expected<response> instance::read_before(const std::string& path, const deadline& until) {
    if (auto known = read_ahead_.extract(path)) {
        return std::move(known.mapped());
    }
    return daemon_.get(path, until);
}

core::expected<void> instance::identify_server(const core::expected<response>& r) {
    if (!r) {
        return std::unexpected(r.error());
    }
    auto seen = decode_server(r->body);
    if (!seen.trusted) {
        return core::failure(
            reason::no_permission,
            fmt::format("the Incus daemon at {} does not trust this user: run as root or as a member of "
                        "incus-admin",
                        daemon_.socket()));
    }
    server_ = std::move(seen);
    return {};
}

/// Those of an instance of which nothing is known yet.
std::vector<std::string> instance::new_pools(const core::instance_facts& facts) const {
    std::set<std::string> pools{facts.pool};
    for (const auto& d : facts.disks) {
        pools.insert(d.pool);
    }
    std::erase_if(pools, [&](const auto& pool) { return pool.empty() || pools_.contains(pool); });
    return {pools.begin(), pools.end()};
}

/// Whether the server has just said itself what these pools are. It looks for all users of a pool that it is asked
/// about, which takes it some 0.15 ms for each instance that it has.
bool instance::recognize(const std::vector<std::string>& pools) {
    if (!server_ || core::settings_matter(server_->only_driver)) {
        return false;
    }
    for (const auto& pool : pools) {
        pools_[pool] = {server_->only_driver, {}};
    }
    return true;
}

/// Who else uses the custom volumes of the instance. A volume names the instances to which it is attached itself, and
/// the profiles that attach it; those name the instances that have them.
core::expected<void> instance::read_volumes(core::instance_facts& facts, const deadline& until) {
    std::vector<core::disk*> disks;
    std::vector<std::string> paths;
    volumes_.clear();
    for (auto& d : facts.disks) {
        if (!d.volume.empty()) {
            disks.push_back(&d);
            volumes_.push_back({d.pool, d.volume});
            paths.push_back(path_of(core::target_of(d)));
        }
    }
    std::vector<std::string> watched;
    for (const auto& path : paths) {
        watched.push_back(path.substr(0, path.find('?')));
    }
    daemon_.watch(std::move(watched));
    if (disks.empty()) {
        return {};
    }
    const auto volumes = daemon_.get_all(paths, until);
    const auto own = instance_label(path(), daemon_.project());
    for (std::size_t i = 0; i < disks.size(); ++i) {
        if (!volumes[i]) {
            return std::unexpected(in_words(volumes[i].error(), reason::io_error,
                                            fmt::format("volume {} could not be read", core::target_of(*disks[i]))));
        }
        auto seen = decode_volume(volumes[i]->body);
        disks[i]->schedule = seen.schedule;
        disks[i]->read_only = disks[i]->read_only || seen.content == "iso";
        for (const auto& used : daemon_.get_all(seen.profiles, until)) {
            if (!used && used.error().code != reason::not_found) {
                return std::unexpected(
                    in_words(used.error(), reason::io_error,
                             fmt::format("a profile that attaches volume {} could not be read", disks[i]->source)));
            }
            std::ranges::move(used ? decode_profile_users(used->body) : std::vector<std::string>{},
                              std::back_inserter(seen.instances));
        }
        std::set<std::string> others;
        for (const auto& user : seen.instances) {
            others.insert(instance_label(user, daemon_.project()));
        }
        others.erase(own);
        disks[i]->users.assign(others.begin(), others.end());
    }
    return {};
}

std::string instance::resources_path(const std::string& pool, const std::string& location) {
    return "/1.0/storage-pools/" + escape(pool) + "/resources" +
           (location.empty() ? std::string() : "?target=" + escape(location));
}

std::string instance::project_path() const {
    return "/1.0/projects/" + escape(daemon_.project());
}

/// What an examination begins with.
std::vector<std::string> instance::first_paths() const {
    std::vector<std::string> paths{path()};
    if (!server_) {
        paths.insert(paths.end(), {"/1.0", path("/snapshots"), project_path(), daemon_.list_path()});
    }
    return paths;
}

void instance::prepare_examination() {
    daemon_.prepare(first_paths());
}

/// The instance, what its pools are, and the first time the server as well: its fingerprint does not change while it
/// runs, and a new daemon has the old one's. All in one round: a pool is asked about as soon as the instance has named
/// it, and the server its drivers, which it must have done just before. What `check_restorable` asks next is read
/// along. Errors of the instance come first. Of a pool that this user may not read nothing is known.
core::expected<ports::examined> instance::read_around(const deadline& until) {
    auto paths = first_paths();
    const auto first = paths.size();
    core::expected<ports::examined> seen;
    core::expected<void> server;
    std::vector<std::string> pools;
    const bool asks_server = first > 1;
    int awaited = asks_server ? 2 : 1;
    auto read = daemon_.get_all(paths, until, [&](std::size_t which, const core::expected<response>& r) {
        std::vector<std::string> next;
        if (which == 0) {
            seen = as_seen(r);
        } else if (which == 1 && asks_server) {
            server = identify_server(r);
        } else {
            return next;
        }
        if (--awaited > 0 || !seen) {
            return next;
        }
        const auto all = new_pools(seen->facts);
        if (!asks_server || !recognize(all)) {
            pools = all;
        }
        for (const auto& pool : pools) {
            next.push_back("/1.0/storage-pools/" + escape(pool));
        }
        for (const auto& pool : all) {
            next.push_back(resources_path(pool, seen->facts.location));
        }
        paths.insert(paths.end(), next.begin(), next.end());
        return next;
    });
    if (!seen) {
        return seen;
    }
    BELAY_TRY_VOID(server);
    for (std::size_t i = 0; i < pools.size(); ++i) {
        const auto& answer = read[first + i];
        if (!answer && answer.error().code == reason::no_daemon) {
            return std::unexpected(answer.error());
        }
        pools_[pools[i]] = answer ? decode_pool(answer->body) : pool_state{};
    }
    if (asks_server) {
        may_have_old_ = !read[2] || read[2]->body.find("/snapshots/" + core::snapshot_name("")) != std::string::npos;
    }
    keep_for_later(paths, std::move(read), asks_server ? 3 : first);
    return seen;
}

core::expected<ports::examined> instance::examine(milliseconds limit) {
    const bool known = server_.has_value();
    auto seen = examine_by(deadline(limit));
    if (!seen && !known) {
        server_.reset(); // the next time another process may answer
    }
    return seen;
}

core::expected<ports::examined> instance::examine_by(const deadline& until) {
    read_ahead_.clear();
    BELAY_TRY(ports::examined, now, read_around(until));
    auto& facts = now.facts;
    const auto driver_of = [&](const std::string& pool) { return pool.empty() ? std::string() : pools_[pool].driver; };
    facts.driver = driver_of(facts.pool);
    for (auto& d : facts.disks) {
        d.driver = driver_of(d.pool);
    }
    BELAY_TRY_VOID(read_volumes(facts, until));
    facts.server = server_->fingerprint;
    now.daemon = server_->process;
    ephemeral_ = facts.ephemeral;
    pool_ = facts.pool;
    return now;
}

/// What was seen is kept for the unlock.
core::expected<void> instance::prove_status(milliseconds limit) {
    BELAY_TRY(ports::examined, now, as_seen(daemon_.get(path(), deadline(limit))));
    const bool running = now.facts.running;
    proved_ = std::move(now);
    return running ? core::expected<void>{}
                   : core::failure(reason::not_running, fmt::format("instance {} is not running", name_));
}

core::expected<std::string> instance::daemon(milliseconds limit) {
    const deadline until(limit);
    BELAY_TRY(const response, r, daemon_.get("/1.0", until));
    return decode_server(r.body).process;
}

core::expected<void> instance::settle(milliseconds limit) {
    return calm(deadline(limit));
}

/// Nothing is under way on the instance any more: no operation, and no copy of a daemon that died.
core::expected<void> instance::calm(const deadline& until) {
    copies_may_run_ = copies_may_run_ || !daemon_.settled();
    BELAY_TRY_VOID(daemon_.settle(name_, until));
    return await_copies(until);
}

/// A daemon that dies leaves the copying programs of driver dir behind, which go on to write: nothing may be asked of
/// the instance before they have ended.
core::expected<void> instance::await_copies(const deadline& until) {
    constexpr milliseconds pause{50};
    const auto never = [&](const std::string& pool) {
        const auto seen = pools_.find(pool);
        return seen != pools_.end() && core::never_copies(seen->second.driver);
    };
    if (never(pool_) && std::ranges::all_of(volumes_, never, &core::volume_name::pool)) {
        copies_may_run_ = false;
    }
    if (!copies_may_run_) {
        return {};
    }
    if (pool_.empty()) { // not seen yet: a recovery asks for calm before anything else
        BELAY_TRY(const instance_state, seen, look(until));
        pool_ = seen.facts.pool;
    }
    for (;;) {
        const auto copies = copies_now();
        if (copies.empty()) {
            copies_may_run_ = false;
            return {};
        }
        if (until.passed()) {
            return core::failure(reason::io_error,
                                 fmt::format("a copy that a killed Incus daemon left behind still writes to instance "
                                             "{} (rsync, pid {}): wait for its end",
                                             name_, copies.front()));
        }
        std::this_thread::sleep_for(pause);
    }
}

std::vector<long> instance::copies_now() const {
    auto copies = copies_under_way("/proc", pool_, daemon_.project(), name_);
    for (const auto& v : volumes_) {
        std::ranges::move(volume_copies_under_way("/proc", v.pool, v.volume), std::back_inserter(copies));
    }
    return copies;
}

/// For a change, which would empty it otherwise (bodies.hpp).
core::expected<std::string> instance::description_now(const deadline& until) {
    if (!is_fresh(description_.read)) {
        BELAY_TRY_VOID(look(until));
    }
    return description_.text;
}

/// A busy instance (it is being stopped, say) refuses the PATCH: it is repeated with the same ETag, so that it remains
/// a compare-and-swap.
core::expected<ports::swapped> instance::change(const ports::instance_change& what, const std::string& etag,
                                                milliseconds limit) {
    const deadline until(limit);
    BELAY_TRY(const std::string, description, what.description ? *what.description : description_now(until));
    const auto done = daemon_.change({"PATCH", path(), settings_body(what.keys, description), etag}, until);
    if (done) {
        return ports::swapped::done;
    }
    if (done.error().code == reason::locked) {
        return ports::swapped::lost;
    }
    return std::unexpected(
        in_words(done.error(), reason::io_error, fmt::format("belay's keys of instance {} could not be set", name_)));
}

core::expected<void> instance::change_state(const std::string& action, milliseconds patience, bool force,
                                            const deadline& until) {
    return daemon_.change({"PUT", path("/state"), state_body(action, patience, force)}, until);
}

namespace {

/// What a daemon that died while it froze the instance may leave (cgroup v1).
bool half_paused(const instance_state& s) {
    return s.status == "Freezing";
}

bool paused(const instance_state& s) {
    return s.status == "Frozen" || half_paused(s);
}

/// How long the second try at a freezing may take that did not end.
constexpr milliseconds freeze_limit{10'000};

} // namespace

core::expected<void> instance::pause(milliseconds limit) {
    const deadline until(std::min(limit, freezing_limit));
    const auto done = change_state("freeze", limit, false, until);
    if (done) {
        return {};
    }
    if (until.passed()) {
        return core::failure(reason::io_error,
                             fmt::format("instance {} could not be paused within {}, one of its processes does not "
                                         "freeze: try again, or with --snapshot-mode stopped",
                                         name_, core::format_duration(until.limit())));
    }
    if (done.error().code == reason::io_error) {
        BELAY_TRY(const instance_state, now, look(until));
        if (now.status == "Frozen") {
            return {};
        }
    }
    return std::unexpected(
        in_words(done.error(), reason::io_error, fmt::format("instance {} could not be paused", name_)));
}

core::expected<void> instance::unpause(milliseconds limit) {
    const deadline until(limit);
    BELAY_TRY_VOID(calm(until)); // the daemon freezes an instance itself while it copies it
    BELAY_TRY(const instance_state, seen, look(until));
    if (!paused(seen)) {
        return {};
    }
    if (half_paused(seen) && !daemon_.freezing_hangs()) {
        // The daemon unfreezes only what is frozen, so that the freezing is ended first. What came of it is seen below.
        (void)change_state("freeze", freeze_limit, false, deadline(std::min(freeze_limit, until.left())));
    }
    const auto done = change_state("unfreeze", limit, false, until);
    if (!done && done.error().code != reason::io_error) {
        return std::unexpected(in_words(done.error(), reason::io_error, {}));
    }
    BELAY_TRY(const instance_state, now, look(until));
    if (!paused(now)) {
        return {}; // running again, or stopped: not paused in any case
    }
    return core::failure(
        reason::io_error,
        fmt::format("instance {0} could not be unpaused ({1}): `{2}incus resume {0}`, or if that does not "
                    "help `incus stop --force {0} && incus start {0}`",
                    name_, now.status, half_paused(now) ? fmt::format("incus pause {}; ", name_) : std::string()),
        done ? std::string() : done.error().cause);
}

/// A graceful stop that does not end in time goes on in the daemon and keeps the instance's lock, which the forced stop
/// takes over: so the daemon's own limit, in whole seconds, may be longer than `graceful`. A program that was prepared
/// is not for what is started behind it.
core::expected<void> instance::stop(milliseconds graceful, milliseconds limit) {
    if (ephemeral_) {
        return core::failure(reason::ephemeral,
                             fmt::format("instance {} is ephemeral: stopping it would delete it", name_));
    }
    standby_.clear();
    said_all_.reset();
    const deadline until(limit);
    if (graceful > milliseconds::zero()) {
        const auto gently = change_state("stop", graceful, false, deadline(std::min(graceful, limit)));
        if (gently) {
            return {};
        }
        const auto code = gently.error().code;
        if (code == reason::no_permission || code == reason::not_found) {
            return std::unexpected(in_words(gently.error(), reason::io_error, {}));
        }
    }
    const auto done = change_state("stop", limit, true, until);
    if (done) {
        return {};
    }
    if (done.error().code == reason::io_error && !busy(done.error())) {
        BELAY_TRY(const instance_state, now, look(until));
        if (now.status == "Stopped") {
            return {};
        }
    }
    return std::unexpected(
        in_words(done.error(), reason::io_error, fmt::format("instance {} could not be stopped", name_)));
}

core::expected<void> instance::start(milliseconds limit) {
    const deadline until(limit);
    BELAY_TRY_VOID(calm(until));
    const auto done = change_state("start", limit, false, until);
    if (done) {
        return {};
    }
    if (done.error().code == reason::io_error && !busy(done.error())) {
        BELAY_TRY(const instance_state, now, look(until));
        if (now.facts.running) {
            return {};
        }
        if (paused(now)) { // the daemon calls that running
            return unpause(until.left());
        }
    }
    return std::unexpected(
        in_words(done.error(), reason::start_failed,
                 fmt::format("instance {0} could not be started: `incus info {0} --show-log` may say why", name_)));
}

} // namespace belay::incus
