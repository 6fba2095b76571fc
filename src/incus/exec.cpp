// SPDX-License-Identifier: Apache-2.0
// Programs in the instance, run by the incus client as a child process. Uses no part of the REST side, so that several
// threads can be here at once.
#include "core/text.hpp"
#include "incus/instance.hpp"
#include "process/child.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::incus {
namespace {

using core::milliseconds;
using core::reason;

/// Checks a folder with nothing but a shell. The status is one that neither a shell nor the client uses.
constexpr const char* folder_script = "[ -d \"$1\" ] || exit 121";
constexpr int no_such_folder = 121;

/// The client with everything that decides where it goes taken from belay, and nothing from the user's configuration
/// (default remote and project, aliases, a first-time greeting on stderr): a folder that does not exist holds no
/// configuration. GOGC: a client that has just started collects garbage several times before its first request, which
/// costs a tenth of a short command; it needs no more memory for that, also not for much output.
process::command client(const std::string& program, const std::string& socket) {
    return {.argv = {program, "--force-local", "exec"},
            .env = {{"INCUS_SOCKET", socket},
                    {"INCUS_CONF", "/nonexistent/incus"},
                    {"INCUS_REMOTE", ""},
                    {"INCUS_PROJECT", ""},
                    {"GOGC", "400"}}};
}

void add_options(std::vector<std::string>& argv, const ports::guest_command& command) {
    if (command.interactive) {
        argv.emplace_back("-t");
    } else {
        argv.emplace_back("-T");
        if (command.input.empty()) {
            argv.emplace_back("-n");
        }
    }
    for (const auto& [name, value] : command.env) {
        argv.insert(argv.end(), {"--env", name + "=" + value});
    }
    if (command.user) {
        argv.insert(argv.end(), {"--user", std::to_string(*command.user)});
    }
    if (command.group) {
        argv.insert(argv.end(), {"--group", std::to_string(*command.group)});
    }
    if (!command.cwd.empty()) {
        argv.insert(argv.end(), {"--cwd", command.cwd});
    }
}

ports::guest_exit meaning_of(const process::status& status) {
    constexpr int signal_base = 128;
    switch (status.how) {
    case process::ended::exited:
        return {ports::ended::exited, status.code};
    case process::ended::signalled:
        return {ports::ended::exited, signal_base + status.code};
    case process::ended::timed_out:
        return {ports::ended::timed_out, 0};
    case process::ended::cancelled:
        return {ports::ended::cancelled, 0};
    }
    return {ports::ended::exited, signal_base};
}

/// A program as a question: its environment, and nothing of the terminal or the input of the command that it is for.
ports::guest_command question(const ports::guest_command& about, std::vector<std::string> argv) {
    ports::guest_command q{.argv = std::move(argv)};
    q.user = about.user;
    q.group = about.group;
    return q;
}

} // namespace

/// The daemon ignores a --cwd that does not exist and runs the command in / instead: so it is asked first. Without a
/// shell in the instance nothing can be said, and the command is run.
core::expected<ports::guest_exit> instance::exec(const ports::guest_command& command, milliseconds limit,
                                                 const ports::output_sink& sink, std::stop_token stop) {
    const deadline until(limit);
    if (!command.cwd.empty()) {
        const auto asked = question(command, {"/bin/sh", "-c", folder_script, "sh", command.cwd});
        BELAY_TRY(const ports::guest_exit, answer, exec(asked, limit, {}, stop));
        if (answer.how != ports::ended::exited) {
            return answer;
        }
        if (answer.exit_code == no_such_folder) {
            return core::failure(reason::command_failed,
                                 fmt::format("directory {} does not exist in instance {}", command.cwd, name_));
        }
    }
    auto what = client(program_, daemon_.socket());
    what.argv.insert(what.argv.end(), {"--project", daemon_.project(), "local:" + name_});
    add_options(what.argv, command);
    what.argv.emplace_back("--");
    what.argv.insert(what.argv.end(), command.argv.begin(), command.argv.end());
    what.input = command.input;
    what.interactive = command.interactive;
    const bool limited = limit > milliseconds::zero();
    const auto left = std::max(until.left(), milliseconds{1}); // 0 would mean: for ever
    BELAY_TRY(const process::status, status, process::run(what, limited ? left : limit, sink, stop));
    return meaning_of(status);
}

} // namespace belay::incus
