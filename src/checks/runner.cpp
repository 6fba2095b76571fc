// SPDX-License-Identifier: Apache-2.0
#include "checks/runner.hpp"

#include "checks/interpreter.hpp"
#include "checks/library.hpp"
#include "checks/output.hpp"
#include "core/durations.hpp"
#include "core/text.hpp"
#include "ports/threads.hpp"
#include "process/child.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>
#include <utility>

namespace belay::checks {

namespace {

/// What one check may print: beyond that it is not read as findings any more, and ended.
constexpr std::size_t output_cap = 1U << 20U;

/// One argument of a program is limited to 128 KiB by Linux (MAX_ARG_STRLEN in binfmts.h).
constexpr std::size_t longest_script = 120'000;

constexpr core::milliseconds sweep_limit{10'000};

/// How often a check is run again because Incus lost its output.
constexpr int output_attempts = 5;

/// Ends what a check left behind when it was cut short: killing the client of `incus exec` ends its direct child only.
constexpr std::string_view sweep_script = R"sh(
for environ in /proc/[0-9]*/environ; do
    pid=${environ%/environ} pid=${pid#/proc/}
    [ "$pid" != "$$" ] && grep -q "$1" "$environ" && kill -9 "$pid"
done 2>/dev/null
:
)sh";

/// Whether a shell text has this word anywhere, also in a comment: enough to be careful.
bool has_word(std::string_view text, std::string_view word) {
    const auto is_name = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
        const auto end = at + word.size();
        if ((at == 0 || !is_name(text[at - 1])) && (end == text.size() || !is_name(text[end]))) {
            return true;
        }
    }
    return false;
}

/// Takes the mark off the output. False when it is missing.
bool take_end_mark(std::string& out) {
    const std::string line = std::string(end_mark) + "\n";
    if (!out.ends_with(line)) {
        return false;
    }
    out.resize(out.size() - line.size());
    return true;
}

/// Whether a run must be repeated, because what it printed did not arrive.
bool output_is_lost(const guest_script& script, const ports::guest_exit& end, std::string& out,
                    const std::string& err) {
    if (end.how != ports::ended::exited) {
        return false;
    }
    const bool marked = take_end_mark(out);
    constexpr int not_executable = 126; // and not found, and killed: nothing was there to print the mark
    return !marked && end.exit_code < not_executable && (script.marks_end || (out.empty() && err.empty()));
}

/// Gathers what a check prints, up to the cap; asks for its end when it prints more. Of others, from which nothing is
/// read, the end counts: they may go on, and their last bytes are kept.
class gathered {
public:
    gathered(printed& text, kind what, std::stop_source& enough) : text_(text), what_(what), enough_(enough) {}

    void operator()(core::output::stream from, std::string_view piece) {
        const std::scoped_lock guard(text_.mutex);
        auto& into = from == core::output::stream::out ? text_.out : text_.err;
        if (what_ != kind::check) {
            into += piece;
            into.erase(0, into.size() > 2 * output_cap ? into.size() - output_cap : 0);
            return;
        }
        into += piece.substr(0, output_cap - std::min(into.size(), output_cap));
        if (into.size() >= output_cap && !overflow_) {
            overflow_ = true;
            enough_.request_stop();
        }
    }

