// SPDX-License-Identifier: Apache-2.0
#include "checks/interpreter.hpp"

#include "core/text.hpp"
#include "process/program.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <unistd.h>

namespace belay::checks {

namespace {

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    while (!line.empty()) {
        const auto start = line.find_first_not_of(" \t\r");
        if (start == std::string_view::npos) {
            break;
        }
        line.remove_prefix(start);
        const auto end = line.find_first_of(" \t\r");
        words.emplace_back(line.substr(0, end));
        line.remove_prefix(end == std::string_view::npos ? line.size() : end);
    }
    return words;
}

std::string base_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

/// The program that `env` runs: what comes behind its options and variables.
std::optional<std::string> behind_env(const std::vector<std::string>& interpreter) {
    const auto program = std::ranges::find_if(interpreter.begin() + 1, interpreter.end(), [](const auto& word) {
        return !word.starts_with('-') && word.find('=') == std::string::npos;
    });
    return program == interpreter.end() ? std::nullopt : std::optional(*program);
}

} // namespace

std::vector<std::string> interpreter_of(std::string_view text) {
    if (!text.starts_with("#!")) {
        return {"sh"};
    }
    auto words = words_of(text.substr(2, text.find('\n') - 2));
    return words.empty() ? std::vector<std::string>{"sh"} : words;
}

std::string program_of(const std::vector<std::string>& interpreter) {
    const auto name = base_name(interpreter.front());
    return name == "env" ? base_name(behind_env(interpreter).value_or(name)) : name;
}

core::expected<void> check_interpreter(const check_file& check) {
    std::ifstream in(check.file, std::ios::binary);
    std::string line;
    if (check.where != core::place::host || !std::getline(in, line) || !line.starts_with("#!")) {
        return {};
    }
    const auto interpreter = interpreter_of(line);
    const auto& file = interpreter.front();
    const auto missing = [&](const std::string& program) {
        return core::failure(core::reason::usage,
                             fmt::format("check '{}' cannot run on this host: its interpreter {} is not here",
                                         core::printable(check.file.string()), core::printable(program)));
    };
    if (access(file.c_str(), X_OK) != 0) {
        return missing(file);
    }
    const auto program = base_name(file) == "env" ? behind_env(interpreter) : std::nullopt;
    return program && !process::find_program(*program, process::environment_of({})) ? missing(*program)
                                                                                    : core::expected<void>{};
}

} // namespace belay::checks
