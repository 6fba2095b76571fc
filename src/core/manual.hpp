// SPDX-License-Identifier: Apache-2.0
// What a person can do when belay could not: commands, each one ready to paste.
#pragma once
#include "core/report.hpp"
#include "core/state.hpp"

#include <string_view>

namespace belay::core {

/// The commands that end a stuck transaction by hand, in their order: what stands in the way is mended, then the
/// instance is put back to its snapshot, the lock is taken off, and it is started. `belay recover` after the mending,
/// or after all of them, ends the transaction. Where the upgrade had not begun, or was kept, only what is left behind
/// is taken away.
std::vector<std::string> manual_commands(const state& s, const std::string& txn);

/// The commands that take away what keeps Incus from restoring, as far as an error of a restore tells. They are run on
/// the server. A btrfs restore that was cut short leaves `NAME.incustmp`, the state before it, beside or instead of the
/// instance (Incus, driver btrfs, RestoreVolume).
std::vector<std::string> mending_commands(const std::vector<error>& why);

/// What Incus adds to the path of an instance or a volume while it restores it on btrfs.
inline constexpr std::string_view leftover_suffix = ".incustmp";

/// The command that takes away what such a restore of `path` left beside it.
std::string mend_leftover(const std::string& path);

/// What a person can do about a transaction that was interrupted.
struct way_out {
    std::string sentence;
    std::vector<std::string> commands;
};

/// The way out of an interrupted transaction, from how far it came.
way_out end_by_hand(const state& s, const std::string& txn);

} // namespace belay::core
