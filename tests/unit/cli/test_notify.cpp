// SPDX-License-Identifier: Apache-2.0
// Who is told of the end of a transaction, and how often.
#include "cli/notify.hpp"
#include "unit/cli/state_directory.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sys/stat.h>

using namespace belay;
namespace fs = std::filesystem;
using core::act;
using core::outcome;
using core::result;

namespace {

/// Remembers what it was asked to run, and lets it fail.
class deaf_people : public ports::checks {
public:
    std::vector<core::check_spec> told;
    std::string phase;
    std::string input;

    ports::round run(const std::vector<core::check_spec>&, const std::optional<core::check_spec>&,
                     const ports::hook_context&, std::stop_token) override {
        return {};
    }

    void sweep(const std::string&) override {}

    core::expected<core::reading> run_hook(const core::check_spec& hook, const ports::hook_context& context,
                                           const std::string& document, std::stop_token) override {
        told.push_back(hook);
        phase = context.phase;
        input = document;
        return core::reading{hook.name, hook.where, false, core::health::fail, "nobody there", {}, {}, 0};
    }

    ports::gathering gather(const std::vector<core::check_spec>&, const std::optional<core::check_spec>&,
                            const ports::hook_context&, core::milliseconds, const std::function<void()>&) override {
        return {};
    }
};

core::report ended(outcome how) {
    core::report r;
    r.transaction = "20261123t224000z-3f9c";
    r.instance = "web1";
    r.how = how;
    return r;
}

core::record recorded(core::event what) {
    return {1, 1, {}, 0, "20261123t224000z-3f9c", "web1", std::move(what)};
}

/// The journal of a rollback, up to the end of its discard.
std::vector<core::record> undone(result discard) {
    std::vector<core::record> past{recorded(core::opened{core::plan{}, 1, "boot"})};
    for (const auto what : {act::preflight, act::lock, act::baseline, act::snapshot, act::upgrade}) {
        const core::key key{what, what == act::snapshot ? "root" : ""};
        core::finished end{.what = key};
        end.how = what == act::upgrade ? result::failed : result::ok;
        end.why.code = core::reason::command_failed;
        past.push_back(recorded(core::started{key, 1, {}}));
        past.push_back(recorded(end));
    }
    past.push_back(recorded(core::decided{core::verdict::undo}));
    for (const auto what : {act::stop, act::restore, act::start, act::reverify, act::discard, act::unlock}) {
        const core::key key{what, what == act::restore || what == act::discard ? "root" : ""};
        core::finished end{.what = key};
        end.how = what == act::discard ? discard : result::ok;
        past.push_back(recorded(core::started{key, 1, {}}));
        past.push_back(recorded(end));
    }
    return past;
}

} // namespace

TEST_CASE("the hooks of this user and the command of the recipe are told, each one although the others fail") {
    const testing::state_directory home;
    const auto folder = home.path() / "belay/hooks.d/rolled-back";
    fs::create_directories(folder);
    for (const auto* name : {"20-second", "10-first", "30-unusable"}) {
        std::ofstream(folder / name) << "#!/bin/sh\n# belay: timeout=3s\n";
        fs::permissions(folder / name, *name == '3' ? fs::perms::owner_read : fs::perms::owner_all);
    }
    setenv("XDG_CONFIG_HOME", home.path().c_str(), 1);
    core::plan plan;
    plan.notices = {{"committed", "no"}, {"rolled-back", "yes"}};
    deaf_people people;
    cli::notify(plan, ended(outcome::rolled_back_unhealthy), people);
    unsetenv("XDG_CONFIG_HOME");
    REQUIRE(people.told.size() == 3);
    CHECK(people.told[0].name == "10-first");
    CHECK(people.told[0].where == core::place::host);
    CHECK(people.told[0].timeout == std::chrono::seconds(3));
    CHECK(people.told[1].name == "20-second");
    CHECK(people.told[2].args == std::vector<std::string>{"-c", "yes"});
    CHECK(people.phase == "rolled-back");
    CHECK(people.input.find("\"outcome\": \"rolled-back-unhealthy\"") != std::string::npos);
}

TEST_CASE("every outcome is an event") {
    CHECK(cli::event_of(outcome::committed) == "committed");
    CHECK(cli::event_of(outcome::unchanged) == "committed");
    CHECK(cli::event_of(outcome::rolled_back) == "rolled-back");
    CHECK(cli::event_of(outcome::rolled_back_unhealthy) == "rolled-back");
    CHECK(cli::event_of(outcome::stuck) == "stuck");
    CHECK(cli::event_of(outcome::refused) == "refused");
}

TEST_CASE("people are told once of what a recovery tries again and again") {
    CHECK_FALSE(cli::told_before({}));
    auto past = undone(result::failed);
    CHECK(cli::told_before(past) == outcome::rolled_back); // the snapshot could not be deleted
    past.pop_back();
    CHECK_FALSE(cli::told_before(past)); // killed before that end
    past = undone(result::ok);
    past.push_back(recorded(core::closed{ended(outcome::stuck)}));
    CHECK(cli::told_before(past) == outcome::stuck);
}
