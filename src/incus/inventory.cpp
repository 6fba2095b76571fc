// SPDX-License-Identifier: Apache-2.0
#include "incus/inventory.hpp"

#include "core/manual.hpp"

#include <fmt/format.h>

namespace belay::incus {

namespace fs = std::filesystem;

namespace {

/// Each request has a connection of its own.
constexpr std::size_t at_once = 16;

std::string snapshots_of(const core::seen_instance& instance) {
    return fmt::format("/1.0/instances/{}/snapshots?project={}", escape(instance.name), escape(instance.project));
}

void take_snapshots(core::seen_instance instance, const core::expected<response>& answer, inventory& all) {
    if (answer) {
        instance.snapshots = decode_snapshot_names(answer->body);
    } else if (answer.error().code == core::reason::not_found) {
        return; // it is gone
    } else {
        auto why = answer.error();
        why.message = fmt::format("the snapshots of instance {} could not be listed: {}", instance.name, why.message);
        all.unread.push_back(std::move(why));
    }
    all.instances.push_back(std::move(instance));
}

std::vector<fs::path> folders_in(const fs::path& folder) {
    std::vector<fs::path> found;
    std::error_code problem;
    for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
        std::error_code ignored;
        if (at->is_directory(ignored)) {
            found.push_back(at->path());
        }
    }
    return found;
}

} // namespace

core::expected<inventory> read_inventory(operations& daemon, bool all_projects, const deadline& until) {
    const std::string list = "/1.0/instances?recursion=1";
    BELAY_TRY(const response, answer,
              daemon.get(all_projects ? list + "&all-projects=true" : daemon.in_project(list), until));
    inventory all;
    std::vector<core::seen_instance> readable;
    for (auto& instance : decode_instances(answer.body)) {
        (instance.readable ? readable : all.instances).push_back(std::move(instance));
    }
    for (std::size_t begin = 0; begin < readable.size(); begin += at_once) {
        const auto end = std::min(begin + at_once, readable.size());
        std::vector<std::string> paths;
        for (auto i = begin; i < end; ++i) {
            paths.push_back(snapshots_of(readable[i]));
        }
        const auto answers = daemon.get_all(paths, until);
        for (auto i = begin; i < end; ++i) {
            take_snapshots(std::move(readable[i]), answers[i - begin], all);
        }
    }
    return all;
}

std::vector<moved_instance> find_moved(const fs::path& folder) {
    std::vector<moved_instance> all;
    for (const auto& pool : folders_in(folder / "storage-pools")) {
        for (const auto* kind : {"containers", "virtual-machines"}) {
            for (const auto& aside : folders_in(pool / kind)) {
                auto name = aside.filename().string();
                if (!name.ends_with(core::moved_suffix)) {
                    continue;
                }
                name.resize(name.size() - core::moved_suffix.size());
                const auto mark = name.rfind('_'); // which no instance's name has
                std::error_code ignored;
                const auto place = pool / kind / name;
                all.push_back({pool.filename().string(),
                               mark == std::string::npos ? std::string("default") : name.substr(0, mark),
                               name.substr(mark == std::string::npos ? 0 : mark + 1), place,
                               fs::exists(place, ignored)});
            }
        }
    }
    std::ranges::sort(all, {}, &moved_instance::place);
    return all;
}

core::expected<bool> under_way(operations& daemon, const std::string& project, const std::string& name,
                               const deadline& until) {
    BELAY_TRY(const response, list, daemon.get("/1.0/operations?recursion=1&all-projects=true", until));
    return !decode_tasks(list.body, project, name).empty();
}

} // namespace belay::incus
