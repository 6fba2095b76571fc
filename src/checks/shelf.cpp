// SPDX-License-Identifier: Apache-2.0
#include "checks/shelf.hpp"

#include "core/nearest.hpp"
#include "core/text.hpp"

#include <fmt/format.h>
#include <fstream>
#include <ranges>
#include <sstream>
#include <sys/stat.h>

namespace belay::checks {

namespace fs = std::filesystem;
using core::reason;

namespace {

/// An empty file, or a link to /dev/null.
bool masks(const fs::path& file) {
    std::error_code ignored;
    if (fs::is_symlink(file, ignored) && fs::read_symlink(file, ignored) == "/dev/null") {
        return true;
    }
    return fs::is_regular_file(file, ignored) && fs::file_size(file, ignored) == 0;
}

bool is_there(const fs::path& file) {
    std::error_code ignored;
    return fs::exists(fs::symlink_status(file, ignored));
}

} // namespace

std::string shown(const fs::path& path) {
    return "'" + core::printable(path.string()) + "'";
}

std::optional<std::string> read_text(const fs::path& file) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) {
        return std::nullopt; // a pipe would be waited for
    }
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    if (in.peek() != std::ifstream::traits_type::eof()) {
        text << in.rdbuf(); // unlike an iterator over the buffer it throws nothing
    }
    return in.is_open() && !in.bad() && text ? std::optional(text.str()) : std::nullopt;
}

core::expected<void> check_trust(const fs::path& file, unsigned uid, const std::string& noun) {
    if (uid != 0) {
        return {};
    }
    std::error_code problem;
    const auto real = fs::canonical(file, problem);
    if (problem) {
        return core::failure(reason::usage, fmt::format("{} {} cannot be looked at", noun, shown(file)),
                             problem.message());
    }
    for (auto at = real;; at = at.parent_path()) {
        struct stat info {};

        if (stat(at.c_str(), &info) != 0) {
            return core::failure(reason::usage, fmt::format("{} cannot be looked at", shown(at)));
        }
        const bool sticky_of_root = at != real && info.st_uid == 0 && (info.st_mode & S_ISVTX) != 0;
        const bool others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky_of_root;
        if (info.st_uid != 0 || others_write) {
            const auto quoted = core::shell_quote(at.string());
            return core::failure(reason::usage,
                                 fmt::format("{} {} is not run as root, since others than root may write {}: "
                                             "`chown root {} && chmod go-w {}`",
                                             noun, shown(file), shown(at), quoted, quoted));
        }
        if (at == at.parent_path()) {
            return {};
        }
    }
}

core::expected<void> shelf::check_trust(const fs::path& file) const {
    return checks::check_trust(file, uid_, noun_);
}

std::optional<fs::path> shelf::first_file(const std::string& name) const {
    if (name.empty() || name.starts_with('.')) {
        return std::nullopt;
    }
    for (const auto& folder : folders_) {
        if (const auto file = folder / (name + suffix_); is_there(file)) {
            return file;
        }
        if (const auto file = folder / name; !suffix_.empty() && is_there(file)) {
            return file;
        }
    }
    return std::nullopt;
}

bool shelf::masked(const std::string& name) const {
    const auto file = first_file(name);
    return file && masks(*file);
}

core::expected<fs::path> shelf::find(const std::string& name) const {
    std::error_code ignored;
    if (name.find('/') != std::string::npos) {
        if (!fs::exists(name, ignored)) {
            return core::failure(reason::usage, fmt::format("there is no file {} to use as a {}", shown(name), noun_));
        }
        BELAY_TRY_VOID(check_trust(name));
        return fs::path(name);
    }
    const auto file = first_file(name);
    if (!file) {
        std::vector<std::string> known;
        std::ranges::copy(std::views::keys(list()), std::back_inserter(known));
        return core::failure(reason::usage,
                             fmt::format("there is no {} '{}'{}: `belay {}s` lists what is installed", noun_,
                                         core::printable(name), core::did_you_mean(name, known), noun_));
    }
    if (masks(*file)) {
        return core::failure(reason::usage, fmt::format("{} '{}' is switched off by {}: remove that file to use it",
                                                        noun_, core::printable(name), shown(*file)));
    }
    BELAY_TRY_VOID(check_trust(*file));
    return *file;
}

std::map<std::string, fs::path> shelf::list() const {
    std::map<std::string, fs::path> first;
    for (const auto& folder : folders_) {
        std::map<std::string, fs::path> here; // the one with the suffix wins over its namesake
        std::error_code problem;
        for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
            auto name = at->path().filename().string();
            if (name.starts_with('.') || name.ends_with('~')) {
                continue;
            }
            if (!suffix_.empty() && name.ends_with(suffix_)) {
                name.resize(name.size() - suffix_.size());
                here.insert_or_assign(name, at->path());
            } else {
                here.try_emplace(name, at->path());
            }
        }
        first.merge(here);
    }
    std::erase_if(first, [](const auto& one) { return masks(one.second); });
    return first;
}

} // namespace belay::checks
