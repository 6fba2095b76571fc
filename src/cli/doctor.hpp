// SPDX-License-Identifier: Apache-2.0
// The parts of belay doctor that look at belay's own files.
#pragma once
#include "checks/library.hpp"
#include "core/event.hpp"
#include "core/findings.hpp"
#include "core/leftovers.hpp"
#include "journal/locks.hpp"
#include "recipe/book.hpp"

#include <filesystem>
#include <map>

namespace belay::cli {

/// The transactions of this host as they are at one moment, before the instances are looked at: what has ended by then
/// has left nothing on an instance that it still needs.
class known_past {
public:
    /// `others`: where transactions of other users or invocations may be; those that cannot be read are passed over.
    known_past(std::filesystem::path state, std::vector<std::filesystem::path> others);

    /// Reads the journals. What is to be said of those in `state`: damaged ones, and transactions that have not ended.
    /// `recover` is the command line that ends them; `now` decides whether a confirmation is still waited for.
    std::vector<core::finding> read(const std::string& recover, core::wall_time now);

    /// What is known of a transaction now, but `closed` only when it was closed before, too: the lock that an instance
    /// had in between was no leftover.
    core::journal_word word(const std::string& txn, const std::string& uuid) const;

    bool alive(const core::lock_holder& holder) const { return places_.front().locks.alive(holder); }

private:
    struct place {
        std::filesystem::path state;
        journal::file_locks locks;
        std::map<std::string, bool> closed{}; ///< transactions that have ended: whether the snapshot was kept
    };

    std::vector<place> places_; ///< the state directory and the others
};

/// What is wrong with the checks that are installed: those that do not load, those whose interpreter is not on this
/// host, and default ones that are missing.
std::vector<core::finding> examine_checks(const checks::library& library);

/// The same of hooks of any kind; `place` is the folder that they are in, below /etc/belay. Nothing when all load.
std::vector<core::finding> examine_hooks(const std::string& place, const checks::library& library);

/// What is wrong with the recipes that are installed.
std::vector<core::finding> examine_recipes(const recipe::book& book);

} // namespace belay::cli
