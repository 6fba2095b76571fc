// SPDX-License-Identifier: Apache-2.0
// belay recover: ends every interrupted transaction of this host.
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/past.hpp"
#include "cli/resuming.hpp"
#include "cli/signals.hpp"
#include "cli/spectators.hpp"
#include "core/durations.hpp"
#include "core/text.hpp"
#include "core/time_text.hpp"
#include "report/jsonl.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace belay::cli {

namespace {

constexpr int unknown_state = core::exit_code(core::outcome::stuck);

/// What an outcome of a transaction means for the exit code of a recovery: an end in a known, healthy state is what was
/// asked for, whichever state it is.
int code_of(core::outcome how) {
    const bool well = how != core::outcome::rolled_back_unhealthy && how != core::outcome::stuck;
    return well ? 0 : core::exit_code(how);
}

class recovery {
public:
    recovery(const recover_options& options, std::filesystem::path state)
        : options_(options), state_(std::move(state)), watching_(options.common, clock_) {}

    int run(const std::vector<std::string>& transactions) {
        for (const auto& txn : transactions) {
            if (const auto why = inbox_.interruption()) {
                fail({why->code, why->message + ": what is left is for the next recovery", "", false});
                break;
            }
            look_at(txn);
        }
        return code_;
    }

    const std::vector<core::report>& reports() const { return reports_; }

    /// Whether there was anything to tell.
    bool silent() const { return reports_.empty() && !told_; }

    const report::style& look() const { return watching_.look(); }

private:
    /// Something about a transaction that is no failure.
    void tell(const std::string& line) {
        told_ = true;
        if (!options_.common.quiet) {
            print_error(fmt::format("belay: {}\n", core::printable(line)));
        }
    }

    void fail(const core::error& why) {
        told_ = true;
        complain(why);
        code_ = std::max(code_, unknown_state);
    }

    /// Whether a transaction has nothing left to be done, from the last line of its journal.
    bool has_ended(const std::string& txn) const {
        const auto file = journal::journal_of(state_, txn);
        const auto end = journal::read_report(file, codec::detail::brief).value_or(std::nullopt);
        return end && end->how != core::outcome::stuck;
    }

    void look_at(const std::string& txn) {
        if (has_ended(txn)) {
            return;
        }
        const auto known = load_known(state_, txn);
        if (!known) {
            return fail(known.error());
        }
        if (known->state.end && known->state.end != core::outcome::stuck) {
            return;
        }
        if (!known->begun) {
            return tell_of_empty(*known);
        }
        if (known->owned) {
            return tell(fmt::format("transaction {} of instance {} is worked on by another belay (pid {}): left alone",
                                    txn, known->so_far.instance, known->pid));
        }
        if (is_waiting(*known)) {
            return tell(fmt::format("transaction {} of instance {} waits for a confirmation until {} (time of day): "
                                    "`belay confirm {}` keeps its upgrade, `belay rollback {}` undoes it",
                                    txn, known->so_far.instance, core::to_rfc3339(*known->state.until), txn, txn));
        }
        if (!find_daemon(*known) || was_ended_by_hand(*known)) {
            return;
        }
        end(*known);
    }

    /// A crash before the first line, or in it: nothing was done then. Not damage, but no journal either.
    void tell_of_empty(const known_transaction& known) {
        if (known.owned) {
            return; // it begins just now
        }
        const auto directory = journal::files_of(state_, known.txn).directory.string();
        tell(fmt::format("the journal of transaction {} is empty{}: belay ended before it did anything, and there is "
                         "nothing to recover; `rm -r {}` forgets it",
                         known.txn, known.torn ? " (its first line is torn)" : "", core::shell_quote(directory)));
    }

    /// Whether it is left alone until its deadline. Once somebody has decided, it goes on at once.
    bool is_waiting(const known_transaction& known) {
        if (!known.state.waits_for_confirmation() || !known.state.until || clock_.wall() >= *known.state.until) {
            return false;
        }
        const auto decided = journal::decision_file(journal::files_of(state_, known.txn).decision).read();
        return decided && !*decided;
    }

