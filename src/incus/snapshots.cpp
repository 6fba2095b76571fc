// SPDX-License-Identifier: Apache-2.0
// Snapshots of the instance: taken, deleted, restored.
#include "core/lock_rule.hpp"
#include "incus/bodies.hpp"
#include "incus/folders.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <utility>

namespace belay::incus {
namespace {

using core::milliseconds;
using core::reason;

/// What the kernel and the storage drivers say when there is no room. The daemon passes their words on.
constexpr std::array<std::string_view, 7> no_room_words{
    "no space left on device", "disk quota exceeded", "out of space",         "insufficient free space",
    "not enough free space",   "insufficient space",  "dataset is over quota"};

bool says_no_room(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::ranges::any_of(no_room_words, [&](std::string_view w) { return text.find(w) != std::string::npos; });
}

/// What a person can do about a restore that failed, where that is known.
constexpr const char* list_of_snapshots = "/snapshots?recursion=1";

std::string restore_hint(const std::string& cause, const std::string& instance, const std::string& snapshot) {
    if (cause.find(".incustmp") != std::string::npos) {
        return fmt::format(
            "; a restore that was cut short left a subvolume behind: on the server `btrfs subvolume delete` "
            "the {0}.incustmp that is named here, or copy the snapshot to a new instance (`incus copy "
            "{0}/{1} NEW`)",
            instance, snapshot);
    }
    if (cause.find("subsequent snapshot") != std::string::npos ||
        cause.find("more recent snapshot") != std::string::npos) {
        return "; this storage restores only its newest snapshot: delete the newer ones";
    }
    return says_no_room(cause) ? "; the storage pool is full: free some space" : std::string();
}

} // namespace

std::string instance::snapshot_path(const std::string& target, const std::string& name) const {
    return path_of(target, "/snapshots/" + escape(name));
}

core::expected<void> instance::snapshot(const std::string& target, const std::string& name, milliseconds limit,
                                        const std::function<void()>& meanwhile) {
    const deadline until(limit);
    auto done = daemon_.change({"POST", path_of(target, "/snapshots"), snapshot_body(name)}, until, meanwhile);
    if (done) {
        return {};
    }
    if (says_no_room(done.error().cause)) {
        return core::failure(reason::no_space,
                             fmt::format("there is no room for a snapshot of {}: free some space in its storage pool "
                                         "(`incus storage info POOL`)",
                                         words_for(target)),
                             done.error().cause);
    }
    return std::unexpected(in_words(std::move(done).error(), reason::snapshot_failed,
                                    fmt::format("the snapshot of {} failed", words_for(target))));
}

/// Whether a snapshot was read within the last second, and did not expire.
bool instance::was_just_eternal(const std::string& path) const {
    const auto seen = eternal_.find(path);
    return seen != eternal_.end() && is_fresh(seen->second);
}

core::expected<bool> instance::has_snapshot(const std::string& target, const std::string& name, milliseconds limit) {
    const auto path = snapshot_path(target, name);
    if (was_just_eternal(path)) {
        return true;
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto r = daemon_.get(path, deadline(limit));
    if (r) {
        if (decode_expiry(r->body).empty()) {
            eternal_[path] = begin;
        }
        return true;
    }
    // Its words name the instance, too, which may be called anything. Of a volume it says the same whether the volume
    // or its snapshot is not there.
    const bool volume = target != "root";
    if (r.error().code == reason::not_found &&
        (volume || r.error().cause.find("snapshot not found") != std::string::npos)) {
        return false;
    }
    return std::unexpected(in_words(r.error(), reason::io_error, fmt::format("snapshot {} could not be read", name)));
}

core::expected<void> instance::discard(const std::string& target, const std::string& name, milliseconds limit) {
    const deadline until(limit);
    eternal_.clear();
    BELAY_TRY_VOID(calm(until));
    auto done = daemon_.change({"DELETE", snapshot_path(target, name)}, until);
    if (done || done.error().code == reason::not_found) {
        return {};
    }
    if (done.error().code == reason::io_error) {
        const auto there = daemon_.get(snapshot_path(target, name), until);
        if (!there && there.error().code == reason::not_found) {
            return {};
        }
    }
    return std::unexpected(in_words(std::move(done).error(), reason::io_error,
                                    fmt::format("snapshot {1} of {0} could not be deleted", words_for(target), name)));
}

/// The pruner, every minute, deletes a snapshot that has expired also while it is being restored, and then the data is
/// gone: so it must not expire, and that is read back, when nothing is under way on the instance any more. One that was
/// looked for just before the stop, and did not expire then, is not read again: the instance is down meanwhile.
core::expected<void> instance::make_eternal(const std::string& target, const std::string& name, const deadline& until) {
    if (was_just_eternal(snapshot_path(target, name))) {
        BELAY_TRY(const bool, nothing_runs, daemon_.is_settled(name_, until));
        if (nothing_runs) {
            return {};
        }
    }
    for (const bool last_look : {false, true}) {
        const auto r = daemon_.settle_and_get(name_, snapshot_path(target, name), until);
        if (!r) {
            auto e = r.error();
            if (e.code == reason::not_found) {
                e = {reason::restore_failed, fmt::format("{} has no snapshot {}", words_for(target), name), e.cause};
            }
            return std::unexpected(
                in_words(e, reason::restore_failed, fmt::format("snapshot {} could not be read", name)));
        }
        const auto expiry = decode_expiry(r->body);
        if (expiry.empty()) {
            return {};
        }
        if (last_look) {
            return core::failure(
                reason::restore_failed,
                fmt::format("snapshot {1} of {0} would expire during the restore ({2}) and its expiry cannot be taken "
                            "away",
                            words_for(target), name, expiry));
        }
        if (auto done = daemon_.change({"PUT", snapshot_path(target, name), eternal_body()}, until); !done) {
            return std::unexpected(in_words(std::move(done).error(), reason::restore_failed,
                                            fmt::format("the expiry of snapshot {} could not be taken away", name)));
        }
    }
    return {};
}

core::expected<void> instance::restore(const std::string& target, const std::string& name, milliseconds limit) {
    const deadline until(limit);
    copies_may_run_ = copies_may_run_ || !daemon_.settled();
    BELAY_TRY_VOID(make_eternal(target, name, until));
    BELAY_TRY_VOID(await_copies(until));
    auto done = daemon_.change({"PUT", path_of(target), restore_body(name)}, until);
    if (done) {
        return {};
    }
    if (says_no_room(done.error().cause)) {
        const auto volume = core::volume_of(target);
        free_what_was_deleted(std::filesystem::path(daemon_.socket()).parent_path(),
                              volume.pool.empty() ? pool_ : volume.pool);
    }
    const auto hint = restore_hint(done.error().cause, name_, name);
    return std::unexpected(
        in_words(std::move(done).error(), reason::restore_failed,
                 fmt::format("snapshot {1} of {0} could not be restored{2}", words_for(target), name, hint)));
}

core::expected<std::vector<core::snapshot_entry>> instance::list_snapshots(const std::string& target,
                                                                           milliseconds limit) {
    return entries_in(daemon_.get(path_of(target, list_of_snapshots), deadline(limit)), target);
}

core::expected<std::vector<core::snapshot_entry>> instance::entries_in(const core::expected<response>& r,
                                                                       const std::string& target) {
    if (!r) {
        return std::unexpected(in_words(r.error(), reason::io_error,
                                        fmt::format("the snapshots of {} could not be read", words_for(target))));
    }
    return decode_entries(r->body);
}

core::expected<void> instance::set_expiry(const std::string& target, const std::string& name,
                                          std::optional<core::wall_time> when, milliseconds limit) {
    const deadline until(limit);
    eternal_.clear();
    return expiry_outcome(daemon_.change({"PUT", snapshot_path(target, name), expiry_body(when)}, until), target, name);
}

/// One round for the change and for what is read along. The list takes the daemon some milliseconds for each snapshot.
/// What the instance said when it was proved to run is as good as news: if it is not true any more the swap is lost.
ports::kept instance::keep(const std::string& name, std::optional<core::wall_time> when, milliseconds limit) {
    eternal_.clear();
    auto proved = std::exchange(proved_, std::nullopt);
    const bool lists = may_have_old_ || !volumes_.empty();
    std::vector<std::string> paths;
    if (lists) {
        paths.push_back(path_of("root", list_of_snapshots));
    }
    if (!proved) {
        paths.push_back(path());
    }
    auto [outcome, read] =
        daemon_.change_and_get({"PUT", snapshot_path("root", name), expiry_body(when)}, paths, deadline(limit));
    ports::kept done{expiry_outcome(std::move(outcome), "root", name), {}, {}};
    if (lists) {
        done.snapshots = entries_in(read.front(), "root");
    }
    done.now = proved ? *std::move(proved) : as_seen(std::move(read.back()));
    return done;
}

core::expected<void> instance::expiry_outcome(core::expected<void> done, const std::string& target,
                                              const std::string& name) {
    if (done) {
        return {};
    }
    auto e = std::move(done).error();
    if (e.code == reason::not_found) {
        return core::failure(reason::not_found, fmt::format("{} has no snapshot {}", words_for(target), name), e.cause);
    }
    return std::unexpected(
        in_words(std::move(e), reason::io_error,
                 fmt::format("the expiry of snapshot {1} of {0} could not be set", words_for(target), name)));
}

core::expected<own_schedule> instance::read_schedule(const std::string& target, const deadline& until) {
    const auto r = daemon_.get(path_of(target), until);
    if (!r) {
        return std::unexpected(
            in_words(r.error(), reason::io_error, fmt::format("{} could not be read", words_for(target))));
    }
    return decode_own_schedule(r->body);
}

core::expected<void> instance::set_schedule(const std::string& target, const std::string& value,
                                            const std::string& description, const deadline& until) {
    const auto body = settings_body({{"snapshots.schedule", value}}, description);
    auto done = daemon_.change({"PATCH", path_of(target), body}, until);
    if (done) {
        return {};
    }
    return std::unexpected(in_words(std::move(done).error(), reason::io_error,
                                    fmt::format("the snapshot schedule of {} could not be set", words_for(target))));
}

/// A volume has no profiles, and knows no `@never`.
core::expected<void> instance::schedule_off(const std::string& target, milliseconds limit) {
    const deadline until(limit);
    BELAY_TRY(const own_schedule, now, read_schedule(target, until));
    return set_schedule(target, target == "root" ? "@never" : "", now.description, until);
}

core::expected<void> instance::schedule_on(const std::string& target, const std::optional<std::string>& schedule,
                                           milliseconds limit) {
    const deadline until(limit);
    BELAY_TRY(const own_schedule, now, read_schedule(target, until));
    const bool is_off = target == "root" ? now.schedule == "@never" : !now.schedule;
    return is_off ? set_schedule(target, schedule.value_or(""), now.description, until) : core::expected<void>{};
}

core::expected<void> instance::copy_to(const std::string& name, milliseconds limit) {
    const deadline until(limit);
    BELAY_TRY_VOID(calm(until));
    const auto r = daemon_.get(path(), until);
    if (!r) {
        return std::unexpected(
            in_words(r.error(), reason::io_error, fmt::format("instance {} could not be read", name_)));
    }
    auto done = daemon_.change(
        {"POST", daemon_.in_project("/1.0/instances"), copy_body(decode_for_copy(r->body), name)}, until);
    if (done) {
        return {};
    }
    if (const auto there = daemon_.get(daemon_.in_project("/1.0/instances/" + escape(name)), until); there) {
        return {};
    }
    return std::unexpected(
        in_words(std::move(done).error(), reason::io_error, fmt::format("instance {} could not be copied", name_)));
}

} // namespace belay::incus
