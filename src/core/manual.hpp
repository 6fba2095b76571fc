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

/// What a btrfs restore puts behind the path of the instance that it moves aside (Incus, driver btrfs, RestoreVolume).
inline constexpr std::string_view moved_suffix = ".incustmp";

/// The command, for the server, that ends such a restore which was cut short: the old state is put back when it is all
/// there is of the instance, else deleted. `in_place`: something is at `path`.
std::string mend_of_moved(const std::string& path, bool in_place);

/// The commands that take away what keeps Incus from restoring, as far as an error of a restore tells. They are run on
/// the server. A btrfs restore that was cut short leaves `NAME.incustmp`, the state before it, beside or instead of the
/// instance (Incus, driver btrfs, RestoreVolume).
std::vector<std::string> mending_commands(const std::vector<error>& why);

/// What a person can do about a transaction that was interrupted.
struct way_out {
    std::string sentence;
    std::vector<std::string> commands;
};

/// The way out of an interrupted transaction, from how far it came.
way_out end_by_hand(const state& s, const std::string& txn);

} // namespace belay::core
