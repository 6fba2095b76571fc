// SPDX-License-Identifier: Apache-2.0
#include "core/obstacles.hpp"

#include "core/coverage.hpp"
#include "core/drivers.hpp"
#include "core/incus_commands.hpp"
#include "core/manual.hpp"
#include "core/sizes.hpp"
#include "core/text.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace belay::core {

namespace {

constexpr std::uint64_t mebibyte = 1ULL << 20U;
constexpr std::uint64_t largest_reserve = 1ULL << 30U;

/// The largest number instead of one that does not fit.
template <class Number>
Number sum(Number a, Number b) {
    constexpr auto most = std::numeric_limits<Number>::max();
    return a > most - b ? most : a + b;
}

std::string setting(const pool_seen& pool, const std::string& key) {
    assert(settings_matter(pool.driver)); // of other pools they need not have been read
    const auto found = pool.config.find(key);
    return found == pool.config.end() ? std::string() : found->second;
}

/// The words that Incus takes for false (shared/util IsFalse).
bool is_false(std::string word) {
    std::ranges::transform(word, word.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return word == "false" || word == "0" || word == "no" || word == "off";
}

const pool_seen* pool_of(const std::string& name, const surroundings& seen) {
    const auto found = std::ranges::find(seen.pools, name, &pool_seen::name);
    return found == seen.pools.end() ? nullptr : &*found;
}

std::string words_for(const std::string& target, const plan& how) {
    return target == "root" ? "instance " + how.instance : "volume " + printable(target);
}

/// With cgroup v1 a freezing may hang, and then its operation stays until the daemon ends.
expected<void> check_operations(const plan& how, const surroundings& seen) {
    if (!seen.under_way) {
        return {};
    }
    const auto what = seen.under_way->empty() ? std::string("an operation") : "\"" + printable(*seen.under_way) + "\"";
    const std::string hangs = seen.under_way == freezing_operation
                                  ? "; if it hangs, it ends only with the Incus daemon: `systemctl restart incus`, "
                                    "which the instances survive"
                                  : "";
    return failure(reason::locked, "on instance " + how.instance + " " + what +
                                       " is under way and did not end in time: wait for its end (`incus operation "
                                       "list` shows it)" +
                                       hangs);
}

/// A restricted project blocks snapshots unless told otherwise (Incus documentation, "Project configuration",
/// restricted.snapshots).
expected<void> check_project(const plan& how, const surroundings& seen) {
    if (!seen.project.restricted || seen.project.snapshots == "allow") {
        return {};
    }
    return failure(reason::not_restorable, "project " + how.project +
                                               " does not allow snapshots; to allow them: `incus project set " +
                                               shell_quote(how.project) + " restricted.snapshots=allow`");
}

/// What a member that is evacuated or away holds is moved, or cannot be reached.
expected<void> check_member(const instance_facts& facts, const plan& how, const surroundings& seen) {
    if (seen.member_status.empty() || seen.member_status == "Online") {
        return {};
    }
    const auto member = shell_quote(facts.location);
    const bool evacuated = seen.member_status == "Evacuated";
    return failure(reason::not_restorable,
                   "cluster member " + printable(facts.location) + ", which instance " + how.instance + " is on, is " +
                       printable(seen.member_status) + " and not Online: " +
                       (evacuated ? "bring it back first (`incus cluster restore " + member + "`)"
                                  : "wait until it is (`incus cluster show " + member + "`)"));
}

expected<void> check_leftovers(const plan& how, const surroundings& seen) {
    for (const auto& t : seen.targets) {
        if (t.leftover.empty()) {
            continue;
        }
        const auto path = t.leftover.substr(0, t.leftover.size() - moved_suffix.size());
        return failure(reason::not_restorable, "a restore of " + words_for(t.target, how) + " was cut short and left " +
                                                   printable(t.leftover) +
                                                   " behind, so that no other one can succeed; on the server: `" +
                                                   mend_of_moved(path, true) + "`");
    }
    return {};
}

expected<void> check_blocking_copy(const instance_facts& facts, const plan& how, const surroundings& seen) {
    const auto* pool = pool_of(facts.pool, seen);
    if (!how.keeps_failed || pool == nullptr || !copy_blocks_restore(*pool)) {
        return {};
    }
    return failure(reason::not_restorable, "on storage of driver " + pool->driver +
                                               " the copy that --keep-failed makes of instance " + how.instance +
                                               " would keep its snapshot from being restored: leave out --keep-failed");
}

bool is_size(const std::string& key) {
    return key == "limits.memory" || key.starts_with("limits.disk");
}

/// How an amount of a limit is written, in messages and for `incus project set`.
std::string amount(const std::string& key, std::int64_t value, bool command) {
    const auto bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
    if (!is_size(key)) {
        return std::to_string(value);
    }
    return command ? std::to_string(sum(bytes, mebibyte - 1) / mebibyte) + "MiB" : format_size(bytes, rounding::up);
}

/// Snapshots count towards no limit of a project; a copy of the instance counts as any other instance (Incus,
/// project/permissions.go, AllowSnapshotCreation and AllowInstanceCreation).
expected<void> check_limits(const plan& how, const surroundings& seen) {
    if (!how.keeps_failed) {
        return {};
    }
    for (const auto& [key, l] : seen.project.limits) {
        if (l.limit < 0 || l.copy <= 0 || l.usage <= l.limit - l.copy) {
            continue;
        }
        const bool room = key.starts_with("limits.disk");
        return failure(room ? reason::no_space : reason::not_restorable,
                       "the copy that --keep-failed makes does not fit into project " + how.project + ": " + key +
                           " is " + amount(key, l.limit, false) + ", " + amount(key, l.usage, false) +
                           " are in use and the copy adds " + amount(key, l.copy, false) +
                           "; leave out --keep-failed, or raise it: `incus project set " + shell_quote(how.project) +
                           " " + shell_quote(key + "=" + amount(key, sum(l.usage, l.copy), true)) + "`");
    }
    return {};
}

/// What the plan copies within a pool: so many bytes of which the size is known, and the words for it.
struct copies {
    std::uint64_t bytes{};
    std::string words{};

    void add(std::uint64_t size, const std::string& what) {
        bytes = sum(bytes, size);
        words += (words.empty() ? "" : ", ") + what + " " + format_size(size, rounding::up);
    }
};

copies copies_in(const pool_seen& pool, const plan& how, const surroundings& seen) {
    copies all;
    if (!copies_whole(pool)) {
        return all;
    }
    for (const auto& t : seen.targets) {
        if (t.pool != pool.name || !t.size) {
            continue;
        }
        all.add(*t.size, "the snapshot of " + words_for(t.target, how));
        if (t.target == "root" && how.keeps_failed) {
            all.add(*t.size, "the copy by --keep-failed");
        }
    }
    return all;
}

std::string what_to_do(const pool_seen& pool, const plan& how, bool reserve_alone) {
    return ": free some space there (`incus storage info " + shell_quote(pool.name) + "` shows how much)" +
           (how.keeps_failed && copies_whole(pool) ? ", leave out --keep-failed" : "") +
           (reserve_alone ? ", or ask for less with --min-free" : "");
}

expected<void> check_room(const pool_seen& pool, const plan& how, const surroundings& seen) {
    if (!pool.space || pool.space->total == 0) {
        return {};
    }
    const auto free = pool.space->free();
    const auto reserve = reserve_in(*pool.space, how);
    const auto needed = copies_in(pool, how, seen);
    if (needed.bytes <= free && reserve <= free - needed.bytes) {
        return {};
    }
    const auto head = "storage pool " + pool.name + " has " + format_size(free, rounding::down) + " free, and ";
    const auto stays = format_size(reserve, rounding::up) + (how.min_free ? " (--min-free)" : "");
    return failure(reason::no_space,
                   head +
                       (needed.bytes == 0
                            ? stays + " must be free for a snapshot and its restore"
                            : "what belay makes takes at least " + format_size(needed.bytes, rounding::up) + " (" +
                                  needed.words + "), beside which " + stays + " must stay free") +
                       what_to_do(pool, how, needed.bytes <= free));
}

} // namespace

bool copies_whole(const pool_seen& pool) {
    return pool.driver == "dir" || pool.driver == "lvmcluster" ||
           (pool.driver == "lvm" && is_false(setting(pool, "lvm.use_thinpool")));
}

bool copy_blocks_restore(const pool_seen& pool) {
    const bool clones = pool.driver == "zfs" || pool.driver == "truenas";
    return pool.driver == "linstor" || (clones && !is_false(setting(pool, pool.driver + ".clone_copy")));
}

std::uint64_t reserve_in(const pool_space& space, const plan& how) {
    return how.min_free.value_or(std::min(space.total / 10, largest_reserve));
}

bool size_decides(const pool_seen& pool, const plan& how) {
    if (!copies_whole(pool) || !pool.space || pool.space->total == 0) {
        return false;
    }
    const auto free = pool.space->free();
    const auto reserve = reserve_in(*pool.space, how);
    const auto most = how.keeps_failed ? sum(pool.space->used, pool.space->used) : pool.space->used;
    return reserve <= free && free - reserve < most;
}

expected<void> check_obstacles(const instance_facts& facts, const plan& how, const surroundings& seen) {
    BELAY_TRY_VOID(check_operations(how, seen));
    BELAY_TRY_VOID(check_project(how, seen));
    BELAY_TRY_VOID(check_member(facts, how, seen));
    BELAY_TRY_VOID(check_leftovers(how, seen));
    BELAY_TRY_VOID(check_blocking_copy(facts, how, seen));
    BELAY_TRY_VOID(check_limits(how, seen));
    for (const auto& pool : seen.pools) {
        BELAY_TRY_VOID(check_room(pool, how, seen));
    }
    return {};
}

} // namespace belay::core
