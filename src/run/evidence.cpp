// SPDX-License-Identifier: Apache-2.0
// What is saved before a rollback throws it away, and which packages the command changed. Nothing here stands in the
// way of a rollback.
#include "core/coverage.hpp"
#include "core/text.hpp"
#include "run/outcome.hpp"
#include "run/package_listing.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::run {

namespace {

constexpr const char* before_file = "packages-before";

/// The command line of a shell command of the user's, since its name does not say what it is.
std::string asked_for(const std::vector<core::check_spec>& collectors, const std::string& name) {
    const auto found = std::ranges::find(collectors, name, &core::check_spec::name);
    const bool command = found != collectors.end() && found->file.empty() && !found->args.empty();
    return command ? "$ " + core::printable(found->args.front()) + "\n" : std::string{};
}

/// What the checks said last, for a person to read.
std::string checks_text(const std::vector<core::judged>& checks) {
    std::string text;
    for (const auto& check : checks) {
        text += fmt::format("{}: {} -> {}{}{}\n", check.name, core::to_word(check.baseline), core::to_word(check.final),
                            check.summary.empty() ? "" : ": ", check.summary);
        for (const auto& finding : check.new_bad) {
            text += "    new: " + finding + "\n";
        }
        for (const auto& finding : check.lost_good) {
            text += "    lost: " + finding + "\n";
        }
    }
    return text;
}

} // namespace

/// What lists the packages before the command, if anybody wants to know.
std::optional<core::check_spec> transaction::listing_before() const {
    return plan().lists_packages ? std::optional(package_lister()) : std::nullopt;
}

/// The same, when it belongs to the round of the baseline.
std::optional<core::check_spec> transaction::listing_in_baseline() const {
    return lists_beside() ? std::nullopt : listing_before();
}

/// What lists them behind the command, if there were packages before, and they were not listed again yet.
std::optional<core::check_spec> transaction::listing_after() const {
    const bool wanted = plan().lists_packages && !state().packages && world_.journal.load(before_file);
    return wanted ? std::optional(package_lister()) : std::nullopt;
}

/// Nothing was listed when the instance has no package manager, or does not say all of it.
void transaction::note_packages_before(const std::optional<std::string>& listed) {
    const auto list = listed ? whole_list(*listed) : std::nullopt;
    if (!list) {
        return;
    }
    std::string text;
    for (const auto& [name, version] : *list) {
        text += name + "\t" + version + "\n";
    }
    // Whoever cannot save it knows nothing about packages later, and that is all.
    (void)world_.journal.save(before_file, text);
}

std::optional<core::package_diff> transaction::packages_changed(const std::optional<std::string>& listed) const {
    const auto after = listed ? whole_list(*listed) : std::nullopt;
    const auto before = after ? world_.journal.load(before_file) : std::string();
    return after && before ? std::optional(core::compare(core::parse_packages(*before), *after)) : std::nullopt;
}

std::vector<std::string> transaction::save_evidence(std::vector<ports::evidence> pieces) {
    std::vector<std::string> saved;
    for (const auto& piece : pieces) {
        if (piece.text.empty()) {
            continue;
        }
        if (auto done = world_.journal.save("evidence/" + piece.name, piece.text); !done) {
            emit(core::warned{core::describe(done.error())});
            break;
        }
        saved.push_back(piece.name);
    }
    return saved;
}

/// What is to be restored is looked for before the instance is stopped: here already, since nothing else is asked of
/// the daemon meanwhile.
void transaction::look_for_snapshots(core::milliseconds limit) {
    const auto give_up = world_.clock.monotonic() + limit;
    for (const auto& target : plan().targets) {
        if (const auto left = give_up - world_.clock.monotonic(); left > core::milliseconds{0}) {
            (void)world_.host.has_snapshot(target, restored_snapshot(), left);
        }
    }
}

/// All that asks the instance happens in gather(), which keeps the limit whatever the instance does.
core::finished transaction::evidence() {
    const auto limit = plan().limit.evidence;
    auto gathered = world_.checks.gather(plan().collectors, listing_after(), context(core::act::evidence, 1), limit,
                                         [&] { look_for_snapshots(limit); });
    core::finished f;
    f.packages = packages_changed(gathered.listed);
    std::vector<ports::evidence> pieces{{"checks", checks_text(chronicle_.summary(core::outcome::rolled_back).checks)}};
    if (const auto& packages = f.packages ? f.packages : state().packages) {
        pieces.push_back({"packages", core::to_text(*packages)});
    }
    for (auto& piece : gathered.pieces) {
        piece.text.insert(0, asked_for(plan().collectors, piece.name));
        pieces.push_back(std::move(piece));
    }
    f.evidence = save_evidence(std::move(pieces));
    return f;
}

core::finished transaction::keep_failed() {
    const auto name = core::failed_copy_name(plan().instance, request_.txn);
    auto f = outcome_of(world_.host.copy_to(name, plan().limit.operation));
    if (f.how == core::result::ok) {
        f.copy = name;
    } else {
        emit(core::warned{fmt::format("the broken state of instance {} could not be kept as {} ({})", plan().instance,
                                      name, core::describe(f.why))});
    }
    return f;
}

} // namespace belay::run
