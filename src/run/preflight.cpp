// SPDX-License-Identifier: Apache-2.0
#include "run/preflight.hpp"

#include "core/coverage.hpp"
#include "core/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::run {

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
    if (const auto unknown = core::unknown_volumes(plan, facts); !unknown.empty()) {
        return core::failure(core::reason::uncovered,
                             fmt::format("instance {0} has no custom volume {1}, which --volumes names: `incus config "
                                         "device list {0}` shows its disks",
                                         plan.instance, core::printable(unknown.front())));
    }
    std::string open;
    for (const auto& disk : facts.disks) {
        if (!core::uncovered(disk, plan)) {
            continue;
        }
        open += fmt::format("{}{} ({}, {})", open.empty() ? "" : ", ", core::printable(core::name_of(disk)),
                            core::printable(disk.source),
                            core::printable(core::words_for(core::coverage_of(disk, plan), disk)));
    }
    if (!open.empty()) {
        return core::failure(
            core::reason::uncovered,
            fmt::format("the snapshot of instance {} does not cover {}: a rollback would leave what is "
                        "written there; to accept that, add{}",
                        plan.instance, open, core::uncovered_options(facts, plan)));
    }
    return {};
}

} // namespace belay::run
