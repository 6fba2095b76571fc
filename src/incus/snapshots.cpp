// SPDX-License-Identifier: Apache-2.0
// Snapshots of the instance: taken, deleted, restored.
#include "incus/bodies.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

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

std::string instance::snapshot_path(const std::string& name) const {
    return path("/snapshots/" + escape(name));
}

core::expected<void> instance::root_only(const std::string& target) const {
    if (target == "root") {
        return {};
    }
    return core::failure(reason::uncovered, fmt::format("volume {} cannot be snapshotted by this belay", target));
}

core::expected<void> instance::snapshot(const std::string& target, const std::string& name, milliseconds limit) {
    BELAY_TRY_VOID(root_only(target));
    const deadline until(limit);
    auto done = daemon_.change({"POST", path("/snapshots"), snapshot_body(name)}, until);
    if (done) {
        return {};
    }
    if (says_no_room(done.error().cause)) {
        return core::failure(
            reason::no_space,
            fmt::format("there is no room for a snapshot of instance {}: free some space in its storage "
                        "pool (`incus storage info POOL`)",
                        name_),
            done.error().cause);
    }
    return std::unexpected(in_words(std::move(done).error(), reason::snapshot_failed,
                                    fmt::format("the snapshot of instance {} failed", name_)));
}

core::expected<bool> instance::has_snapshot(const std::string& target, const std::string& name, milliseconds limit) {
    BELAY_TRY_VOID(root_only(target));
    const auto r = daemon_.get(snapshot_path(name), deadline(limit));
    if (r) {
        return true;
    }
    // Its words name the instance, too, which may be called anything.
    if (r.error().code == reason::not_found && r.error().cause.find("snapshot not found") != std::string::npos) {
        return false;
    }
    return std::unexpected(in_words(r.error(), reason::io_error, fmt::format("snapshot {} could not be read", name)));
}

core::expected<void> instance::discard(const std::string& target, const std::string& name, milliseconds limit) {
    BELAY_TRY_VOID(root_only(target));
    const deadline until(limit);
    BELAY_TRY_VOID(calm(until));
    auto done = daemon_.change({"DELETE", snapshot_path(name)}, until);
    if (done || done.error().code == reason::not_found) {
        return {};
    }
    if (done.error().code == reason::io_error) {
        const auto there = daemon_.get(snapshot_path(name), until);
        if (!there && there.error().code == reason::not_found) {
            return {};
        }
    }
    return std::unexpected(in_words(std::move(done).error(), reason::io_error,
                                    fmt::format("snapshot {1} of instance {0} could not be deleted", name_, name)));
}

/// The pruner, every minute, deletes a snapshot that has expired also while it is being restored, and then the data is
/// gone: so it must not expire, and that is read back, when nothing is under way on the instance any more.
core::expected<void> instance::make_eternal(const std::string& name, const deadline& until) {
    for (const bool last_look : {false, true}) {
        const auto r = daemon_.settle_and_get(name_, snapshot_path(name), until);
        if (!r) {
            auto e = r.error();
            if (e.code == reason::not_found) {
                e = {reason::restore_failed, fmt::format("instance {} has no snapshot {}", name_, name), e.cause};
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
                fmt::format("snapshot {1} of instance {0} would expire during the restore ({2}) and its "
                            "expiry cannot be taken away",
                            name_, name, expiry));
        }
        if (auto done = daemon_.change({"PUT", snapshot_path(name), eternal_body()}, until); !done) {
            return std::unexpected(in_words(std::move(done).error(), reason::restore_failed,
                                            fmt::format("the expiry of snapshot {} could not be taken away", name)));
        }
    }
    return {};
}

core::expected<void> instance::restore(const std::string& target, const std::string& name, milliseconds limit) {
    BELAY_TRY_VOID(root_only(target));
    const deadline until(limit);
    copies_may_run_ = copies_may_run_ || !daemon_.settled();
    BELAY_TRY_VOID(make_eternal(name, until));
    BELAY_TRY_VOID(await_copies(until));
    auto done = daemon_.change({"PUT", path(), restore_body(name)}, until);
    if (done) {
        return {};
    }
    const auto hint = restore_hint(done.error().cause, name_, name);
    return std::unexpected(
        in_words(std::move(done).error(), reason::restore_failed,
                 fmt::format("snapshot {1} of instance {0} could not be restored{2}", name_, name, hint)));
}

} // namespace belay::incus