    /// Looks for the daemon, once: nothing is begun without it. False, after complaining, when there is none.
    bool find_daemon(const known_transaction& known) {
        if (!known.state.tried(core::act::lock)) {
            return true; // nothing was done on the host
        }
        if (!looked_) {
            looked_ = true;
            auto found = find_incus();
            if (!found) {
                fail(found.error());
                return false;
            }
            incus_ = *std::move(found);
            incus_.observer = watching_.observer();
            const auto why = await_daemon(known);
            if (why) {
                fail(*why);
            }
            reachable_ = !why;
        }
        return reachable_;
    }

    std::optional<core::error> await_daemon(const known_transaction& known) {
        workplace place(incus_, state_, known.state.how.project, known.state.how.instance);
        const auto give_up = clock_.monotonic() + options_.daemon_wait;
        constexpr core::milliseconds pause{500};
        for (bool told = false;; told = true) {
            const auto up = place.host.daemon(request_limit);
            if (up || up.error().code != core::reason::no_daemon) {
                return up ? std::nullopt : std::optional(up.error());
            }
            if (clock_.monotonic() >= give_up || inbox_.interruption()) {
                return core::error{core::reason::no_daemon,
                                   fmt::format("{}: transaction {} of instance {} and all others wait for it",
                                               up.error().message, known.txn, known.state.how.instance),
                                   up.error().cause, false};
            }
            if (!told && options_.daemon_wait > core::milliseconds{0}) {
                tell(fmt::format("the Incus daemon does not answer: waiting for it, at most {}",
                                 core::format_duration(options_.daemon_wait)));
            }
            inbox_.wait(pause, inbox_.interrupts());
        }
    }

    /// A stuck transaction is over when its instance is gone, or when somebody took its lock off without the restore
    /// that its commands begin with: whoever did that has the instance now. Unless it had begun to take it off itself.
    bool was_ended_by_hand(const known_transaction& known) {
        if (known.state.end != core::outcome::stuck || !known.state.ok(core::act::lock) ||
            known.state.tried(core::act::unlock)) {
            return false;
        }
        workplace place(incus_, state_, known.state.how.project, known.state.how.instance);
        const auto now = place.host.examine(request_limit);
        if (!now && now.error().code == core::reason::not_found) {
            return true; // the instance is gone
        }
        if (!now || now->lock.starts_with(known.txn + " ") || now->restored == known.txn) {
            return false;
        }
        const auto& facts = known.state.facts;
        return !facts || facts->uuid != now->facts.uuid || place.locks().locked_since(known.txn, facts->uuid) ||
               (facts->generation == now->facts.generation && !known.state.restored());
    }

    void end(const known_transaction& known) {
        if (known.torn) {
            tell(
                fmt::format("the last line of the journal of transaction {} is torn, as a crash leaves it: it does not "
                            "count",
                            known.txn));
        }
        auto ended =
            resume_transaction(incus_, state_, known.txn, watching_.listener(), inbox_, clock_, watching_.files());
        if (!ended) {
            return ended.error().code == core::reason::locked ? tell(core::describe(ended.error()) + ": left alone")
                                                              : fail(ended.error());
        }
        if (options_.common.format == output_format::text && options_.common.quiet) {
            print(report::closing_sentence(*ended, watching_.look()));
        }
        code_ = std::max(code_, code_of(ended->how));
        reports_.push_back(*std::move(ended));
    }

    const recover_options& options_;
    std::filesystem::path state_;
    system_clock clock_;
    signal_inbox inbox_;
    spectators watching_;
    incus_site incus_;
    bool looked_{false};
    bool reachable_{false};
    bool told_{false};
    int code_{0};
    std::vector<core::report> reports_;
};

} // namespace

int recover_command(const recover_options& options) {
    prepare_signals();
    const auto state = state_directory_of(options.common);
    if (!state) {
        return complain(state.error());
    }
    const auto all = journal::list_transactions(*state);
    if (!all) {
        complain(all.error());
        return unknown_state;
    }
    int code = 0;
    bool silent = false;
    std::vector<core::report> reports;
    {
        recovery work(options, *state);
        code = work.run(*all);
        silent = work.silent();
        reports = work.reports();
    }
    if (options.common.format == output_format::json) {
        print(report::report_document(reports, true));
    } else if (silent && options.common.format == output_format::text && !options.common.quiet) {
        print(fmt::format("Nothing to recover: no transaction in {} was interrupted.\n", state->string()));
    }
    return code;
}

} // namespace belay::cli