    bool overflow() const { return overflow_; }

private:
    printed& text_;
    kind what_;
    std::stop_source& enough_;
    bool overflow_{false};
};

} // namespace

std::vector<std::pair<std::string, std::string>> environment(const ports::hook_context& context,
                                                             const std::string& run_id) {
    return {{"BELAY_TXN", context.txn},
            {"BELAY_INSTANCE", context.instance},
            {"BELAY_PROJECT", context.project},
            {"BELAY_PHASE", context.phase},
            {"BELAY_ATTEMPT", std::to_string(context.attempt)},
            {"BELAY_SNAPSHOT", context.snapshot},
            {run_variable, run_id}};
}

void conclude(core::reading& reading, const core::check_spec& spec, const ports::guest_exit& end, std::string_view out,
              std::string_view err) {
    switch (end.how) {
    case ports::ended::timed_out:
        reading.summary = fmt::format("did not end within {}", core::format_duration(spec.timeout));
        return;
    case ports::ended::cancelled:
        reading.summary = "was cut short";
        return;
    case ports::ended::lost:
        reading.summary = core::printable("how it ended is not known: " + end.why);
        return;
    case ports::ended::exited:
        break;
    }
    reading.how = health_of(end.exit_code);
    read_output(out, err, reading);
    if (reading.summary.empty() && reading.how == core::health::fail) {
        reading.summary = fmt::format("exit status {}", end.exit_code);
    }
}

bool proves_running(const ports::guest_exit& end) {
    constexpr int not_executable = 126;
    return end.how == ports::ended::exited && end.exit_code < not_executable;
}

core::reading unread(const core::check_spec& spec) {
    return {spec.name, spec.where, spec.required, core::health::fail, {}, {}, {}, 0};
}

guest_script with_end_mark(const std::string& text) {
    if (has_word(text, "trap") || has_word(text, "exec")) {
        return {{text}, {}, false};
    }
    // The line break before the mark: the last line of a check need not have one. read_output passes over empty lines.
    return {{"trap 'echo; echo \"" + std::string(end_mark) + "\"' 0; " + text}, {}, true};
}

core::expected<guest_script> script_for_guest(const std::string& name, const std::string& text,
                                              const std::vector<std::string>& args) {
    if (text.find('\0') != std::string::npos) {
        return core::failure(core::reason::usage,
                             fmt::format("check {} is not a script: a program runs on the host only, describe it with "
                                         "where=host",
                                         name));
    }
    if (text.size() > longest_script) {
        return core::failure(core::reason::usage,
                             fmt::format("check {} is longer than {} bytes, too long to be sent into "
                                         "an instance",
                                         name, longest_script));
    }
    auto argv = interpreter_of(text);
    const auto program = program_of(argv);
    guest_script script;
    if (program == "sh") {
        script.argv = std::move(argv); // with its options, as in `#!/bin/sh -e`, or behind an `env`
        if (std::filesystem::path(script.argv.front()).filename() == "sh") {
            script.argv.front() = "sh";
        }
        auto marked = with_end_mark(text);
        script.argv.insert(script.argv.end(), {"-c", std::move(marked.argv.front()), name});
        script.marks_end = marked.marks_end;
    } else {
        static const std::vector<std::string> shells{"bash", "dash", "ash", "ksh", "mksh", "zsh"};
        const bool shell = std::ranges::find(shells, program) != shells.end();
        script.argv = std::move(argv);
        script.argv.emplace_back(shell ? "-s" : "-");
        if (shell) {
            script.argv.emplace_back("--");
        }
        script.input = text;
    }
    script.argv.insert(script.argv.end(), args.begin(), args.end());
    return script;
}

std::optional<batch_script> script_for_batch(const std::string& name, const std::string& text,
                                             const std::vector<std::string>& args) {
    const auto argv = interpreter_of(text);
    const bool sh = std::filesystem::path(argv.front()).filename() == "sh";
    if (!sh || text.find('\0') != std::string::npos || text.size() > longest_script || !says_together(text)) {
        return std::nullopt;
    }
    return batch_script{{argv.begin() + 1, argv.end()}, text, name, args};
}

core::expected<std::string> runner::text_of(const std::string& file) {
    const std::scoped_lock guard(mutex_);
    if (const auto known = texts_.find(file); known != texts_.end()) {
        return known->second;
    }
    auto text = read_text(file);
    if (!text) {
        return core::failure(core::reason::usage, fmt::format("check '{}' cannot be read", core::printable(file)));
    }
    return texts_.emplace(file, *std::move(text)).first->second;
}

core::expected<guest_script> runner::guest_form(const core::check_spec& spec) {
    if (!spec.file.empty()) {
        BELAY_TRY(const auto, text, text_of(spec.file));
        return script_for_guest(std::filesystem::path(spec.file).filename().string(), text, spec.args);
    }
    auto script = with_end_mark(spec.args.front());
    script.argv.insert(script.argv.begin(), {"sh", "-c"});
    return script;
}

core::expected<ports::guest_exit> runner::run_in_guest(const core::check_spec& spec,
                                                       const std::vector<std::pair<std::string, std::string>>& env,
                                                       const ports::output_sink& sink, std::stop_token stop,
                                                       printed& text, kind what) {
    BELAY_TRY(auto, script, guest_form(spec));
    ports::guest_command command;
    command.argv = script.argv;
    command.env = env;
    command.input = script.input;
    for (int attempt = 1;; ++attempt) {
        auto end = host_.exec(command, spec.timeout, sink, stop);
        if (end && end->how != ports::ended::exited && what != kind::collector) {
            sweep(env.back().second);
        }
        const std::scoped_lock guard(text.mutex);
        text.ran = text.ran || (end && proves_running(*end));
        if (!end || !output_is_lost(script, *end, text.out, text.err) || what == kind::hook) {
            return end;
        }
        if (attempt == output_attempts && !script.marks_end) {
            return end; // it may just have nothing to say
        }
        if (attempt == output_attempts) {
            return core::failure(core::reason::io_error, "its output was lost on the way out of the instance");
        }
        text.out.clear();
        text.err.clear();
    }
}

core::expected<ports::guest_exit> runner::run_on_host(const core::check_spec& spec,
                                                      const std::vector<std::pair<std::string, std::string>>& env,
                                                      const std::string& input, const ports::output_sink& sink,
                                                      std::stop_token stop) {
    process::command command{.argv = {spec.file}, .env = env, .input = input};
    command.argv.insert(command.argv.end(), spec.args.begin(), spec.args.end());
    BELAY_TRY(auto, end, process::run(command, spec.timeout, sink, stop));
    constexpr int signal_base = 128;
    switch (end.how) {
    case process::ended::exited:
        return ports::guest_exit{ports::ended::exited, end.code};
    case process::ended::signalled:
        return ports::guest_exit{ports::ended::exited, signal_base + end.code};
    case process::ended::timed_out:
        return ports::guest_exit{ports::ended::timed_out, 0};
    case process::ended::cancelled:
        return ports::guest_exit{ports::ended::cancelled, 0};
    }
    return ports::guest_exit{};
}

void runner::sweep(const std::string& run_id) {
    const ports::guest_command command{
        .argv = {"sh", "-c", std::string(sweep_script), "sweep", fmt::format("{}={}", run_variable, run_id)}};
    (void)host_.exec(command, sweep_limit, [](auto, auto) {}, {}); // nothing more can be done when this fails
}

/// One run of whatever it is. Error: it could not be started.
core::expected<core::reading> runner::attempt(const core::check_spec& spec, const ports::hook_context& context,
                                              const std::string& input, std::stop_token stop, printed& text,
                                              kind what) {
    auto reading = unread(spec);
    // Looked at each time: a recovery and an undo run what a journal names, long after it was chosen.
    if (auto trusted = spec.file.empty() ? core::expected<void>{} : check_trust(spec.file, ::geteuid()); !trusted) {
        reading.summary = core::describe(trusted.error());
        return reading;
    }
    std::stop_source enough; // stops when the caller does, or when the check prints too much
    const std::stop_callback forward(stop, [&] { enough.request_stop(); });
    gathered output(text, what, enough);
    const auto begin = std::chrono::steady_clock::now();
    const auto env = environment(context, new_run_id(context));
    const auto end = spec.where == core::place::host
                         ? run_on_host(spec, env, input, std::ref(output), enough.get_token())
                         : run_in_guest(spec, env, std::ref(output), enough.get_token(), text, what);
    reading.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!end) {
        return std::unexpected(end.error());
    }
    if (output.overflow()) {
        reading.summary = fmt::format("printed more than {} KiB and was ended", output_cap / 1024);
    } else {
        conclude(reading, spec, *end, text.out, text.err);
    }
    return reading;
}

