// SPDX-License-Identifier: Apache-2.0
#include "process/program.hpp"

#include <algorithm>
#include <sys/stat.h>
#include <unistd.h>

namespace belay::process {

std::vector<std::string> environment_of(const command& what) {
    std::vector<std::string> all;
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto name = text.substr(0, text.find('='));
        const bool replaced = std::ranges::any_of(what.env, [&](const auto& set) { return set.first == name; });
        if (!replaced) {
            all.emplace_back(text);
        }
    }
    for (const auto& [name, value] : what.env) {
        all.push_back(name + "=" + value);
    }
    return all;
}

core::expected<std::string> find_program(const std::string& name, const std::vector<std::string>& environment) {
    if (name.find('/') != std::string::npos) {
        return name;
    }
    std::string_view path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (const auto& entry : environment) {
        if (entry.starts_with("PATH=")) {
            path = std::string_view(entry).substr(5);
        }
    }
    for (;;) {
        const auto end = std::min(path.find(':'), path.size());
        const std::string folder(end == 0 ? "." : path.substr(0, end));
        const std::string file = folder + "/" + name;

        struct stat status {};

        if (::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(file.c_str(), X_OK) == 0) {
            return file;
        }
        if (end == path.size()) {
            return core::failure(core::reason::io_error,
                                 "cannot start " + name + ": there is no such program in PATH; install it");
        }
        path.remove_prefix(end + 1);
    }
}

} // namespace belay::process
