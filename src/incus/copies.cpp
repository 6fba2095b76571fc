// SPDX-License-Identifier: Apache-2.0
#include "incus/copies.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>

namespace belay::incus {

namespace {

/// The arguments of a process; empty for a kernel thread or one that is gone.
std::vector<std::string> arguments_of(const std::filesystem::path& process) {
    std::ifstream in(process / "cmdline", std::ios::binary);
    std::vector<std::string> words;
    for (std::string word; std::getline(in, word, '\0');) { // does not throw when the process ends meanwhile
        words.push_back(word);
    }
    return words;
}

std::string_view without_slashes(std::string_view path) {
    while (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    return path;
}

/// Whether a path is `…/storage-pools/POOL/KIND/INSTANCE` or, for snapshots, a folder below it.
bool is_place_of(std::string_view path, const std::string& pool, const std::string& instance) {
    path = without_slashes(path);
    for (const std::string kind : {"containers", "virtual-machines"}) {
        const auto own = "/storage-pools/" + pool + "/" + kind + "/" + instance;
        const auto snapshots = "/storage-pools/" + pool + "/" + kind + "-snapshots/" + instance + "/";
        if (path.ends_with(own) || path.find(snapshots) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

/// The same for `…/storage-pools/POOL/custom/PROJECT_VOLUME`. A project's name may have no underscore.
bool is_place_of_volume(std::string_view path, const std::string& pool, const std::string& volume) {
    path = without_slashes(path);
    const auto is_it = [&](std::string_view folder) {
        const auto mark = folder.find('_');
        return mark != std::string_view::npos && folder.substr(mark + 1) == volume;
    };
    const auto own = "/storage-pools/" + pool + "/custom/";
    const auto snapshots = "/storage-pools/" + pool + "/custom-snapshots/";
    if (const auto at = path.find(own); at != std::string_view::npos) {
        return is_it(path.substr(at + own.size()));
    }
    const auto at = path.find(snapshots);
    const auto folder = at == std::string_view::npos ? std::string_view{} : path.substr(at + snapshots.size());
    return is_it(folder.substr(0, folder.find('/')));
}

template <class IsPlace>
std::vector<long> copies_to(const std::filesystem::path& proc, IsPlace is_place) {
    std::vector<long> found;
    std::error_code problem;
    for (std::filesystem::directory_iterator entry(proc, problem), end; !problem && entry != end;
         entry.increment(problem)) {
        const auto name = entry->path().filename().string();
        long pid{};
        const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error != std::errc{} || rest != name.data() + name.size()) {
            continue;
        }
        const auto words = arguments_of(entry->path());
        if (words.size() > 1 && std::filesystem::path(words.front()).filename() == "rsync" && is_place(words.back())) {
            found.push_back(pid);
        }
    }
    return found;
}

} // namespace

std::vector<long> copies_under_way(const std::filesystem::path& proc, const std::string& pool,
                                   const std::string& project, const std::string& instance) {
    const auto folder = project == "default" ? instance : project + "_" + instance;
    return copies_to(proc, [&](std::string_view path) { return is_place_of(path, pool, folder); });
}

std::vector<long> volume_copies_under_way(const std::filesystem::path& proc, const std::string& pool,
                                          const std::string& volume) {
    return copies_to(proc, [&](std::string_view path) { return is_place_of_volume(path, pool, volume); });
}

} // namespace belay::incus
