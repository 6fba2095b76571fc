// SPDX-License-Identifier: Apache-2.0
// belay confirm: keeps the upgrade that waits for a confirmation.
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/past.hpp"
#include "cli/resuming.hpp"
#include "cli/signals.hpp"
#include "cli/surroundings.hpp"
#include "ports/listener.hpp"
#include "report/jsonl.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace belay::cli {

namespace {

constexpr int too_late = 1;

/// For what is done silently.
class nobody final : public ports::listener {
public:
    void on(const core::record&) override {}

    void recall(const core::record&) override {}
};

int conclude(const confirm_options& options, const core::report& r) {
    if (options.common.format == output_format::json) {
        print(report::report_document({&r, 1}, false));
    } else {
        print(report::closing_sentence(r, report::style_of(STDOUT_FILENO)));
    }
    return core::exit_code(r.how) == 0 ? 0 : too_late;
}

/// Why a transaction that has not ended cannot be confirmed; nothing when it can.
std::optional<core::error> obstacle(const known_transaction& known) {
    if (known.state.waits_for_confirmation() || known.state.ok(core::act::confirm)) {
        return std::nullopt;
    }
    const auto& txn = known.txn;
    if (!known.owned) {
        return core::error{core::reason::interrupted,
                           fmt::format("transaction {} was interrupted before it waited for a confirmation: `belay "
                                       "recover` ends it",
                                       txn),
                           "", false};
    }
    if (known.state.decision || !known.state.why.empty()) {
        return core::error{core::reason::no_confirm,
                           fmt::format("transaction {} is past its confirmation: `belay show {}`", txn, txn), "",
                           false};
    }
    return core::error{core::reason::no_confirm,
                       fmt::format("transaction {} does not wait for a confirmation (pid {} works on it): `belay show "
                                   "{}` says what it does",
                                   txn, known.pid, txn),
                       "", false};
}

} // namespace

int confirm_command(const confirm_options& options) {
    prepare_signals();
    const auto state = state_directory_of(options.common);
    const auto project = project_name(options.project);
    if (!state || !project) {
        return complain(state ? project.error() : state.error());
    }
    const auto txn = find_asked(*state, options.what, *project);
    if (!txn) {
        return complain(txn.error());
    }
    const auto known = load_known(*state, *txn);
    if (!known) {
        return complain(known.error());
    }
    if (known->state.end) {
        if (const auto undo = superseded_by(*state, *txn); !undo.empty()) {
            complain({core::reason::no_confirm,
                      fmt::format("transaction {} was kept, and later taken back by transaction {}", *txn, undo), "",
                      false});
            return too_late;
        }
        return conclude(options, known->so_far);
    }
    if (const auto why = obstacle(*known)) {
        return complain(*why);
    }
    const auto incus = find_incus();
    if (!incus) {
        return complain(incus.error());
    }
    const system_clock clock;
    signal_inbox inbox;
    if (const auto why = inbox.interruption()) {
        return complain(*why);
    }
    nobody listener;
    // The deadline may have passed with nobody there to see it: then it is what holds.
    const bool in_time = !known->state.until || clock.wall() < *known->state.until;
    journal::decision_file decisions(journal::files_of(*state, *txn).decision);
    const auto holds =
        decisions.publish(in_time ? core::decision{core::verdict::commit, {}}
                                  : core::decision{core::verdict::undo,
                                                   {core::reason::no_confirm, "nobody confirmed the upgrade in time"}});
    if (!holds) {
        return complain(holds.error());
    }
    const auto ended = see_to_the_end(*incus, *state, *txn, listener, inbox, clock, journal::real_files());
    return ended ? conclude(options, *ended) : complain(ended.error());
}

} // namespace belay::cli
