// SPDX-License-Identifier: Apache-2.0
// A command that waits for its turn while the snapshot is taken: when it does, and that it is run once whatever becomes
// of that.
#include "core/waiting_command.hpp"
#include "fakes/world.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using core::milliseconds;
using core::outcome;
using fakes::fake_world;
using names = std::vector<std::string>;

namespace {

/// On btrfs, where an instance goes on while its snapshot is taken.
struct waiting : fake_world {
    waiting() {
        plan.lists_packages = true;
        plan.checks.clear();
        incus.facts.driver = "btrfs";
    }

    long times(const std::string& call) const { return std::ranges::count(incus.calls, call); }

    /// Of the run that comes: the command is begun when its turn comes, and once.
    void expect_plain() {
        CHECK(run().how == outcome::committed);
        CHECK(times("upgrade") == 1);
        CHECK(incus.turn.empty());
        CHECK(incus.content == "new");
    }
};

/// Where packages are listed behind the command, nobody need stand by.
const auto word_for_listing = std::string(core::turn_word) + std::string(core::dismissal);

} // namespace

TEST_CASE("a command waits from the snapshot on, and begins at its word") {
    waiting w;
    w.plan.lists_packages = GENERATE(true, false);
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.turn == (w.plan.lists_packages ? word_for_listing : std::string(core::turn_word)));
    CHECK(w.times("begin") == 1);
    CHECK(w.times("upgrade") == 1);
    CHECK(w.incus.left.empty());
}

TEST_CASE("who stands by a command proves that the instance runs, and else the daemon is asked") {
    waiting w;
    w.plan.lists_packages = GENERATE(true, false);
    w.incus.failures["packages"] = {}; // it has no package manager
    w.incus.bystander_speaks = GENERATE(true, false);
    w.plan.limit.soak = {};
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.dismissal == core::dismissal);
    CHECK(w.times("prove_running") == (w.incus.bystander_speaks ? 0 : 1));
    CHECK(w.times("prove_status") == (w.incus.bystander_speaks ? 1 : 0));
}

TEST_CASE("who has proved that is not asked for it a second time") {
    waiting w;
    w.plan.lists_packages = false;
    w.plan.limit.soak = milliseconds{1'500};
    CHECK(w.run().how == outcome::committed);
    CHECK(w.times("prove_status") == 1);
    CHECK(w.times("prove_running") == 2);
}

TEST_CASE("nobody stands by where others prove that, or would see something else") {
    waiting w;
    w.plan.lists_packages = false;
    SECTION("checks") {
        w.plan.checks = {{"web", "/checks/web", {}}};
    }
    SECTION("a restart") {
        w.plan.restart = GENERATE(core::restart_policy::always, core::restart_policy::if_needed);
    }
    SECTION("the rights of somebody else") {
        w.plan.command.user = 1000;
    }
    SECTION("or of another group") {
        w.plan.command.group = 1000;
    }
    SECTION("another path") {
        w.env = {{"PATH", "/opt/bin"}};
    }
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.turn == core::turn_word);
    CHECK(w.incus.dismissal.empty());
}

TEST_CASE("who stands by is dismissed at once when packages are listed behind the command") {
    waiting w;
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.turn == word_for_listing);
    CHECK(w.incus.dismissal.empty());
}

TEST_CASE("a failure that somebody in the instance has seen is the command's, and the way back is proved anew") {
    waiting w;
    w.plan.lists_packages = false;
    w.incus.bystander_speaks = GENERATE(true, false);
    w.incus.command = [](fakes::fake_incus& now) {
        now.content = "broken";
        return 3;
    };
    const auto r = w.run();
    CHECK(r.how == outcome::rolled_back);
    CHECK(r.why == core::reason::command_failed);
    const auto behind = std::ranges::find(w.incus.calls, "upgrade") + 1;
    REQUIRE(behind != w.incus.calls.end());
    CHECK((*behind == "daemon") == !w.incus.bystander_speaks);
    CHECK(w.times("prove_running") == 1);
}

