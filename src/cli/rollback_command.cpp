// SPDX-License-Identifier: Apache-2.0
// belay rollback: undoes what waits for a confirmation, or an upgrade that was kept.
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/notify.hpp"
#include "cli/past.hpp"
#include "cli/resuming.hpp"
#include "cli/signals.hpp"
#include "cli/spectators.hpp"
#include "cli/surroundings.hpp"
#include "cli/undo.hpp"
#include "report/jsonl.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

namespace belay::cli {

namespace {

core::error busy(const known_transaction& known) {
    if (!known.owned) {
        return {core::reason::interrupted,
                fmt::format("transaction {} was interrupted: `belay recover` ends it", known.txn), "", false};
    }
    return {core::reason::locked,
            fmt::format("transaction {} runs now and does not wait for a confirmation: to undo it, interrupt the belay "
                        "that runs it (`kill {}`)",
                        known.txn, known.pid),
            "", false};
}

/// The newest upgrade of an instance that was kept and not taken back; else the newest transaction of all.
core::expected<std::string> find_kept(const std::filesystem::path& state, const std::string& instance,
                                      const std::string& project, const std::string& newest) {
    std::vector<core::error> unreadable;
    BELAY_TRY(const auto, all, load_history(state, unreadable));
    auto found = newest;
    for (const auto& entry : all) {
        const auto& r = entry.summary;
        if (r.instance == instance && r.project == project && entry.how == report::ending::closed &&
            r.how == core::outcome::committed && entry.superseded_by.empty()) {
            found = r.transaction;
        }
    }
    return found;
}

class rollback {
public:
    rollback(const rollback_options& options, std::filesystem::path state, std::string project, incus_site incus)
        : options_(options), state_(std::move(state)), project_(std::move(project)), incus_(std::move(incus)),
          watching_(options.common, clock_) {
        incus_.observer = watching_.observer();
    }

    int run() {
        if (const auto why = inbox_.interruption()) {
            return refuse(*why);
        }
        if (options_.snapshot) {
            return run_snapshot();
        }
        const auto txn = find_asked(state_, options_.what, project_);
        if (!txn) {
            return complain(txn.error());
        }
        const auto known = load_known(state_, *txn);
        if (!known) {
            return complain(known.error());
        }
        if (known->state.waits_for_confirmation()) {
            return decide(*known);
        }
        if (!known->state.end) {
            return complain(busy(*known));
        }
        const bool named = options_.what != known->so_far.instance;
        const auto kept = named ? core::expected<std::string>(*txn) : find_kept(state_, options_.what, project_, *txn);
        return kept ? take_back(undo_of_kept(options_, incus_, state_, *kept)) : complain(kept.error());
    }

private:
    /// The journal may be there after all: then it is what counts.
    int run_snapshot() {
        const auto txn = transaction_of(*options_.snapshot);
        if (!txn) {
            return complain(txn.error());
        }
        const auto known = load_known(state_, *txn);
        if (known && known->begun && !known->state.end) {
            return complain(busy(*known));
        }
        if (known && known->begun && known->state.end == core::outcome::stuck) {
            return complain({core::reason::locked,
                             fmt::format("transaction {} got stuck: `belay recover` tries again to end it", *txn)});
        }
        if (known && known->begun) {
            return take_back(undo_of_kept(options_, incus_, state_, *txn));
        }
        return take_back(undo_without_journal(options_, incus_, state_, project_));
    }

    /// Undoes what waits for a confirmation: whoever works on it does it, or else this process.
    int decide(const known_transaction& known) {
        journal::decision_file decisions(journal::files_of(state_, known.txn).decision);
        const auto holds =
            decisions.publish({core::verdict::undo, {core::reason::no_confirm, "undone by `belay rollback`"}});
        if (!holds) {
            return complain(holds.error());
        }
        const auto ended =
            see_to_the_end(incus_, state_, known.txn, watching_.listener(), inbox_, clock_, watching_.files());
        if (!ended) {
            return complain(ended.error());
        }
        const bool by_another = known.owned;
        conclude(*ended, watching_.look(), by_another);
        if (ended->how == core::outcome::committed) {
            return complain(
                {core::reason::no_confirm,
                 fmt::format("it was confirmed before: to undo a kept upgrade, run `belay rollback {}` again",
                             known.txn)});
        }
        return core::exit_code_of_undo(ended->how);
    }

    int take_back(core::expected<undo> what) {
        if (!what) {
            return refuse(what.error());
        }
        print_error(description(*what, clock_));
        if (const auto agreed = agree(); !agreed) {
            return complain(agreed.error());
        }
        workplace place(incus_, state_, what->plan.project, what->plan.instance);
        auto begun = begin_transaction(place.host, state_, journal::default_log_limit, clock_, watching_.files());
        if (!begun) {
            return refuse(begun.error());
        }
        run::transaction transaction(place.world(*begun->journal, watching_.listener(), inbox_, clock_),
                                     {begun->txn, what->plan, {}, {}, what->baseline});
        const auto ended = transaction.run();
        conclude(ended, watching_.look(), false);
        notify(what->plan, ended, place.hooks());
        return ended.exit_code;
    }

    core::expected<void> agree() {
        if (options_.yes) {
            return {};
        }
        if (isatty(STDIN_FILENO) == 0) {
            return core::failure(core::reason::usage,
                                 "nobody can be asked without a terminal: add --yes when this is what you want");
        }
        print_error("Go back? [y/N] ");
        const auto answer = read_line();
        if (answer == "y" || answer == "Y" || answer == "yes") {
            return {};
        }
        return core::failure(core::reason::interrupted, "nothing was done");
    }

    /// A line of the terminal; empty when it ends or a signal comes, which is a no as well.
    std::string read_line() {
        constexpr int pause_ms = 100;
        std::string line;
        pollfd input{STDIN_FILENO, POLLIN, 0};
        while (!inbox_.interruption()) {
            char c{};
            if (poll(&input, 1, pause_ms) <= 0) {
                continue;
            }
            if (read(STDIN_FILENO, &c, 1) != 1) {
                return {};
            }
            if (c == '\n') {
                return line;
            }
            line += c;
        }
        print_error("\n");
        return {};
    }

    int refuse(const core::error& why) {
        if (options_.common.format == output_format::json) {
            core::plan asked;
            asked.instance = options_.what;
            asked.project = project_;
            const auto r = refusal(asked, why, clock_);
            print(report::report_document({&r, 1}, false));
        }
        return complain(why);
    }

    void conclude(const core::report& r, const report::style& look, bool unseen) {
        const auto& common = options_.common;
        if (common.format == output_format::json) {
            print(report::report_document({&r, 1}, false));
        } else if (common.format == output_format::text && (common.quiet || unseen)) {
            print(report::closing_sentence(r, look));
        }
    }

    const rollback_options& options_;
    std::filesystem::path state_;
    std::string project_;
    incus_site incus_;
    system_clock clock_;
    signal_inbox inbox_;
    spectators watching_;
};

} // namespace

int rollback_command(const rollback_options& options) {
    const auto state = state_directory_of(options.common);
    const auto project = project_name(options.project);
    if (!state || !project) {
        return complain(state ? project.error() : state.error());
    }
    prepare_signals();
    auto incus = find_incus();
    if (!incus) {
        return complain(incus.error());
    }
    return rollback(options, *state, *project, *std::move(incus)).run();
}

} // namespace belay::cli
