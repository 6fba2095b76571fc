// SPDX-License-Identifier: Apache-2.0
#include "run/preflight.hpp"

#include "core/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::run {

namespace {

/// What --uncovered names: the path in the instance, or the device where there is no path (block volumes).
std::string name_of(const core::disk& disk) {
    return disk.path.empty() ? disk.device : disk.path;
}

bool accepted(const core::disk& disk, const core::plan& plan) {
    return std::ranges::find(plan.uncovered, name_of(disk)) != plan.uncovered.end();
}

} // namespace

core::expected<void> check_facts(const core::instance_facts& facts, const core::plan& plan) {
    if (facts.ephemeral) {
        return core::failure(
            core::reason::ephemeral,
            fmt::format("instance {} is ephemeral: stopping it would delete it, so that nothing could be "
                        "undone; make a copy that is not (`incus copy`)",
                        plan.instance));
    }
    if (plan.undoes_kept) {
        return {}; // an upgrade may be undone because the instance does not run, and its disks were accepted then
    }
    if (!facts.running) {
        return core::failure(
            core::reason::not_running,
            fmt::format("instance {0} is not running: start it first (`incus start {0}`)", plan.instance));
    }
    std::string open;
    std::string options;
    for (const auto& disk : facts.disks) {
        if (disk.covered || disk.read_only || accepted(disk, plan)) {
            continue;
        }
        open += fmt::format("{}{} ({})", open.empty() ? "" : ", ", core::printable(name_of(disk)),
                            core::printable(disk.source));
        options += " --uncovered " + core::shell_quote(name_of(disk));
    }
    if (!open.empty()) {
        return core::failure(
            core::reason::uncovered,
            fmt::format("the snapshot of instance {} does not cover {}: a rollback would leave what is "
                        "written there; to accept that, add{}",
                        plan.instance, open, options));
    }
    return {};
}

} // namespace belay::run
