// SPDX-License-Identifier: Apache-2.0
// What is saved before a rollback, and that nothing about it stands in the way of one.
#include "fakes/world.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace belay;
using core::outcome;
using fakes::fake_world;
using names = std::vector<std::string>;

namespace {

/// An upgrade that breaks the instance and fails.
struct failing : fake_world {
    failing() {
        plan.saves_evidence = true;
        core::check_spec command;
        command.name = "command-1";
        command.args = {"cat /var/log/app"};
        plan.collectors = {{"journal", "/hooks/journal", {}}, command};
        incus.command = [](auto& now) {
            now.content = "broken";
            return 100;
        };
    }
};

void require_rolled_back(const fake_world& w, const core::report& report) {
    CHECK(report.how == outcome::rolled_back);
    CHECK(report.why == core::reason::command_failed);
    CHECK(w.incus.content == "old");
    CHECK(w.incus.facts.running);
    CHECK(w.incus.lock().empty());
}

} // namespace

TEST_CASE("evidence is saved before the instance is stopped, and named in the report") {
    failing w;
    w.checks.found = {{"journal", "nginx: bind() failed\n"}, {"command-1", "fatal\n"}};
    const auto report = w.run();
    require_rolled_back(w, report);
    CHECK(w.chain().find("undo! evidence stop") != std::string::npos);
    CHECK(report.evidence == names{"checks", "journal", "command-1"});
    CHECK(w.journal.saved.at("evidence/journal") == "nginx: bind() failed\n");
    CHECK(w.journal.saved.at("evidence/command-1") == "$ cat /var/log/app\nfatal\n");
    CHECK(w.journal.saved.at("evidence/checks").starts_with("listening: pass -> "));
    CHECK(w.checks.asked == names{"journal", "command-1"});
}

TEST_CASE("an upgrade that is kept saves no evidence") {
    failing w;
    w.incus.command = [](auto&) { return 0; };
    CHECK(w.run().how == outcome::committed);
    CHECK(w.checks.gatherings == 0);
}

TEST_CASE("without evidence nothing is collected") {
    failing w;
    w.plan.saves_evidence = false;
    require_rolled_back(w, w.run());
    CHECK(w.checks.gatherings == 0);
    CHECK(w.journal.saved.empty());
}

TEST_CASE("evidence never makes a rollback fail") {
    failing w;
    w.checks.found = {{"journal", "text\n"}};
    SECTION("the state directory is full") {
        w.journal.save_fails = [](const auto& file) { return file.starts_with("evidence/"); };
        const auto report = w.run();
        require_rolled_back(w, report);
        CHECK(report.evidence.empty());
        REQUIRE(report.warnings.size() == 1); // once, and not for each file
        CHECK(report.warnings[0].find("No space left on device") != std::string::npos);
    }
    SECTION("only one file finds no room any more") {
        w.journal.save_fails = [](const auto& file) { return file == "evidence/journal"; };
        const auto report = w.run();
        require_rolled_back(w, report);
        CHECK(report.evidence == names{"checks"});
    }
    SECTION("the journal is full as well") {
        w.journal.save_fails = [](const auto&) { return true; };
        w.journal.fails = [](const core::record& r) {
            const auto* end = std::get_if<core::finished>(&r.what);
            return std::holds_alternative<core::warned>(r.what) || (end && end->what.what == core::act::evidence);
        };
        const auto report = w.run();
        CHECK(w.incus.content == "old");
        CHECK(w.incus.facts.running);
        CHECK(report.how == outcome::rolled_back);
    }
    SECTION("the daemon is away") {
        w.incus.command = [](auto& now) {
            now.content = "broken";
            now.daemon_up = false;
            return 1;
        };
        w.checks.found.clear();
        w.incus.on_call = [&](auto& incus) {
            incus.daemon_up = incus.daemon_up || w.clock.now > std::chrono::seconds(20);
        };
        const auto report = w.run();
        CHECK(report.how == outcome::rolled_back);
        CHECK(w.incus.content == "old");
        CHECK(report.evidence == names{"checks"});
    }
    SECTION("the collectors hang: the limit, and no more") {
        w.checks.hangs = true;
        w.plan.lists_packages = true;
        w.incus.packages = "a\t1\n";
        const auto report = w.run();
        require_rolled_back(w, report);
        const auto phase = std::ranges::find(report.phases, "evidence", &core::phase::name);
        REQUIRE(phase != report.phases.end());
        CHECK(phase->seconds <= 5.0);
    }
}

TEST_CASE("the packages of a command that never ended are looked at together with the evidence") {
    failing w;
    w.plan.lists_packages = true;
    w.plan.limit.upgrade = std::chrono::seconds(5);
    w.incus.command_takes = std::chrono::seconds(6);
    w.incus.packages = "nginx\t1.22\nold\t1\n";
    SECTION("whole") {
        w.checks.packages_now = "belay: packages\nnginx\t1.24\nnew\t1\nbelay: end of packages\n";
        const auto report = w.run();
        REQUIRE(report.packages);
        CHECK(core::to_text(*report.packages) == "upgraded nginx 1.22 → 1.24\nadded new 1\nremoved old 1\n");
        CHECK(w.journal.saved.at("evidence/packages") == core::to_text(*report.packages));
        CHECK(report.evidence == names{"checks", "packages"});
    }
    SECTION("the end is missing: nobody knows what was removed") {
        w.checks.packages_now = "belay: packages\nnginx\t1.24\n";
        CHECK_FALSE(w.run().packages);
    }
    SECTION("the beginning is missing") {
        w.checks.packages_now = "nginx\t1.24\nbelay: end of packages\n";
        CHECK_FALSE(w.run().packages);
    }
    CHECK(w.checks.asked == names{"journal", "command-1", "package-list"});
}

TEST_CASE("the broken state is copied while the instance is stopped, and before it is restored") {
    failing w;
    w.plan.keeps_failed = true;
    SECTION("it succeeds") {
        const auto report = w.run();
        require_rolled_back(w, report);
        CHECK(w.chain().find("evidence stop keep-failed restore") != std::string::npos);
        CHECK(report.failed_copy == "web1-failed-" + std::string(fake_world::default_txn));
        CHECK(w.incus.copies.at(report.failed_copy) == "broken");
    }
    SECTION("it fails: a warning, and the rollback goes on") {
        w.incus.failures["copy_to"] = {};
        const auto report = w.run();
        require_rolled_back(w, report);
        CHECK(report.failed_copy.empty());
        REQUIRE_FALSE(report.warnings.empty());
        CHECK(report.warnings[0].find("could not be kept") != std::string::npos);
    }
}