TEST_CASE("its word comes with the intent of the upgrade on paper") {
    waiting w;
    bool on_paper = false;
    w.incus.command = [&](fakes::fake_incus&) {
        const auto* begun = std::get_if<core::started>(&w.journal.records.back().what);
        on_paper = begun != nullptr && begun->what.what == core::act::upgrade;
        return 0;
    };
    CHECK(w.run().how == outcome::committed);
    CHECK(on_paper);
}

TEST_CASE(
    "a command that would be another one behind a shell does not wait, and the packages are listed all the same") {
    waiting w;
    SECTION("on a terminal") {
        w.plan.command.interactive = true;
    }
    SECTION("in a folder that is looked at first") {
        w.plan.command.cwd = "/srv";
    }
    SECTION("with a name that is an option") {
        w.plan.command.argv = {"-x"};
    }
    SECTION("with a variable that shells do not hand on") {
        w.env = {{"a.b", "c"}};
    }
    SECTION("with such a one from the configuration of the instance") {
        w.incus.variables = {"LANG", "SHLVL"};
    }
    w.expect_plain();
    CHECK(w.times("packages") == 2);
    CHECK(w.times("begin") == 1);
    CHECK(w.incus.left == names{"waiting"});
}

TEST_CASE("nothing is begun where there is nothing to be won") {
    waiting w;
    SECTION("the instance stands still for its snapshot") {
        w.incus.facts.driver = "dir";
        w.plan.lists_packages = false;
    }
    SECTION("nothing is listed, and the command cannot wait") {
        w.plan.lists_packages = false;
        w.plan.command.interactive = true;
    }
    w.expect_plain();
    CHECK(w.times("begin") == 0);
}

TEST_CASE("a command that could not be begun so is begun when its turn comes") {
    waiting w;
    w.incus.failures["begin"] = {};
    w.expect_plain();
}

TEST_CASE("a command that is gone when its turn comes is begun anew") {
    waiting w;
    w.incus.forgets_waiting = true;
    w.expect_plain();
}

TEST_CASE("the snapshot is looked at in time, however long the packages take") {
    waiting w;
    w.incus.before_turn = milliseconds{4'000};
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.turn == word_for_listing);
    const auto when = [&](core::act what) {
        for (const auto& r : w.journal.records) {
            const auto* end = std::get_if<core::finished>(&r.what);
            if (end && end->what.what == what) {
                return end->seconds;
            }
        }
        return 0.0;
    };
    CHECK(when(core::act::snapshot) < 4.0); // Incus forgets an operation 5 s after its end
    CHECK(when(core::act::upgrade) > 1.5);
}

TEST_CASE("packages that take too long are given up, with what lists them, and the command runs") {
    waiting w;
    w.incus.before_turn = milliseconds{60'000};
    w.expect_plain();
    CHECK(w.incus.left == names{"listing"});
    CHECK(w.checks.swept == names{std::string(fake_world::default_txn) + "-packages"});
}

TEST_CASE("who interrupts while the packages are listed does not wait for them, and no command runs") {
    waiting w;
    w.incus.before_turn = milliseconds{60'000};
    w.incus.on_call = [&](fakes::fake_incus& incus) {
        if (incus.calls.back() == "begin") {
            w.inbox.interrupt();
        }
    };
    const auto r = w.run();
    CHECK(r.how == outcome::refused);
    CHECK(w.times("upgrade") == 0);
    CHECK(w.incus.left == names{"listing"});
    CHECK(w.checks.swept.size() == 1);
    CHECK(w.incus.content == "old");
}

TEST_CASE("a command whose snapshot failed is left alone") {
    waiting w;
    w.incus.failures["snapshot"] = {};
    CHECK(w.run().how == outcome::refused);
    CHECK(w.times("upgrade") == 0);
    CHECK(w.incus.left == names{"waiting"});
    CHECK(w.checks.swept.empty());
}

TEST_CASE("a snapshot that is taken again does not begin the command again") {
    waiting w;
    w.incus.failures["snapshot"] = {fakes::trouble::transient, 1, core::reason::no_daemon};
    CHECK(w.run().how == outcome::committed);
    CHECK(w.times("begin") == 1);
    CHECK(w.times("upgrade") == 1);
}
