// SPDX-License-Identifier: Apache-2.0
#include "cli/resuming.hpp"

#include "cli/notify.hpp"
#include "cli/past.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace belay::cli {

core::expected<core::report> resume_transaction(const incus_site& incus, const std::filesystem::path& state,
                                                const std::string& txn, ports::listener& listener, ports::inbox& inbox,
                                                const ports::clock& clock, journal::file_ops& files) {
    BELAY_TRY(const auto, store, journal::store::open(state, geteuid(), files));
    BELAY_TRY(auto, resumed, store.resume_transaction(txn));
    const auto* opened = resumed.records.empty() ? nullptr : std::get_if<core::opened>(&resumed.records.front().what);
    if (opened == nullptr) {
        return core::failure(core::reason::io_error,
                             fmt::format("the journal of transaction {} does not say what it is about", txn));
    }
    workplace place(incus, state, opened->how.project, opened->how.instance);
    run::transaction transaction(place.world(*resumed.journal, listener, inbox, clock),
                                 {txn, opened->how, {}, resumed.journal->files().log.string()});
    BELAY_TRY(auto, ended, transaction.resume(resumed.records));
    if (told_before(resumed.records) != ended.how) {
        notify(opened->how, ended, place.hooks());
    }
    return ended;
}

core::expected<core::report> see_to_the_end(const incus_site& incus, const std::filesystem::path& state,
                                            const std::string& txn, ports::listener& listener, ports::inbox& inbox,
                                            const ports::clock& clock, journal::file_ops& files) {
    constexpr core::milliseconds pause{100};
    const auto give_up = clock.monotonic() + std::chrono::hours{1};
    for (;;) {
        BELAY_TRY(const auto, known, load_known(state, txn));
        if (known.state.end) {
            return known.so_far;
        }
        if (!known.owned) {
            auto ended = resume_transaction(incus, state, txn, listener, inbox, clock, files);
            if (ended || ended.error().code != core::reason::locked) {
                return ended;
            }
        }
        if (const auto why = inbox.interruption()) {
            return core::failure(core::reason::interrupted,
                                 fmt::format("{}, while belay (pid {}) acts on the decision: `belay show {}` says what "
                                             "came of it",
                                             why->message, known.pid, txn));
        }
        if (clock.monotonic() >= give_up) {
            return core::failure(core::reason::timeout,
                                 fmt::format("belay (pid {}) has not acted on the decision within an hour: `belay show "
                                             "{}`",
                                             known.pid, txn));
        }
        inbox.wait(pause, inbox.interrupts());
    }
}

} // namespace belay::cli
