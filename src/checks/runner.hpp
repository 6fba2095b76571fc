// SPDX-License-Identifier: Apache-2.0
// Port checks: runs checks in the instance and on the host, side by side.
#pragma once
#include "checks/batch.hpp"
#include "ports/checks.hpp"
#include "ports/host.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace belay::checks {

/// How a script is run in the instance, where its file does not exist: the text goes along.
struct guest_script {
    std::vector<std::string> argv;
    std::string input;     ///< the text, for interpreters that read it from standard input
    bool marks_end{false}; ///< the last line on standard output is end_mark, however the script ends
};

/// Printed at the end of a guest check in sh. Incus (seen with 6.0.4) now and then loses the whole output of a program
/// that ends within milliseconds, and reports success: without the mark that would read as "nothing is there any more".
inline constexpr std::string_view end_mark = "belay: end of check";

/// Whether a script may go together with others, and how: it says so itself, and its interpreter is sh.
std::optional<batch_script> script_for_batch(const std::string& name, const std::string& text,
                                             const std::vector<std::string>& args);

/// A text for `sh -c` that prints end_mark on its exit, as long as it neither sets a trap of its own nor replaces
/// itself
/// (`marks_end` says which).
guest_script with_end_mark(const std::string& text);

/// `sh -c TEXT NAME ARG…` for sh scripts; for others their interpreter with the text on its standard input.
/// Error: usage, for a file that is no script or too long to be sent.
core::expected<guest_script> script_for_guest(const std::string& name, const std::string& text,
                                              const std::vector<std::string>& args);

/// What is in the environment of every hook.
std::vector<std::pair<std::string, std::string>> environment(const ports::hook_context& context,
                                                             const std::string& run_id);

/// Takes the end of a check, and what it printed, into its reading.
void conclude(core::reading& reading, const core::check_spec& spec, const ports::guest_exit& end, std::string_view out,
              std::string_view err);

/// Whether that end shows that programs can be run in the instance: not of one that was not found, or killed.
bool proves_running(const ports::guest_exit& end);

/// The reading of a check before it is run.
core::reading unread(const core::check_spec& spec);

/// Checks are read and judged, and what they leave behind when they are cut short is swept away. Hooks likewise, but
/// they change things and so run once, whatever became of their output, of which the end is kept. So is that of
/// collectors; what they leave behind stays, since the instance is about to be stopped.
enum class kind { check, hook, collector };

/// Whether what it prints on standard error is read. A collector that was installed says itself what it wants to be
/// read; anything else is noise, and often the same for all of them.
inline bool is_heard(const core::check_spec& spec, kind what) {
    return what != kind::collector || spec.file.empty();
}

/// What a program has printed so far. Another thread may look at it meanwhile.
struct printed {
    std::mutex mutex;
    std::string out;
    std::string err;
    bool ran{false}; ///< in the instance, and its exit status is known
};

class runner : public ports::checks {
public:
    /// `saw`, if given, gets what each check printed (for `belay check -v`), on the thread that calls run().
    using witness = std::function<void(const core::check_spec&, std::string_view out, std::string_view err)>;

    explicit runner(ports::host& host, witness saw = {}) : host_(host), saw_(std::move(saw)) {}

    /// The scripts that say so go together, with the listing, in one shell (together.cpp), the one that waits if host
    /// was asked to prepare it: the daemon starts a program of its own for each one in the instance, and that
    /// takes longer than most checks. Others have one for themselves, and so has what did not come whole out of the
    /// shell.
    ports::round run(const std::vector<core::check_spec>& specs, const std::optional<core::check_spec>& listing,
                     const ports::hook_context& context, std::stop_token stop) override;

    void sweep(const std::string& run_id) override;

    core::expected<core::reading> run_hook(const core::check_spec& hook, const ports::hook_context& context,
                                           const std::string& input, std::stop_token stop) override;

    /// In gather.cpp. Of a program that has said all only that is waited for, and of one that does not even end when it
    /// is killed nothing: each has a thread of its own, which the destructor joins.
    ports::gathering gather(const std::vector<core::check_spec>& collectors,
                            const std::optional<core::check_spec>& listing, const ports::hook_context& context,
                            core::milliseconds limit, const std::function<void()>& meanwhile) override;

private:
    /// What goes together: indices into all that a round runs, and the program that runs them.
    struct batch {
        std::vector<std::size_t> which;
        std::string program;
    };

    /// A script of a batch has ended so; or it must be run alone, since it printed too much for this way or something
    /// was lost on it.
    using part_ended = std::function<void(std::size_t i, std::optional<core::health> how)>;

    std::string new_run_id(const ports::hook_context& context);
    std::optional<batch_script> batch_form(const core::check_spec& spec);
    batch what_goes_together(const std::vector<core::check_spec>& all, std::size_t own_from, kind what);
    static ports::guest_command together_command(const batch& these, const ports::hook_context& context,
                                                 const std::string& run_id);
    void run_together(const batch& these, const std::vector<core::check_spec>& all, const ports::hook_context& context,
                      std::stop_token stop, std::vector<core::reading>& readings, std::vector<printed>& texts,
                      kind what, const part_ended& tell);
    core::reading run_one(const core::check_spec& spec, const ports::hook_context& context, std::stop_token stop,
                          printed& text, kind what = kind::check);
    core::expected<core::reading> attempt(const core::check_spec& spec, const ports::hook_context& context,
                                          const std::string& input, std::stop_token stop, printed& text, kind what);
    core::expected<guest_script> guest_form(const core::check_spec& spec);
    core::expected<ports::guest_exit> run_in_guest(const core::check_spec& spec,
                                                   const std::vector<std::pair<std::string, std::string>>& env,
                                                   const ports::output_sink& sink, std::stop_token stop, printed& text,
                                                   kind what);
    core::expected<ports::guest_exit> run_on_host(const core::check_spec& spec,
                                                  const std::vector<std::pair<std::string, std::string>>& env,
                                                  const std::string& input, const ports::output_sink& sink,
                                                  std::stop_token stop);
    core::expected<std::string> text_of(const std::string& file);

    ports::host& host_;
    witness saw_;
    std::mutex mutex_;
    std::map<std::string, std::string> texts_; ///< read once: every round of a transaction runs the same text
    std::uint64_t runs_{0};
    std::vector<std::jthread> stragglers_; ///< the last member: they use the others
};

} // namespace belay::checks
