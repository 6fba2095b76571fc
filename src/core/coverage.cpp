// SPDX-License-Identifier: Apache-2.0
#include "core/coverage.hpp"

#include "core/drivers.hpp"
#include "core/text.hpp"

#include <algorithm>

namespace belay::core {

namespace {

/// A volume is named by its pool and its own name, by its own name or by its device.
bool is_called(const disk& d, const std::string& name) {
    return !d.volume.empty() && (name == target_of(d) || name == d.volume || name == d.device);
}

bool chosen(const disk& d, const plan& how) {
    return !how.volumes || std::ranges::any_of(*how.volumes, [&](const auto& name) { return is_called(d, name); });
}

const disk* disk_of(const std::string& target, const instance_facts& facts) {
    const auto found =
        std::ranges::find_if(facts.disks, [&](const disk& d) { return !d.volume.empty() && target_of(d) == target; });
    return found == facts.disks.end() ? nullptr : &*found;
}

bool never_scheduled(const std::string& schedule) {
    return schedule.empty() || schedule == "@never";
}

} // namespace

coverage coverage_of(const disk& d, const plan& how) {
    if (d.covered) {
        return coverage::instance;
    }
    if (d.read_only) {
        return coverage::read_only;
    }
    if (d.volume.empty()) {
        return coverage::outside;
    }
    if (!d.users.empty()) {
        return coverage::shared;
    }
    return chosen(d, how) ? coverage::volume : coverage::left_out;
}

bool goes_back(coverage what) {
    return what == coverage::instance || what == coverage::volume || what == coverage::read_only;
}

std::string words_for(coverage what, const disk& d) {
    switch (what) {
    case coverage::instance:
        return "with the instance";
    case coverage::volume:
        return "snapshotted and restored with it";
    case coverage::read_only:
        return "read-only";
    case coverage::left_out:
        return "left out by --volumes";
    case coverage::shared: {
        std::string names;
        for (const auto& user : d.users) {
            names += (names.empty() ? "" : ", ") + user;
        }
        return "shared with " + names;
    }
    case coverage::outside:
        return "on the host";
    }
    return {};
}

bool uncovered(const disk& d, const plan& how) {
    return !goes_back(coverage_of(d, how)) && std::ranges::find(how.uncovered, name_of(d)) == how.uncovered.end();
}

std::string uncovered_options(const instance_facts& facts, const plan& how) {
    std::string options;
    for (const auto& d : facts.disks) {
        if (uncovered(d, how)) {
            options += " --uncovered " + shell_quote(name_of(d));
        }
    }
    return options;
}

std::string name_of(const disk& d) {
    return d.path.empty() ? d.device : d.path;
}

std::string target_of(const disk& d) {
    return d.pool + "/" + d.volume;
}

volume_name volume_of(const std::string& target) {
    const auto slash = target.find('/');
    return slash == std::string::npos ? volume_name{} : volume_name{target.substr(0, slash), target.substr(slash + 1)};
}

std::vector<std::string> unknown_volumes(const plan& how, const instance_facts& facts) {
    auto names = how.volumes.value_or(std::vector<std::string>{});
    std::erase_if(names, [&](const auto& name) {
        return std::ranges::any_of(facts.disks, [&](const disk& d) { return is_called(d, name); });
    });
    return names;
}

std::string driver_of(const std::string& target, const instance_facts& facts) {
    const auto* d = disk_of(target, facts);
    return target == "root" ? facts.driver : d == nullptr ? std::string{} : d->driver;
}

bool restores_only_newest(const std::string& target, const instance_facts& facts) {
    const auto dependent = [](const disk& d) { return d.covered && !d.volume.empty(); };
    return restores_only_newest(driver_of(target, facts)) ||
           (target == "root" && std::ranges::any_of(facts.disks, dependent));
}

bool guarded(const std::string& target, const instance_facts& facts) {
    const auto schedule =
        target == "root" ? facts.effective_schedule : schedule_of(target, facts).value_or(std::string{});
    return restores_only_newest(target, facts) && !never_scheduled(schedule);
}

std::optional<std::string> schedule_of(const std::string& target, const instance_facts& facts) {
    if (target == "root") {
        return facts.schedule;
    }
    const auto* d = disk_of(target, facts);
    return d == nullptr ? std::nullopt : d->schedule;
}

void settle(plan& how, const instance_facts& facts) {
    if (how.undoes_kept) {
        return;
    }
    how.targets = {"root"};
    for (const auto& d : facts.disks) {
        const bool known = std::ranges::find(how.targets, target_of(d)) != how.targets.end();
        if (coverage_of(d, how) == coverage::volume && !known) {
            how.targets.push_back(target_of(d));
        }
    }
    how.pauses = how.mode == snapshot_mode::paused || how.mode == snapshot_mode::stopped ||
                 (how.mode == snapshot_mode::automatic && how.targets.size() > 1);
    how.guards_schedule = std::ranges::any_of(how.targets, [&](const auto& target) { return guarded(target, facts); });
}

std::string failed_copy_name(const std::string& instance, const std::string& txn) {
    return instance + "-failed-" + txn;
}

} // namespace belay::core
