// SPDX-License-Identifier: Apache-2.0
#include "incus/client.hpp"

#include "process/child.hpp"

namespace belay::incus {
namespace {

/// The client with everything that decides where it goes taken from belay, and nothing from the user's configuration
/// (default remote and project, aliases, a first-time greeting on stderr): a folder that does not exist holds no
/// configuration.
process::command client(const client_site& where) {
    return {
        .argv = {where.program, "--force-local", "exec", "--project", where.project, "local:" + where.instance, "-t"},
        .env = {{"INCUS_SOCKET", where.socket},
                {"INCUS_CONF", "/nonexistent/incus"},
                {"INCUS_REMOTE", ""},
                {"INCUS_PROJECT", ""}},
        .interactive = true};
}

void add_options(std::vector<std::string>& argv, const ports::guest_command& command) {
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
    argv.emplace_back("--");
    argv.insert(argv.end(), command.argv.begin(), command.argv.end());
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

} // namespace

core::expected<ports::guest_exit> exec_on_terminal(const client_site& where, const ports::guest_command& command,
                                                   core::milliseconds limit, const std::stop_token& stop) {
    auto what = client(where);
    add_options(what.argv, command);
    BELAY_TRY(const process::status, status, process::run(what, limit, {}, stop));
    return meaning_of(status);
}

} // namespace belay::incus
