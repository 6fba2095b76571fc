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
#include <functional>
#include <utility>

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

/// As much of a command as fits into a line, and of each word only its beginning: one may be a whole script.
std::string in_short(std::vector<std::string> argv) {
    constexpr std::size_t longest = 60;
    constexpr std::size_t longest_word = 30;
    const auto cut = [](std::string text, std::size_t most) {
        return text.size() > most ? text.substr(0, most) + "…" : text;
    };
    for (auto& word : argv) {
        word = cut(std::move(word), longest_word);
    }
    return cut(core::printable(fmt::format("{}", fmt::join(argv, " "))), longest);
}

ports::guest_command proof() {
    return {.argv = {"true"}};
}

/// How long a shell that waits may take for that: then it is asked of the daemon all the same.
constexpr milliseconds shell_limit{2'000};

/// How long a bystander may wait for the end of a command: longer than that, and a shell of before the command could be
/// taken for something that must be restarted.
constexpr milliseconds longest_bystander{3'000};

ports::guest_command proof_in_shell() {
    return ports::waiting_shell(core::script_for_shell(core::proof_script));
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

/// What a shell that waits in the instance can prove; nothing when there is none, or it does not say so in time.
std::optional<core::expected<void>> instance::prove_in_shell(milliseconds limit) {
    const deadline until(limit);
    const auto command = proof_in_shell();
    said_all_.reset();
    const auto begin = std::chrono::steady_clock::now();
    auto program = standby_.take(program_for(command), limit, {});
    if (!program.is_prepared() || !program.begin_without_input(until.left(), {})) {
        return std::nullopt;
    }
    program.say(command.input);
    const auto status = prove_status(until.left());
    std::string said; // no more of it than need be, whatever the instance says
    const auto listen = [&](core::output::stream from, std::string_view piece) {
        if (from == core::output::stream::out) {
            said += piece.substr(0, core::proof_line.size() + 1 - said.size());
        }
    };
    program.read_on(until.left(), listen, [&] { return said.size() >= core::proof_line.size(); }, {});
    note_run(command, begin);
    said_all_.emplace(std::move(program));
    return said == core::proof_line ? std::optional(status) : std::nullopt;
}

/// `true` and not only the status: after an upgrade that broke the C library the instance still is Running. A shell
/// that waits in it begins one as the daemon does, from the files of now, but sooner. When that does not succeed, for
/// whatever reason, the daemon is asked. The status is read meanwhile.
core::expected<void> instance::prove_running(milliseconds limit) {
    const deadline until(limit);
    if (const auto proved = prove_in_shell(std::min(limit, shell_limit))) {
        return *proved;
    }
    const auto command = proof();
    const auto begin = std::chrono::steady_clock::now();
    auto program = program_for(command);
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

namespace {

/// What a program may print before it waits.
constexpr std::size_t most_before = 1U << 20U;

class program_before_its_input : public ports::begun_program {
public:
    using note = std::function<void(std::chrono::steady_clock::time_point begin)>;

    /// `ran` is told when it has ended, and since when it was waited for.
    program_before_its_input(guest_program program, const std::string& mark, note ran)
        : program_(std::move(program)), mark_(mark + "\n"), ran_(std::move(ran)) {}

    ~program_before_its_input() override {
        if (!waits_ && program_.is_running()) {
            program_.end_early();
        }
        if (!gone_on_) {
            ran_(begin_);
        }
    }

    program_before_its_input(const program_before_its_input&) = delete;
    program_before_its_input& operator=(const program_before_its_input&) = delete;

    progress await(milliseconds limit, std::stop_token stop) override {
        begin_ = std::chrono::steady_clock::now();
        const auto listen = [this](core::output::stream from, std::string_view piece) {
            if (from == core::output::stream::out) {
                printed_ += piece;
            }
        };
        if (!waits_) {
            program_.read_on(
                limit, listen, [this] { return is_said() || printed_.size() > most_before; }, stop);
            waits_ = is_said();
            printed_.resize(printed_.size() - (waits_ ? mark_.size() : 0));
        }
        if (!program_.is_running() || printed_.size() > most_before) {
            return progress::over;
        }
        return waits_ ? progress::waits : progress::runs;
    }

    const std::string& printed() const override { return printed_; }

    core::expected<ports::guest_exit> go_on(const ports::turn& input, milliseconds limit,
                                            const ports::output_sink& sink, std::stop_token stop) override {
        gone_on_ = true;
        auto end = input.dismissal.empty() ? program_.go_on(input.word, limit, sink, stop)
                                           : go_on_beside(input, limit, sink, stop);
        ran_(begin_);
        return end;
    }

private:
    core::expected<ports::guest_exit> go_on_beside(const ports::turn& input, milliseconds limit,
                                                   const ports::output_sink& sink, const std::stop_token& stop) {
        core::proof_filter proof;
        const auto pass_on = [&](core::output::stream from, std::string_view text) {
            if (sink && !text.empty()) {
                sink(from, text);
            }
        };
        const ports::output_sink filter = [&](core::output::stream from, std::string_view piece) {
            if (from == core::output::stream::err) {
                pass_on(from, proof.feed(piece));
            } else {
                pass_on(from, piece);
            }
        };
        auto end = program_.go_on(input.word, limit, filter, stop, input.dismissal, longest_bystander);
        if (end) {
            end->proved_running = proof.proves();
        }
        pass_on(core::output::stream::err, proof.finish());
        return end;
    }

    bool is_said() const {
        return printed_.ends_with(mark_) &&
               (printed_.size() == mark_.size() || printed_[printed_.size() - mark_.size() - 1] == '\n');
    }

    guest_program program_;
    std::string mark_; ///< with the end of its line
    note ran_;
    std::string printed_;
    bool waits_{false};
    bool gone_on_{false};
    std::chrono::steady_clock::time_point begin_{std::chrono::steady_clock::now()};
};

} // namespace

std::unique_ptr<ports::begun_program> instance::begin(const ports::guest_command& command, const std::string& mark,
                                                      milliseconds limit, std::stop_token stop) {
    const deadline until(limit);
    auto program = standby_.take(program_for(command), limit, stop);
    if (!program.begin_without_input(std::max(until.left(), milliseconds{1}), stop)) {
        return nullptr;
    }
    return std::make_unique<program_before_its_input>(std::move(program), mark,
                                                      [this, command](auto begin) { note_run(command, begin); });
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
