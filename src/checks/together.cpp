// SPDX-License-Identifier: Apache-2.0
// The scripts of a round, or of a gathering, that go together, as one program in the instance.
#include "checks/library.hpp"
#include "checks/runner.hpp"
#include "core/text.hpp"
#include "ports/threads.hpp"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

namespace belay::checks {

namespace {

using clock = std::chrono::steady_clock;

/// Reads a batch while it runs, and ends it when all that has not ended is overdue: nobody waits for more than the
/// longest time of those that hang; where no thread is to be had, of all.
class observation {
public:
    observation(std::vector<core::milliseconds> limits, std::stop_source& enough)
        : limits_(std::move(limits)), ends_(limits_.size()), reader_(limits_.size()), enough_(enough),
          thread_(ports::begin_thread([this](const std::stop_token& over) { keep_time(over); })) {}

    void operator()(core::output::stream from, std::string_view piece) {
        if (from != core::output::stream::out) {
            return; // of the shell that runs them all
        }
        const std::scoped_lock guard(mutex_);
        reader_.read(piece);
        for (std::size_t i = 0; i < ends_.size(); ++i) {
            if (!ends_[i] && reader_.ended(i)) {
                ends_[i] = clock::now();
            }
        }
        changed_.notify_all();
    }

    bool ended(std::size_t k) {
        const std::scoped_lock guard(mutex_);
        return ends_[k].has_value();
    }

    /// What script k has printed so far.
    void copy(std::size_t k, printed& text) {
        const std::scoped_lock guard(mutex_, text.mutex);
        text.out.append(reader_.out(k), text.out.size());
    }

    /// No more is to come. What follows is to be asked after that.
    void finish() { thread_ = {}; }

    const batch_reader& read() const { return reader_; }

    /// Whether script i had not ended in its time.
    bool overdue(std::size_t i) const { return ends_[i].value_or(clock::now()) >= begin_ + limits_[i]; }

    double seconds(std::size_t i) const {
        return std::chrono::duration<double>(ends_[i].value_or(clock::now()) - begin_).count();
    }

private:
    /// When the last of those that run is overdue; nothing when all have ended.
    std::optional<clock::time_point> last_deadline() const {
        std::optional<clock::time_point> last;
        for (std::size_t i = 0; i < ends_.size(); ++i) {
            if (!ends_[i]) {
                last = std::max(last.value_or(begin_), begin_ + limits_[i]);
            }
        }
        return last;
    }

    void keep_time(const std::stop_token& over) {
        std::unique_lock lock(mutex_);
        for (auto until = last_deadline(); until && !over.stop_requested(); until = last_deadline()) {
            if (clock::now() >= *until) {
                enough_.request_stop();
                return;
            }
            changed_.wait_until(lock, over, *until, [&] { return last_deadline() != until; });
        }
    }

    clock::time_point begin_{clock::now()};
    std::vector<core::milliseconds> limits_;
    std::vector<std::optional<clock::time_point>> ends_;
    batch_reader reader_;
    std::stop_source& enough_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::jthread thread_; ///< the last member: it uses the others
};

/// What became of script k of a batch that has ended so, into its reading. False when it is to be run alone.
bool take_part(core::reading& reading, printed& text, const core::check_spec& spec, const observation& seen,
               std::size_t k, const core::expected<ports::guest_exit>& end, bool stopped) {
    reading = unread(spec);
    reading.seconds = seen.seconds(k);
    const std::scoped_lock guard(text.mutex);
    text.out = seen.read().out(k);
    text.err = seen.read().err(k);
    if (!end) {
        reading.summary = core::printable(core::describe(end.error()));
    } else if (seen.overdue(k)) {
        conclude(reading, spec, {ports::ended::timed_out, 0}, {}, {});
    } else if (seen.read().whole(k)) {
        text.ran = proves_running(*end);
        conclude(reading, spec, {ports::ended::exited, seen.read().status(k)}, text.out, text.err);
    } else if (stopped) {
        conclude(reading, spec, {ports::ended::cancelled, 0}, {}, {});
    } else {
        text.out.clear();
        text.err.clear();
        return false;
    }
    return true;
}

} // namespace

/// Nothing when it has to be run alone, also because something is wrong with it, which that will tell.
std::optional<batch_script> runner::batch_form(const core::check_spec& spec) {
    if (spec.where != core::place::guest || spec.file.empty() || !check_trust(spec.file, ::geteuid())) {
        return std::nullopt;
    }
    const auto text = text_of(spec.file);
    return text ? script_for_batch(std::filesystem::path(spec.file).filename().string(), *text, spec.args)
                : std::nullopt;
}

/// From `own_from` on they are belay's own commands.
runner::batch runner::what_goes_together(const std::vector<core::check_spec>& all, std::size_t own_from, kind what) {
    batch these;
    std::vector<batch_script> scripts;
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto script =
            i < own_from ? batch_form(all[i]) : std::optional(batch_script{{}, all[i].args.front(), all[i].name, {}});
        if (script) {
            script->is_heard = is_heard(all[i], what);
            scripts.push_back(*std::move(script));
            these.which.push_back(i);
        }
    }
    these.program = batch_program(scripts);
    return these;
}

/// Their environment is in the text: the shell may have been there before the run.
ports::guest_command runner::together_command(const batch& these, const ports::hook_context& context,
                                              const std::string& run_id) {
    std::string text;
    for (const auto& [name, value] : environment(context, run_id)) {
        text += fmt::format("export {}={}\n", name, core::shell_quote(value));
    }
    return ports::waiting_shell(core::script_for_shell(text + these.program));
}

/// What a script has printed is in its text as it comes, and its end is told when it is there: collectors are not
/// waited for when their time is up.
void runner::run_together(const batch& these, const std::vector<core::check_spec>& all,
                          const ports::hook_context& context, std::stop_token stop,
                          std::vector<core::reading>& readings, std::vector<printed>& texts, kind what,
                          const part_ended& tell) {
    if (these.which.empty()) {
        return;
    }
    std::vector<core::milliseconds> limits;
    for (const auto i : these.which) {
        limits.push_back(all[i].timeout);
    }
    const auto run_id = new_run_id(context);
    const auto command = together_command(these, context, run_id);
    std::stop_source enough;
    const std::stop_callback forward(stop, [&] { enough.request_stop(); });
    observation seen(limits, enough);
    std::vector<char> told(these.which.size(), 0);
    const auto end_of = [&](std::size_t k, const core::expected<ports::guest_exit>& end, bool stopped) {
        told[k] = 1;
        const auto i = these.which[k];
        const bool known = take_part(readings[i], texts[i], all[i], seen, k, end, stopped);
        tell(i, known ? std::optional(readings[i].how) : std::nullopt);
    };
    const auto sink = [&](core::output::stream from, std::string_view piece) {
        seen(from, piece);
        for (std::size_t k = 0; k < told.size(); ++k) {
            if (told[k] == 0 && seen.ended(k)) {
                end_of(k, ports::guest_exit{}, false);
            } else if (told[k] == 0) {
                seen.copy(k, texts[these.which[k]]);
            }
        }
    };
    const auto end = host_.exec(command, std::ranges::max(limits), sink, enough.get_token());
    seen.finish();
    if (what == kind::check && end && end->how != ports::ended::exited) {
        sweep(run_id);
    }
    for (std::size_t k = 0; k < told.size(); ++k) {
        if (told[k] == 0) {
            end_of(k, end, stop.stop_requested());
        }
    }
}

} // namespace belay::checks
