// SPDX-License-Identifier: Apache-2.0
// Programs in the instance, and the proof that one can be run. exec and prepare use none of the connections of the
// other requests, so that several threads can be there at once; the status beside the proof is read as any other
// request.
#include "core/durations.hpp"
#include "core/text.hpp"
#include "incus/client.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::incus {
namespace {

using core::milliseconds;
using core::reason;

/// Checks a folder with nothing but a shell. The status is one that no shell uses.
constexpr const char* folder_script = "[ -d \"$1\" ] || exit 121";
constexpr int no_such_folder = 121;

/// A program as a question: with the rights of the command that it is for, and nothing of its terminal or its input.
ports::guest_command question(const ports::guest_command& about, std::vector<std::string> argv) {
    ports::guest_command q{.argv = std::move(argv)};
    q.user = about.user;
    q.group = about.group;
    return q;
}

/// As much of a command as fits into a line.
std::string in_short(const std::vector<std::string>& argv) {
    constexpr std::size_t longest = 60;
    auto text = core::printable(fmt::format("{}", fmt::join(argv, " ")));
    return text.size() > longest ? text.substr(0, longest) + "…" : text;
}

ports::guest_command proof() {
    return {.argv = {"true"}};
}

std::string how_it_failed(const ports::guest_exit& end, milliseconds limit) {
    switch (end.how) {
    case ports::ended::exited:
        return fmt::format("exited with {}", end.exit_code);
    case ports::ended::timed_out:
        return fmt::format("did not end within {}", core::format_duration(limit));
    case ports::ended::cancelled:
    case ports::ended::lost:
        break;
    }
    return "ended, and nobody knows how";
}

} // namespace

void instance::prepare_proof() {
    prepare(proof(), ports::readiness::spare);
}

/// `true` and not only the status: after an upgrade that broke the C library the instance still is Running. The status
/// is read while it runs.
core::expected<void> instance::prove_running(milliseconds limit) {
    const deadline until(limit);
    const auto command = proof();
    const auto begin = std::chrono::steady_clock::now();
    auto program = standby_.take(program_for(command), limit, {});
    const auto begun = program.begin(std::max(until.left(), milliseconds{1}), {}); // 0: for ever
    const auto status = prove_status(until.left());
    const auto end = begun ? program.finish({}, {}) : std::unexpected(begun.error());
    note_run(command, begin);
    if (end && end->how == ports::ended::exited && end->exit_code == 0) {
        return status;
    }
    if (!end && end.error().code == reason::no_daemon) {
        return std::unexpected(end.error());
    }
    const auto how = end ? how_it_failed(*end, limit) : std::string("could not be started");
    return std::unexpected(
        in_words(end ? core::error{reason::io_error, {}} : end.error(), reason::not_running,
                 fmt::format("no program can be run in instance {0}: `incus exec {0} -- true` {1}", name_, how)));
}

guest_program instance::program_for(const ports::guest_command& command) const {
    return {daemon_.socket(), path("/exec"), command};
}

/// For the timings.
void instance::note_run(const ports::guest_command& command, std::chrono::steady_clock::time_point begin) const {
    if (observer_) {
        observer_({true, in_short(command.argv), begin, std::chrono::steady_clock::now()});
    }
}

void instance::prepare(const ports::guest_command& command, ports::readiness how_far) {
    if (!command.interactive) {
        standby_.prepare(program_for(command), how_far);
    }
}

/// The daemon ignores a folder that does not exist and runs the command in / instead: so it is asked first. Without a
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
    const bool limited = limit > milliseconds::zero();
    const auto left = [&] { return limited ? std::max(until.left(), milliseconds{1}) : limit; }; // 0: for ever
    const auto begin = std::chrono::steady_clock::now();
    const auto run = [&] {
        auto program = standby_.take(program_for(command), left(), stop);
        return program.run(left(), sink, stop);
    };
    auto end = command.interactive
                   ? exec_on_terminal({program_, daemon_.socket(), daemon_.project(), name_}, command, left(), stop)
                   : run();
    note_run(command, begin);
    if (!end) {
        return std::unexpected(in_words(std::move(end).error(), reason::io_error,
                                        fmt::format("no program can be run in instance {}", name_)));
    }
    return end;
}

} // namespace belay::incus
