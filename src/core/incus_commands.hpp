// SPDX-License-Identifier: Apache-2.0
// Command lines of the incus program that people can paste.
#pragma once
#include "core/coverage.hpp"
#include "core/lock_rule.hpp"
#include "core/text.hpp"

#include <string>

namespace belay::core {

/// Writes commands of the incus program about one instance; flags come last.
class incus_commands {
public:
    incus_commands(const std::string& instance, const std::string& project)
        : instance_(shell_quote(instance)),
          flags_(project.empty() || project == "default" ? std::string{} : " --project " + shell_quote(project)) {}

    std::string line(const std::string& what, const std::string& rest = {}) const {
        return "incus " + what + " " + instance_ + (rest.empty() ? "" : " " + rest) + flags_;
    }

    /// About a custom volume: `what` is done to the snapshot of a target POOL/VOLUME.
    std::string volume_snapshot(const std::string& what, const std::string& target, const std::string& snapshot) const {
        const auto [pool, volume] = volume_of(target);
        return "incus storage volume snapshot " + what + " " + shell_quote(pool) + " " + shell_quote(volume) + " " +
               snapshot + flags_;
    }

    std::string volume_config(const std::string& target, const std::string& setting) const {
        const auto [pool, volume] = volume_of(target);
        return "incus storage volume set " + shell_quote(pool) + " " + shell_quote(volume) + " " + setting + flags_;
    }

    /// What is done to the snapshot of a target, whichever it is.
    std::string snapshot(const std::string& what, const std::string& target, const std::string& snapshot) const {
        return target == "root" ? line("snapshot " + what, snapshot) : volume_snapshot(what, target, snapshot);
    }

    std::string unlock() const { return line("config unset", std::string(lock_key_name)); }

private:
    std::string instance_;
    std::string flags_;
};

} // namespace belay::core
