// SPDX-License-Identifier: Apache-2.0
// Reads what surrounds an instance, so that core can tell what would keep its snapshots from being taken or restored.
// What this user may not read, and what the daemon cannot say, is unknown.
#include "core/coverage.hpp"
#include "core/manual.hpp"
#include "incus/folders.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace belay::incus {

namespace {

using core::milliseconds;
using core::reason;

/// How long the files of what would be copied are counted.
constexpr milliseconds longest_count{10'000};

/// What LVM gives a volume whose size is configured nowhere (Incus, drivers.DefaultBlockSize).
constexpr std::int64_t default_volume_size = 10LL << 30U;

bool unknown(const core::error& e) {
    return e.code != reason::no_daemon;
}

/// Requests that go out side by side, each with what its answer is good for.
class questions {
public:
    void ask(std::string path, std::function<void(const response&)> use) {
        paths_.push_back(std::move(path));
        uses_.push_back(std::move(use));
    }

    /// Answers that are known are used up, the others asked for. Error: no_daemon, when one of them got no answer at
    /// all.
    core::expected<void> put_to(operations& daemon, std::map<std::string, response>& known, const deadline& until) {
        std::vector<std::string> open;
        std::vector<std::size_t> whose;
        for (std::size_t i = 0; i < paths_.size(); ++i) {
            if (const auto answer = known.extract(paths_[i])) {
                uses_[i](answer.mapped());
            } else {
                open.push_back(paths_[i]);
                whose.push_back(i);
            }
        }
        const auto answers = daemon.get_all(open, until);
        for (std::size_t i = 0; i < open.size(); ++i) {
            if (answers[i]) {
                uses_[whose[i]](*answers[i]);
            } else if (!unknown(answers[i].error())) {
                return std::unexpected(answers[i].error());
            }
        }
        return {};
    }

private:
    std::vector<std::string> paths_;
    std::vector<std::function<void(const response&)>> uses_;
};

core::pool_seen* find_pool(core::surroundings& seen, const std::string& name) {
    const auto found = std::ranges::find(seen.pools, name, &core::pool_seen::name);
    return found == seen.pools.end() ? nullptr : &*found;
}

/// The targets of a plan, and the pools that they are in.
core::surroundings laid_out(const core::instance_facts& facts, const core::plan& how,
                            const std::map<std::string, pool_state>& pools, const project_state& project) {
    core::surroundings seen;
    seen.project = {project.restricted, project.snapshots, {}};
    for (const auto& target : how.targets) {
        const auto pool = target == "root" ? facts.pool : core::volume_of(target).pool;
        seen.targets.push_back({target, pool});
        if (!pool.empty() && find_pool(seen, pool) == nullptr) {
            const auto known = pools.find(pool);
            seen.pools.push_back(known == pools.end()
                                     ? core::pool_seen{pool}
                                     : core::pool_seen{pool, known->second.driver, known->second.config});
        }
    }
    return seen;
}

/// Whether the size of a target is a matter of configuration: LVM without a thin pool reserves all of it.
bool has_fixed_size(core::surroundings& seen, const core::target_seen& t) {
    const auto* pool = find_pool(seen, t.pool);
    return pool != nullptr && pool->driver != "dir" && core::copies_whole(*pool);
}

std::uint64_t fixed_size(const core::pool_seen& pool, std::optional<std::int64_t> own) {
    const auto of_pool = pool.config.find("volume.size");
    const auto fallback = of_pool == pool.config.end() ? std::nullopt : parse_size(of_pool->second);
    return static_cast<std::uint64_t>(own.value_or(fallback.value_or(default_volume_size)));
}

} // namespace

/// Who may not read the project's settings finds out by the snapshot itself, which comes before the upgrade.
core::expected<project_state> instance::known_project(const deadline& until) {
    if (!server_->extensions.contains("projects_restrictions")) {
        return project_state{};
    }
    const auto r = read_before(project_path(), until);
    if (r) {
        return decode_project(r->body);
    }
    const bool hidden = r.error().code == reason::no_permission || r.error().code == reason::not_found;
    return hidden ? core::expected<project_state>(project_state{}) : std::unexpected(r.error());
}

/// All in one round of requests, and of those only what can make a difference.
core::expected<core::surroundings> instance::ask_about(const core::instance_facts& facts, const core::plan& how,
                                                       const project_state& project, std::vector<task>& under_way,
                                                       const deadline& until) {
    auto seen = laid_out(facts, how, pools_, project);
    questions round;
    std::optional<response> list;
    round.ask(daemon_.list_path(), [&](const response& r) { list = r; });
    for (auto& pool : seen.pools) {
        round.ask(resources_path(pool.name, facts.location),
                  [&pool](const response& r) { pool.space = decode_pool_space(r.body); });
    }
    if (!facts.location.empty()) {
        round.ask("/1.0/cluster/members/" + escape(facts.location),
                  [&](const response& r) { seen.member_status = decode_member_status(r.body); });
    }
    for (auto& t : seen.targets) {
        if (has_fixed_size(seen, t)) {
            const auto& pool = *find_pool(seen, t.pool);
            round.ask(path_of(t.target), [&t, &pool](const response& r) {
                t.size = fixed_size(pool, t.target == "root" ? decode_root_size(r.body) : decode_volume(r.body).size);
            });
        }
    }
    std::map<std::string, std::int64_t> claims;
    if (how.keeps_failed && project.limited) {
        round.ask(project_path() + "/state",
                  [&](const response& r) { seen.project.limits = decode_project_limits(r.body); });
        round.ask(path(), [&](const response& r) { claims = decode_claims(r.body); });
    }
    BELAY_TRY_VOID(round.put_to(daemon_, read_ahead_, until));
    if (list) {
        BELAY_TRY(auto, tasks, daemon_.tasks_in(*list, name_, until));
        under_way = std::move(tasks);
    }
    for (auto& [key, limit] : seen.project.limits) {
        limit.copy = claims.contains(key) ? claims.at(key) : 0;
    }
    return seen;
}

/// What can be seen on this host alone: whether a cut restore left something on btrfs, and how large what driver dir
/// would copy is, where that decides.
void instance::look_at_folders(core::surroundings& seen, const core::instance_facts& facts, const core::plan& how,
                               const project_state& project) const {
    const auto daemon = std::filesystem::path(daemon_.socket()).parent_path();
    const deadline until(longest_count);
    for (auto& t : seen.targets) {
        const auto* pool = find_pool(seen, t.pool);
        if (pool == nullptr) {
            continue;
        }
        const auto folder =
            t.target == "root"
                ? instance_folder(daemon, t.pool, facts.type, daemon_.project(), name_)
                : volume_folder(daemon, t.pool, project.own_volumes ? daemon_.project() : std::string("default"),
                                core::volume_of(t.target).volume);
        if (pool->driver == "btrfs") {
            const auto leftover = folder.string() + std::string(core::moved_suffix);
            std::error_code problem;
            const auto status = std::filesystem::symlink_status(leftover, problem);
            t.leftover = !problem && std::filesystem::exists(status) ? leftover : std::string();
        } else if (pool->driver == "dir" && core::size_decides(*pool, how)) {
            t.size = folder_size(folder, pool->space->free(), until.left());
        }
    }
}

core::expected<void> instance::check_restorable(const core::instance_facts& facts, const core::plan& how,
                                                milliseconds limit) {
    if (!server_) {
        BELAY_TRY_VOID(identify_server(daemon_.get("/1.0", deadline(limit))));
    }
    BELAY_TRY(const project_state, project, known_project(deadline(limit)));
    const deadline patience(how.limit.busy);
    for (;;) {
        std::vector<task> under_way;
        BELAY_TRY(core::surroundings, seen, ask_about(facts, how, project, under_way, deadline(limit)));
        if (under_way.empty()) {
            look_at_folders(seen, facts, how, project);
            return core::check_obstacles(facts, how, seen);
        }
        for (const auto& task : under_way) {
            if (patience.passed() || !daemon_.await(task, patience)) {
                seen.under_way = task.description;
                return core::check_obstacles(facts, how, seen);
            }
        }
    }
}

} // namespace belay::incus
