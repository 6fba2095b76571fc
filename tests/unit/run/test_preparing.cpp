// SPDX-License-Identifier: Apache-2.0
// What is prepared before its turn, when, and how far.
#include "fakes/world.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using core::outcome;
using fakes::fake_world;
using names = std::vector<std::string>;

namespace {

/// On btrfs, where an instance goes on while its snapshot is taken.
struct preparing : fake_world {
    preparing() {
        plan.lists_packages = true;
        incus.facts.driver = "btrfs";
    }

    void fails() {
        incus.command = [](fakes::fake_incus& now) {
            now.content = "broken";
            return 1;
        };
    }
};

} // namespace

TEST_CASE("the checks wait while the lock is written, and the command is only accepted") {
    preparing w;
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.prepared == names{"shell waits after check_restorable", "upgrade that waits accepted after lock",
                                    "shell waits after packages"});
}

TEST_CASE(
    "without checks the command is accepted before anything is written, and the shell of the listing waits behind it") {
    preparing w;
    w.plan.checks.clear();
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.prepared == names{"upgrade that waits accepted after examine", "shell waits after packages"});
}

TEST_CASE("no shell waits behind a command that somebody stands by") {
    preparing w;
    w.plan.checks.clear();
    w.incus.failures["packages"] = {}; // it has no package manager
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.prepared == names{"upgrade that waits accepted after examine"});
}

TEST_CASE("nothing is prepared for behind a restart, or a command on a terminal") {
    preparing w;
    std::string beside = "upgrade that waits";
    SECTION("restart") {
        w.plan.restart = GENERATE(core::restart_policy::always, core::restart_policy::if_needed);
    }
    SECTION("terminal") {
        w.plan.command.interactive = true;
        beside = "sh"; // which lists the packages
    }
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.prepared == names{"shell waits after check_restorable", beside + " accepted after lock"});
}

TEST_CASE("the collectors are prepared when the command has failed") {
    preparing w;
    w.fails();
    w.plan.saves_evidence = true;
    w.plan.collectors = {{"journal", "/hooks/journal", {}}};
    CHECK(w.run().how == outcome::rolled_back);
    REQUIRE(w.incus.prepared.size() == 4);
    CHECK(w.incus.prepared.back() == "shell waits after upgrade");
}

TEST_CASE("what nobody would use is not prepared") {
    preparing w;
    w.plan.lists_packages = false;
    w.plan.checks.clear();
    w.fails();
    w.plan.saves_evidence = GENERATE(true, false); // of nothing
    CHECK(w.run().how == outcome::rolled_back);
    CHECK(w.incus.prepared == names{"upgrade that waits accepted after examine"});
}

TEST_CASE("an instance that stands still for its snapshot is not asked for the command meanwhile") {
    preparing w;
    w.incus.facts.driver = "dir";
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.prepared == names{"shell waits after check_restorable", "shell waits after snapshot"});
}

TEST_CASE("nor before, when it will be paused for that") {
    preparing w;
    w.plan.checks.clear();
    w.plan.mode = core::snapshot_mode::paused;
    CHECK(w.run().how == outcome::committed);
    CHECK(w.incus.prepared == names{"shell waits after check_restorable", // the list of packages alone
                                    "shell waits after unpause"});
}

TEST_CASE("what is refused before the lock has nothing that waits in the instance") {
    preparing w;
    SECTION("locked by somebody else") {
        w.incus.config[std::string(core::lock_key_name)] = "20260101t000000z-abcd other-machine boot 1";
    }
    SECTION("ephemeral") {
        w.incus.facts.ephemeral = true;
    }
    SECTION("stopped") {
        w.incus.facts.running = false;
    }
    CHECK(w.run().how == outcome::refused);
    CHECK(w.incus.prepared.empty());
}

TEST_CASE("an undo, which has neither baseline nor command, prepares nothing") {
    preparing w;
    REQUIRE(w.run().how == outcome::committed);
    w.incus.prepared.clear();
    w.plan.undoes_kept = true;
    w.plan.takes_present = true;
    w.plan.undoes = fake_world::default_txn;
    w.plan.restores = core::snapshot_name(fake_world::default_txn);
    w.locks.journals[fake_world::default_txn] = core::journal_knowledge::closed;
    w.incus.facts.running = true;
    w.plan.command = {};
    CHECK(w.run("20261123t224000z-0002").how == outcome::rolled_back);
    CHECK(w.incus.prepared.empty());
}
