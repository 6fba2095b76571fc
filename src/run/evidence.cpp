// SPDX-License-Identifier: Apache-2.0
// What is saved before a rollback throws it away, and which packages the command changed. Nothing here stands in the
// way of a rollback.
#include "core/coverage.hpp"
#include "core/text.hpp"
#include "run/limits.hpp"
#include "run/outcome.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::run {

namespace {

constexpr core::milliseconds list_limit{10'000};
constexpr std::size_t longest_list = 8U << 20U;
constexpr std::string_view end_of_list = "belay: end of list";
const std::string before_file = "packages-before";

/// What the checks said last, for a person to read.
std::string checks_text(const std::vector<core::judged>& checks) {
    std::string text;
    for (const auto& check : checks) {
        text += fmt::format("{}: {} -> {}{}{}\n", check.name, core::to_word(check.baseline),
                            core::to_word(check.final), check.summary.empty() ? "" : ": ", check.summary);
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

/// Nothing when the instance has no package manager, or does not say all of it. Incus now and then loses the output of
/// a program that ends within milliseconds: so the list has an end, and without it is asked for again.
std::optional<core::package_list> transaction::list_packages(std::stop_token stop) {
    const auto script =
        fmt::format("({})\ncode=$?\necho '{}'\nexit $code", core::package_list_script, end_of_list);
    for (int i = 0; i < 3; ++i) {
        std::string text;
        const auto sink = [&](core::output::stream from, std::string_view piece) {
            if (from == core::output::stream::out && text.size() < longest_list) {
                text += piece;
            }
        };
        const auto end = world_.host.exec({.argv = {"sh", "-c", script}}, list_limit, sink, stop);
        if (!end || end->how != ports::ended::exited || end->exit_code != 0) {
            return std::nullopt;
        }
        if (text.find(end_of_list) != std::string::npos) {
            return core::parse_packages(text);
        }
    }
    return std::nullopt;
}

void transaction::note_packages_before() {
    const auto list = plan().lists_packages ? list_packages(world_.inbox.interrupts()) : std::nullopt;
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

std::optional<core::package_diff> transaction::packages_changed(std::stop_token stop) {
    const auto before = plan().lists_packages ? world_.journal.load(before_file) : std::string();
    if (!plan().lists_packages || !before) {
        return std::nullopt;
    }
    const auto after = list_packages(stop);
    return after ? std::optional(core::compare(core::parse_packages(*before), *after)) : std::nullopt;
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

core::finished transaction::evidence() {
    const auto end = world_.clock.monotonic() + plan().limit.evidence;
    core::finished f;
    std::vector<ports::evidence> pieces;
    pieces.push_back({"checks", checks_text(chronicle_.summary(core::outcome::rolled_back).checks)});
    if (!state().packages) {
        f.packages = packages_changed({});
    }
    if (const auto& packages = state().packages ? state().packages : f.packages) {
        pieces.push_back({"packages", core::to_text(*packages)});
    }
    const auto left = std::max(end - world_.clock.monotonic(), core::milliseconds{1});
    auto gathered = world_.checks.gather(plan().collectors, context(core::act::evidence, 1), left);
    std::ranges::move(gathered, std::back_inserter(pieces));
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
