// SPDX-License-Identifier: Apache-2.0
#include "incus/copies.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <string_view>

namespace belay::incus {

namespace {

/// The arguments of a process; empty for a kernel thread or one that is gone.
std::vector<std::string> arguments_of(const std::filesystem::path& process) {
    std::ifstream in(process / "cmdline", std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(in), {}};
    std::vector<std::string> words;
    for (std::size_t from = 0; from < all.size();) {
        const auto end = std::min(all.find('\0', from), all.size());
        words.push_back(all.substr(from, end - from));
        from = end + 1;
    }
    return words;
}

/// Whether a path is `…/storage-pools/POOL/KIND/INSTANCE` or, for snapshots, a folder below it.
bool is_place_of(std::string_view path, const std::string& pool, const std::string& instance) {
    while (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    for (const std::string kind : {"containers", "virtual-machines"}) {
        const auto own = "/storage-pools/" + pool + "/" + kind + "/" + instance;
        const auto snapshots = "/storage-pools/" + pool + "/" + kind + "-snapshots/" + instance + "/";
        if (path.ends_with(own) || path.find(snapshots) != std::string_view::npos) {
            return true;
        }
    }
    return false;
}

} // namespace

std::vector<long> copies_under_way(const std::filesystem::path& proc, const std::string& pool,
                                   const std::string& project, const std::string& instance) {
    const auto folder = project == "default" ? instance : project + "_" + instance;
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
        if (words.size() > 1 && std::filesystem::path(words.front()).filename() == "rsync" &&
            is_place_of(words.back(), pool, folder)) {
            found.push_back(pid);
        }
    }
    return found;
}

} // namespace belay::incus
