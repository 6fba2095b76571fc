// SPDX-License-Identifier: Apache-2.0
// What is begun in the instance while its snapshot is taken: one program that lists the packages and then waits to
// become the command. No outcome depends on it: whatever goes wrong there, the command is begun when its turn comes.
#include "core/drivers.hpp"
#include "run/package_listing.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <utility>

namespace belay::run {

namespace {

using progress = ports::begun_program::progress;

/// As long as the packages are listed while the snapshot is not looked at: Incus forgets an operation five seconds
/// after its end.
constexpr core::milliseconds longest_beside{2'000};

std::vector<std::string> names_of(const std::vector<std::pair<std::string, std::string>>& variables) {
    std::vector<std::string> names;
    std::ranges::transform(variables, std::back_inserter(names), [](const auto& v) { return v.first; });
    return names;
}

} // namespace

/// Whether the instance is asked for nothing between the baseline and the command but its snapshots, and goes on while
/// they are taken.
bool transaction::goes_on_beside() const {
    return plan().pre.empty() && !plan().quiesces() && !settled_plan().pauses &&
           core::never_freezes(examined_.facts.driver);
}

/// Whether the packages before the command are listed then.
bool transaction::lists_beside() const {
    return plan().lists_packages && goes_on_beside();
}

/// Whether the command can wait for its turn, where it is begun beside. Its folder must be looked at first.
bool transaction::command_can_wait() const {
    auto variables = names_of(request_.env);
    std::ranges::copy(examined_.variables, std::back_inserter(variables));
    return !plan().command.interactive && plan().command.cwd.empty() && core::can_wait(plan().command.argv, variables);
}

/// Whether somebody beside a command that waits may say, behind its end, that the instance runs. Nobody need where
/// checks do.
bool transaction::can_have_bystander() const {
    const auto& command = plan().command;
    return plan().checks.empty() && plan().restart == core::restart_policy::never && !command.user && !command.group &&
           core::can_stand_by(names_of(request_.env));
}

/// Of the command that waits. Where the packages are listed behind it, that is the proof, and nobody need stand by.
ports::turn transaction::turn_of_command() const {
    ports::turn turn{std::string(core::turn_word)};
    if (bystander_ != core::bystander::none) {
        (listing_after() ? turn.word : turn.dismissal) += core::dismissal;
    }
    return turn;
}

/// So that what the listing leaves behind is found.
std::string transaction::listing_run() const {
    return request_.txn + "-packages";
}

/// The program that does both, or one of them.
std::optional<transaction::program_beside> transaction::command_beside() const {
    const bool lists = plan().lists_packages;
    const bool waits = command_can_wait();
    if ((!lists && !waits) || !goes_on_beside()) {
        return std::nullopt;
    }
    program_beside both{waits ? command_in_guest() : ports::guest_command{}, waits};
    if (waits && can_have_bystander()) {
        both.bystander = core::bystander::shell;
    }
    const auto marked = fmt::format("{0}={1}\nexport {0}\n", ports::run_variable, listing_run());
    both.what.argv =
        core::command_that_waits(both.what.argv, lists ? marked + list_script() : std::string(), both.bystander);
    return both;
}

/// Not before the daemon has begun with the snapshot, so that its own work and the start of a program do not meet.
void transaction::begin_beside() {
    const auto both = std::exchange(begins_beside_, false) ? command_beside() : std::nullopt;
    if (both) {
        becomes_command_ = both->becomes_command;
        bystander_ = both->bystander;
        beside_ =
            world_.host.begin(both->what, std::string(core::turn_mark), longest_beside, world_.inbox.interrupts());
        is_heard_ = false;
        listen_beside(longest_beside);
    }
}

/// Until the packages are known, or for so long. What comes behind the command is known with them.
void transaction::listen_beside(core::milliseconds limit) {
    const bool listens = beside_ && !is_heard_;
    if (listens && beside_->await(limit, world_.inbox.interrupts()) != progress::runs) {
        is_heard_ = true;
        note_packages_before(beside_->printed());
        if (turn_of_command().dismissal.empty()) { // else a bystander is there
            prepare_verify();
        }
    }
}

/// Whether the command waits for its turn.
bool transaction::is_waiting_beside() {
    listen_beside(list_limit);
    return beside_ && is_heard_ && becomes_command_ && command_can_wait() &&
           beside_->await(core::milliseconds{0}, world_.inbox.interrupts()) == progress::waits;
}

/// Nothing of it is left in the instance.
void transaction::end_beside() {
    if (std::exchange(beside_, nullptr) && !is_heard_) {
        world_.checks.sweep(listing_run());
    }
}

} // namespace belay::run
