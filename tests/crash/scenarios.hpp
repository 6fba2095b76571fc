// SPDX-License-Identifier: Apache-2.0
// The upgrades that the matrix is run over.
#pragma once
#include "crash/site.hpp"
#include "fakes/world.hpp"

#include <functional>

namespace belay::crash {

struct scenario {
    std::string name;
    std::string driver;
    std::function<void(fakes::fake_world&)> equip; ///< every process: the plan, and what the instance does
    std::function<void(fakes::fake_world&)> first; ///< the first process alone: what reaches it from outside
    std::vector<std::string> targets{"root"};
    bool may_keep{false}; ///< the new state passes the checks
    bool undoes{false};   ///< takes a kept upgrade back: the instance begins with the new state
    bool confirms{false};
    bool tells_generations{true}; ///< else nothing on the instance says that a restore succeeded
    bool heals{true};             ///< the old state passes its checks after a rollback
    bool scheduled{false};        ///< every disk takes snapshots by itself, on storage that restores only the newest
    bool unchanged{false};        ///< no package changes, and no snapshot is wanted then

    site begin() const;

    /// What the instance holds when nothing was done.
    std::string untouched() const { return undoes ? "new" : "old"; }
};

inline constexpr const char* txn = fakes::fake_world::default_txn;
inline constexpr const char* undone_txn = "20261122t120000z-0000";

/// All of them, on one driver.
std::vector<scenario> scenarios(const std::string& driver);

/// An Incus on which nothing tells that a restore succeeded, but belay's own key.
scenario without_generations(const std::string& driver);

/// One of them, by its name.
scenario scenario_named(const std::string& name, const std::string& driver);

/// The snapshot that a rollback of the scenario goes back to.
std::string way_back(const scenario& s);

} // namespace belay::crash
