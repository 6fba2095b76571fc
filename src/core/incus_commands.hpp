// SPDX-License-Identifier: Apache-2.0
// Command lines of the incus program that people can paste.
#pragma once
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

    std::string unlock() const { return line("config unset", std::string(lock_key_name)); }

private:
    std::string instance_;
    std::string flags_;
};

} // namespace belay::core