/// The x keeps run 1 from matching run 10.
std::string runner::new_run_id(const ports::hook_context& context) {
    const std::scoped_lock guard(mutex_);
    return fmt::format("{}-{}x", context.txn, ++runs_);
}

core::reading runner::run_one(const core::check_spec& spec, const ports::hook_context& context, std::stop_token stop,
                              printed& text, kind what) {
    auto reading = attempt(spec, context, {}, stop, text, what);
    if (reading) {
        return *std::move(reading);
    }
    const auto why = core::printable(core::describe(reading.error()));
    return {spec.name, spec.where, spec.required, core::health::fail, why, {}, {}, 0};
}

core::expected<core::reading> runner::run_hook(const core::check_spec& hook, const ports::hook_context& context,
                                               const std::string& input, std::stop_token stop) {
    printed text;
    return attempt(hook, context, input, stop, text, kind::hook);
}

ports::round runner::run(const std::vector<core::check_spec>& specs, const std::optional<core::check_spec>& listing,
                         const ports::hook_context& context, std::stop_token stop) {
    auto all = specs;
    if (listing) {
        all.push_back(*listing);
    }
    std::vector<core::reading> readings(all.size());
    std::vector<printed> texts(all.size());
    {
        const auto together = what_goes_together(all, specs.size(), kind::check);
        std::vector<std::jthread> threads;
        std::vector<std::size_t> without_thread;
        const auto run_now = [&](std::size_t i) { readings[i] = run_one(all[i], context, stop, texts[i]); };
        const auto run_alone = [&](std::size_t i) {
            if (!ports::begin_thread(threads, [&, i] { run_now(i); })) {
                without_thread.push_back(i);
            }
        };
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (std::ranges::find(together.which, i) == together.which.end()) {
                run_alone(i);
            }
        }
        const auto run_if_unknown = [&](std::size_t i, std::optional<core::health> how) {
            if (!how) {
                run_alone(i);
            }
        };
        run_together(together, all, context, stop, readings, texts, kind::check, run_if_unknown);
        std::ranges::for_each(without_thread, run_now);
    }
    ports::round found;
    found.proved_running = std::ranges::any_of(texts, &printed::ran);
    if (listing && readings.back().how == core::health::pass) {
        found.listed = std::move(texts.back().out);
    }
    readings.resize(specs.size());
    if (saw_) {
        for (std::size_t i = 0; i < specs.size(); ++i) {
            saw_(specs[i], texts[i].out, texts[i].err);
        }
    }
    found.readings = std::move(readings);
    return found;
}

} // namespace belay::checks
