// SPDX-License-Identifier: Apache-2.0
#include "cli/surroundings.hpp"

#include "checks/shelf.hpp"
#include "core/names.hpp"

#include <cstdlib>
#include <sstream>
#include <unistd.h>

namespace belay::cli {

namespace fs = std::filesystem;

namespace {

std::optional<fs::path> home_config() {
    if (const auto xdg = variable("XDG_CONFIG_HOME")) {
        return fs::path(*xdg);
    }
    if (const auto home = variable("HOME")) {
        return fs::path(*home) / ".config";
    }
    return std::nullopt;
}

std::vector<fs::path> hook_folders(const std::string& kind) {
    std::vector<fs::path> folders;
    if (const auto config = home_config()) {
        folders.push_back(*config / "belay" / kind);
    }
    folders.push_back(fs::path("/etc/belay") / kind);
    folders.push_back(share_folder() / kind);
    return folders;
}

std::size_t indent_of(const std::string& line) {
    return line.find_first_not_of(' ');
}

} // namespace

std::optional<std::string> variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') {
        return std::nullopt;
    }
    return value;
}

fs::path share_folder() {
    std::error_code problem;
    const auto self = fs::read_symlink("/proc/self/exe", problem);
    return problem ? fs::path("/usr/share/belay") : self.parent_path().parent_path() / "share" / "belay";
}

checks::library installed_checks() {
    return {hook_folders("checks"), geteuid()};
}

checks::library installed_collectors() {
    return {hook_folders("evidence"), geteuid()};
}

checks::library installed_hooks(const std::string& event) {
    return {hook_folders("hooks.d/" + event), geteuid(), core::place::host};
}

recipe::book installed_recipes() {
    return {hook_folders("recipes"), geteuid()};
}

core::expected<std::string> incus_program() {
    std::istringstream path(variable("PATH").value_or("/usr/local/bin:/usr/bin:/bin"));
    for (std::string folder; std::getline(path, folder, ':');) {
        const auto program = fs::path(folder.empty() ? "." : folder) / "incus";
        std::error_code ignored;
        if (fs::is_regular_file(program, ignored) && access(program.c_str(), X_OK) == 0) {
            return program.string();
        }
    }
    return core::failure(
        core::reason::no_daemon,
        "the program incus is not in PATH, and the commands that belay prints for you need it: install "
        "it (package incus-client, or incus)");
}

// The file is written by the incus program, always with the same block style: two levels of keys below `remotes:`.
std::optional<std::string> project_in_config(const std::string& yaml) {
    std::istringstream lines(yaml);
    bool in_remotes = false;
    bool in_local = false;
    std::size_t remote_indent = 0;
    for (std::string line; std::getline(lines, line);) {
        const auto indent = indent_of(line);
        if (indent == std::string::npos) {
            continue;
        }
        if (indent == 0) {
            in_remotes = line == "remotes:";
            in_local = false;
            remote_indent = 0;
            continue;
        }
        if (in_remotes && (remote_indent == 0 || indent <= remote_indent)) {
            remote_indent = indent;
            in_local = line.substr(indent) == "local:";
            continue;
        }
        const std::string key = "project: ";
        if (in_local && line.compare(indent, key.size(), key) == 0) {
            auto name = line.substr(indent + key.size());
            if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front()) {
                name = name.substr(1, name.size() - 2);
            }
            return name;
        }
    }
    return std::nullopt;
}

core::expected<std::string> project_name(const std::optional<std::string>& option) {
    std::string name = "default";
    if (option) {
        name = *option;
    } else if (const auto project = variable("INCUS_PROJECT")) {
        name = *project;
    } else {
        auto folder = variable("INCUS_CONF") ? std::optional<fs::path>(*variable("INCUS_CONF")) : std::nullopt;
        if (!folder && home_config()) {
            folder = *home_config() / "incus";
        }
        if (folder) {
            name = project_in_config(checks::read_text(*folder / "config.yml").value_or("")).value_or(name);
        }
    }
    BELAY_TRY_VOID(core::check_project_name(name));
    return name;
}

} // namespace belay::cli
