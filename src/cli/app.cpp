// SPDX-License-Identifier: Apache-2.0
#include "cli/app.hpp"

#include "cli/commands.hpp"
#include "cli/surroundings.hpp"
#include "core/text.hpp"
#include "journal/store.hpp"
#include "report/stream.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace belay::cli {

namespace {

int call(const run_options& o) {
    return run_command(o);
}

int call(const check_command_options& o) {
    return check_command(o);
}

int call(const history_options& o) {
    return history_command(o);
}

int call(const show_options& o) {
    return show_command(o);
}

int call(const confirm_options& o) {
    return confirm_command(o);
}

int call(const rollback_options& o) {
    return rollback_command(o);
}

int call(const recover_options& o) {
    return recover_command(o);
}

int call(const prune_options& o) {
    return prune_command(o);
}

int call(const checks_options& o) {
    return checks_command(o);
}

int call(const recipes_options& o) {
    return recipes_command(o);
}

int call(const doctor_options& o) {
    return doctor_command(o);
}

void write_out(int fd, std::string_view text) {
    report::stream out(fd, report::pipe_patience);
    out.write(text);
    out.finish();
}

/// What belay opens itself must not be taken for standard input, output or error, where it was started without them.
/// False when nothing can be opened.
bool open_standard_descriptors() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        if (::fcntl(fd, F_GETFD) == -1 && ::open("/dev/null", O_RDWR) != fd) { // the lowest one that is free
            return false;
        }
    }
    return true;
}

} // namespace

int complain(const core::error& problem) {
    print_error(fmt::format("belay: {}\n", core::printable(core::describe(problem))));
    return problem.code == core::reason::usage ? core::usage_exit_code : core::exit_code(core::outcome::refused);
}

void print(std::string_view text) {
    write_out(STDOUT_FILENO, text);
}

void print_error(std::string_view text) {
    write_out(STDERR_FILENO, text);
}

core::expected<std::filesystem::path> state_directory_of(const common_options& options) {
    return journal::state_directory(
        options.state_dir.value_or(""), [](const char* name) { return std::getenv(name); }, geteuid());
}

int run(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    if (!open_standard_descriptors()) {
        return core::exit_code(core::outcome::refused); // and there is nobody to be told why
    }
    auto parsed = parse_arguments({argv + 1, argv + argc});
    if (const auto* early = std::get_if<finished_early>(&parsed)) {
        print(early->out);
        print_error(early->err);
        return early->exit_code;
    }
    return std::visit([](const auto& options) { return call(options); }, std::get<request>(parsed));
}

} // namespace belay::cli
