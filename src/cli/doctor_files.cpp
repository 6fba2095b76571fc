// SPDX-License-Identifier: Apache-2.0
// belay doctor: journals and checks.
#include "checks/interpreter.hpp"
#include "cli/doctor.hpp"
#include "cli/past.hpp"
#include "cli/selection.hpp"
#include "core/text.hpp"
#include "core/time_text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::cli {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> move_away(const fs::path& state, const std::string& txn) {
    const auto away = core::shell_quote((state / "damaged").string());
    return {"mkdir -p " + away + " && mv " + core::shell_quote(journal::files_of(state, txn).directory.string()) + " " +
            away};
}

core::finding of_unreadable(const fs::path& state, const std::string& txn, const core::error& why) {
    return core::fault("journal", core::describe(why),
                       journal::is_damage(why) ? move_away(state, txn) : std::vector<std::string>{});
}

core::finding of_stuck(const known_transaction& known, const std::string& recover) {
    auto what = fmt::format("transaction {} of instance {} got stuck: {}", known.txn, known.so_far.instance,
                            known.so_far.message);
    for (std::size_t i = 0; i < known.so_far.manual.size(); ++i) {
        what += fmt::format("{} `{}`", i == 0 ? ". By hand, in this order:" : ",", known.so_far.manual[i]);
    }
    return core::fault("transaction", what + ". To try again", {recover});
}

core::finding of_waiting(const known_transaction& known) {
    return core::note("transaction", fmt::format("transaction {} of instance {} waits for a confirmation until {}: "
                                                 "`belay confirm {}` keeps its upgrade, `belay rollback {}` undoes it",
                                                 known.txn, known.so_far.instance, core::to_rfc3339(*known.state.until),
                                                 known.txn, known.txn));
}

/// Of a transaction that has not ended well; nothing of one that begins just now.
std::optional<core::finding> of_unended(const fs::path& state, const known_transaction& known,
                                        const std::string& recover, core::wall_time now) {
    if (known.state.end) {
        return of_stuck(known, recover);
    }
    if (known.owned) {
        return known.begun ? std::optional(core::note("transaction",
                                                      fmt::format("transaction {} of instance {} is under way (pid {})",
                                                                  known.txn, known.so_far.instance, known.pid)))
                           : std::nullopt;
    }
    if (!known.begun) {
        const auto directory = journal::files_of(state, known.txn).directory.string();
        return core::note(
            "journal",
            fmt::format("the journal of transaction {} is empty: belay ended before it did anything", known.txn),
            {"rm -r " + core::shell_quote(directory)});
    }
    if (known.state.waits_for_confirmation() && known.state.until && now < *known.state.until) {
        return of_waiting(known);
    }
    return core::fault("transaction",
                       fmt::format("transaction {} of instance {} was interrupted, and the instance is locked until it "
                                   "has ended",
                                   known.txn, known.so_far.instance),
                       {recover});
}

bool ended_well(const known_transaction& known) {
    return known.state.end && *known.state.end != core::outcome::stuck;
}

} // namespace

known_past::known_past(fs::path state, std::vector<fs::path> others) {
    const auto who = journal::read_identity("/");
    others.insert(others.begin(), std::move(state));
    for (auto& directory : others) {
        places_.push_back({directory, journal::file_locks(directory, who)});
    }
}

std::vector<core::finding> known_past::read(const std::string& recover, core::wall_time now) {
    std::vector<core::finding> all;
    std::size_t count = 0;
    for (auto& at : places_) {
        const bool own = &at == &places_.front();
        const auto list = journal::list_transactions(at.state);
        if (!list) {
            if (own) {
                all.push_back(core::fault("journal", core::describe(list.error())));
            }
            continue;
        }
        count += own ? list->size() : 0;
        for (const auto& txn : *list) {
            const auto known = load_known(at.state, txn);
            if (known && ended_well(*known)) {
                at.closed[txn] = !known->so_far.snapshot.empty();
                continue;
            }
            auto said = !own     ? std::nullopt
                        : !known ? std::optional(of_unreadable(at.state, txn, known.error()))
                                 : of_unended(at.state, *known, recover, now);
            if (said) {
                all.push_back(*std::move(said));
            }
        }
    }
    if (all.empty()) {
        all.push_back(core::fine("journal", fmt::format("{} transactions, all of them ended", count)));
    }
    return all;
}

core::journal_word known_past::word(const std::string& txn, const std::string& uuid) const {
    using enum core::journal_knowledge;
    for (const auto& at : places_) {
        const auto how = at.locks.knowledge(txn, uuid);
        if (how == closed) {
            const auto before = at.closed.find(txn);
            return before == at.closed.end() ? core::journal_word{running, false}
                                             : core::journal_word{closed, before->second};
        }
        if (how != unknown) {
            return {how, false};
        }
    }
    return {};
}

namespace {

core::finding complaint(const std::string& subject, const core::error& why) {
    const auto what = core::describe(why);
    return core::fault(subject, what, core::commands_in(what));
}

/// Those that do not load, and those that this host could not run.
std::vector<core::finding> unusable(const std::string& subject, const std::vector<checks::entry>& list) {
    std::vector<core::finding> all;
    for (const auto& entry : list) {
        if (!entry.check) {
            all.push_back(complaint(subject, entry.check.error()));
        } else if (const auto runs = checks::check_interpreter(*entry.check); !runs) {
            all.push_back(complaint(subject, runs.error()));
        }
    }
    return all;
}

} // namespace

std::vector<core::finding> examine_hooks(const std::string& place, const checks::library& library) {
    return unusable(place, library.list());
}

std::vector<core::finding> examine_recipes(const recipe::book& book) {
    const auto list = book.list();
    std::vector<core::finding> all;
    for (const auto& entry : list) {
        if (!entry.recipe) {
            all.push_back(complaint("recipe", entry.recipe.error()));
        }
    }
    if (all.empty()) {
        all.push_back(core::fine("recipe", fmt::format("{} recipes load", list.size())));
    }
    return all;
}

std::vector<core::finding> examine_checks(const checks::library& library) {
    const auto list = library.list();
    auto all = unusable("check", list);
    for (const std::string name : default_checks) {
        const bool listed = std::ranges::find(list, name, &checks::entry::name) != list.end();
        if (!listed && !library.masked(name)) {
            all.push_back(core::fault("check", fmt::format("the default check {} is not installed: install belay whole "
                                                           "(its share/belay/checks), or run with --no-check {}",
                                                           name, name)));
        }
    }
    if (all.empty()) {
        all.push_back(core::fine("check", fmt::format("{} checks load", list.size())));
    }
    return all;
}

} // namespace belay::cli
