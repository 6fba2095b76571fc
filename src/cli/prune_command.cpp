// SPDX-License-Identifier: Apache-2.0
// belay prune: deletes belay's own old snapshots.
#include "cli/commands.hpp"
#include "cli/signals.hpp"
#include "cli/site.hpp"
#include "core/text.hpp"
#include "journal/reader.hpp"
#include "run/retention.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace belay::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr int incomplete = core::exit_code(core::outcome::refused);

/// For one snapshot, which the daemon deletes in the background.
constexpr core::milliseconds deletion_limit{std::chrono::minutes{30}};

std::string name_of(const journal::known_instance& which) {
    return which.project == "default" ? which.name : which.name + " (project " + which.project + ")";
}

std::string why_old(int keep) {
    return keep == 1 ? "a newer upgrade was kept" : fmt::format("{} newer upgrades were kept", keep);
}

class pruning {
public:
    pruning(const prune_options& options, std::filesystem::path state, incus_site incus)
        : options_(options), state_(std::move(state)), incus_(std::move(incus)) {}

    int run(const std::vector<journal::known_instance>& instances) {
        const signal_inbox inbox;
        for (const auto& which : instances) {
            if (const auto why = inbox.interruption()) {
                return std::max(code_, complain(*why));
            }
            auto done = look_at(which);
            if (!done && done.error().code == core::reason::no_daemon) {
                return complain(done.error()); // nor will it answer about the others
            }
            if (!done) {
                skip(which, done.error());
            }
        }
        conclude();
        return code_;
    }

private:
    bool is_text() const { return options_.common.format == output_format::text; }

    void say(const std::string& line) {
        if (is_text() && !options_.common.quiet) {
            print(core::printable(line) + "\n");
        }
    }

    /// An instance that is locked, or that does not exist any more, is no failure.
    void skip(const journal::known_instance& which, const core::error& why) {
        skipped_.push_back({{"project", which.project},
                            {"instance", which.name},
                            {"reason", core::to_word(why.code)},
                            {"message", core::describe(why)}});
        if (why.code == core::reason::locked) {
            return say(fmt::format("{}: skipped: {}", name_of(which), core::describe(why)));
        }
        if (why.code == core::reason::not_found) {
            return options_.instances.empty() ? void() : say(fmt::format("{}: skipped: it is gone", name_of(which)));
        }
        code_ = std::max(code_, complain({why.code, name_of(which) + ": " + why.message, why.cause, false}));
    }

    core::expected<void> look_at(const journal::known_instance& which) {
        workplace place(incus_, state_, which.project, which.name);
        BELAY_TRY(const auto, seen, find(place, which));
        if (seen.snapshots.empty() || options_.dry_run) {
            tell(which, seen, {});
            return {};
        }
        // Only now, and looked at once more: while it is held, an upgrade that begins is refused.
        BELAY_TRY(const auto, held, place.locks().take(server_, which.project, which.name, {}));
        BELAY_TRY(const auto, found, find(place, which));
        tell(which, found, run::remove_old(place.host, found.snapshots, deletion_limit));
        return {};
    }

    /// Error beyond those of run::find_old: locked, when a transaction holds the instance.
    core::expected<run::found_old> find(workplace& place, const journal::known_instance& which) {
        BELAY_TRY(const auto, now, place.host.examine(request_limit));
        server_ = now.facts.server;
        const auto& locks = place.locks();
        const auto holder = core::parse_lock(now.lock);
        const auto known = holder ? locks.knowledge(holder->txn, now.facts.uuid) : core::journal_knowledge::unknown;
        auto opinion = core::judge_lock(now.lock, locks.self({}), which.name, known, holder && locks.alive(*holder));
        if (opinion.how == core::lock_state::held) {
            return std::unexpected(std::move(opinion.why));
        }
        return run::find_old(place.host, locks,
                             {which.project, which.name, now.facts.uuid, run::volumes_of(now.facts), {}},
                             options_.keep);
    }

    void tell(const journal::known_instance& which, const run::found_old& found,
              const std::vector<run::removal>& done) {
        for (const auto& s : found.snapshots) {
            const auto end = std::ranges::find(done, s, &run::removal::what);
            if (end != done.end() && end->problem) {
                code_ = incomplete;
                complain(
                    {end->problem->code, name_of(which) + ": " + end->problem->message, end->problem->cause, false});
                continue;
            }
            if (end == done.end() && !options_.dry_run) {
                continue; // stays, because another one of its transaction does
            }
            deleted_.push_back({{"project", which.project},
                                {"instance", which.name},
                                {"target", s.target},
                                {"snapshot", s.name},
                                {"transaction", s.txn},
                                {"reason", why_old(found.keep)}});
            say(fmt::format("{}: {} {}{}: {}{}", name_of(which), options_.dry_run ? "would delete" : "deleted", s.name,
                            s.target == "root" ? std::string() : " of volume " + s.target, why_old(found.keep),
                            s.how == core::standing::failed ? "; it is not of a kept upgrade" : ""));
        }
    }

    void conclude() {
        if (!is_text()) {
            const json document{{"dry_run", options_.dry_run}, {"deleted", deleted_}, {"skipped", skipped_}};
            print(document.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
        } else if (deleted_.empty() && code_ == 0) {
            say("No snapshot is old enough to be deleted.");
        }
    }

    const prune_options& options_;
    std::filesystem::path state_;
    incus_site incus_;
    std::string server_;
    int code_{0};
    json deleted_ = json::array();
    json skipped_ = json::array();
};

/// Those of the instances that are asked for. Error: usage, for one that no journal knows.
core::expected<std::vector<journal::known_instance>> chosen(std::vector<journal::known_instance> all,
                                                            const prune_options& options) {
    const auto& names = options.instances;
    if (options.project) {
        std::erase_if(all, [&](const auto& one) { return one.project != *options.project; });
    }
    for (const auto& name : names) {
        if (std::ranges::find(all, name, &journal::known_instance::name) == all.end()) {
            return core::failure(core::reason::usage,
                                 fmt::format("there is no transaction of an instance '{}'{}: `belay history` lists all "
                                             "of them",
                                             name, options.project ? " in project '" + *options.project + "'" : ""));
        }
    }
    std::erase_if(all,
                  [&](const auto& one) { return !names.empty() && std::ranges::find(names, one.name) == names.end(); });
    return all;
}

} // namespace

int prune_command(const prune_options& options) {
    prepare_signals();
    const auto state = state_directory_of(options.common);
    if (!state) {
        return complain(state.error());
    }
    auto known = journal::known_instances(*state);
    if (!known) {
        return complain(known.error());
    }
    const auto instances = chosen(*std::move(known), options);
    if (!instances) {
        return complain(instances.error());
    }
    auto incus = find_incus();
    if (!incus) {
        return complain(incus.error());
    }
    if (const auto trusted = journal::store::open(*state, geteuid()); !trusted) {
        return complain(trusted.error()); // whoever may write journals says what is deleted
    }
    return pruning(options, *state, *std::move(incus)).run(*instances);
}

} // namespace belay::cli
