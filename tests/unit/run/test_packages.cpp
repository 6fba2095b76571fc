// SPDX-License-Identifier: Apache-2.0
// When the packages are listed, beside what, and that nothing depends on it; and that a round proves that programs run.
#include "fakes/world.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using core::act;
using core::outcome;
using fakes::fake_world;
using names = std::vector<std::string>;

namespace {

const core::package_diff one_upgraded{{{"app", "1", "2"}}, {}, {}};

/// An upgrade that changes a package.
struct upgrading : fake_world {
    explicit upgrading(bool has_checks = true) {
        plan.lists_packages = true;
        if (!has_checks) {
            plan.checks.clear();
        }
        incus.command = [](fakes::fake_incus& now) {
            now.content = "new";
            now.packages = "app\t2\n";
            return 0;
        };
    }

    /// The calls of these names, in their order.
    names calls(const names& which) const {
        names found;
        std::ranges::copy_if(incus.calls, std::back_inserter(found),
                             [&](const auto& call) { return std::ranges::find(which, call) != which.end(); });
        return found;
    }

    long times(const std::string& call) const { return std::ranges::count(incus.calls, call); }

    /// The act whose end says what changed.
    std::optional<act> told_by() const {
        for (const auto& r : journal.records) {
            const auto* end = std::get_if<core::finished>(&r.what);
            if (end && end->packages) {
                return end->what.what;
            }
        }
        return std::nullopt;
    }
};

} // namespace

TEST_CASE("after the command the packages are listed beside the first round of checks") {
    upgrading w;
    const auto r = w.run();
    CHECK(r.how == outcome::committed);
    CHECK(r.packages == one_upgraded);
    CHECK(w.told_by() == act::verify);
    CHECK(w.calls({"begin", "snapshot", "upgrade", "packages"}) ==
          names{"begin", "packages", "snapshot", "upgrade", "packages"});
}

TEST_CASE("the packages are listed while the snapshot is taken, and that is over before the command") {
    upgrading w(GENERATE(true, false));
    const auto r = w.run();
    CHECK(r.how == outcome::committed);
    CHECK(r.packages == one_upgraded);
    CHECK(w.calls({"lock", "begin", "snapshot", "upgrade"}) == names{"lock", "begin", "snapshot", "upgrade"});
    CHECK(w.times("packages") == 2);
}

TEST_CASE("the packages are listed before anything that the instance must not be asked in") {
    upgrading w(false);
    SECTION("a storage that freezes it") {
        w.incus.facts.driver = "dir";
    }
    SECTION("a pause") {
        w.plan.mode = core::snapshot_mode::paused;
    }
    SECTION("a stop") {
        w.plan.mode = core::snapshot_mode::stopped;
    }
    SECTION("a hook that changes something") {
        w.plan.pre = {fakes::hook("pre")};
    }
    SECTION("hooks around the snapshots") {
        w.plan.quiesce = {fakes::hook("quiesce")};
        w.plan.resume = {fakes::hook("resume")};
    }
    const auto r = w.run();
    CHECK(r.how == outcome::committed);
    CHECK(r.packages == one_upgraded);
    CHECK(w.times("begin") == 0);
    const auto calls = w.calls({"packages", "pre", "quiesce", "pause", "stop", "snapshot"});
    REQUIRE(calls.size() > 2);
    CHECK(calls[0] == "packages");
    CHECK(calls[1] != "packages");
}

TEST_CASE("where the packages cannot be listed before, they are not listed after") {
    upgrading w(GENERATE(false, true));
    w.incus.failures["packages"] = {};
    const auto r = w.run();
    CHECK(r.how == outcome::committed);
    CHECK_FALSE(r.packages);
    CHECK(w.times("packages") == 1);
}

TEST_CASE("a list after the command that did not come is asked for once more while the checks are not good") {
    upgrading w;
    int rounds = 0;
    w.checks.answer = [&](const core::check_spec& spec, fakes::fake_incus& incus, core::milliseconds) {
        const bool good = incus.content == "old" || ++rounds > 4;
        return core::reading{spec.name, spec.where, spec.required, good ? core::health::pass : core::health::fail, "",
                             {},        {},         0.01};
    };
    w.incus.on_call = [&](fakes::fake_incus& incus) {
        if (incus.calls.back() == "upgrade") {
            incus.failures["packages"] = {fakes::trouble::error, 1};
        }
    };
    SECTION("and comes then") {
        CHECK(w.run().packages == one_upgraded);
        CHECK(w.times("packages") == 3);
    }
    SECTION("and never comes") {
        w.incus.on_call = [&](fakes::fake_incus& incus) {
            if (incus.calls.back() == "upgrade") {
                incus.failures["packages"] = {};
            }
        };
        const auto r = w.run();
        CHECK(r.how == outcome::committed);
        CHECK_FALSE(r.packages);
        CHECK(w.times("packages") == 3);
    }
}

TEST_CASE("a command that fails tells what it changed all the same") {
    upgrading w(GENERATE(false, true));
    w.incus.command = [](fakes::fake_incus& now) {
        now.content = "broken";
        now.packages = "app\t2\n";
        return 1;
    };
    SECTION("without evidence at once") {
        CHECK(w.run().packages == one_upgraded);
        CHECK(w.told_by() == act::upgrade);
    }
    SECTION("with evidence then") {
        w.plan.saves_evidence = true;
        w.checks.packages_now = "belay: packages\napp\t2\nbelay: end of packages\n";
        CHECK(w.run().packages == one_upgraded);
        CHECK(w.told_by() == act::evidence);
    }
    CHECK(w.incus.content == "old");
}

TEST_CASE("what the upgrade changed is known when its checks fail, and not asked again for the evidence") {
    upgrading w;
    w.plan.saves_evidence = true;
    w.incus.command = [](fakes::fake_incus& now) {
        now.content = "broken";
        now.packages = "app\t2\n";
        return 0;
    };
    const auto r = w.run();
    CHECK(r.how == outcome::rolled_back);
    CHECK(r.packages == one_upgraded);
    CHECK(w.told_by() == act::verify);
    CHECK(w.checks.asked.empty());
}

TEST_CASE("the packages after a restart are those of the restarted instance") {
    upgrading w(GENERATE(false, true));
    w.plan.restart = core::restart_policy::always;
    CHECK(w.run().packages == one_upgraded);
    CHECK(w.calls({"upgrade", "start", "packages"}) == names{"packages", "upgrade", "start", "packages"});
}

TEST_CASE("a program of the round is the proof that the instance runs, and its status is asked for") {
    upgrading w;
    w.plan.lists_packages = false;
    w.plan.limit.soak = core::milliseconds{0};
    SECTION("a check") {
        CHECK(w.run().how == outcome::committed);
        CHECK(w.calls({"prove_running", "prove_status"}) == names{"prove_status"});
    }
    SECTION("the listing") {
        w.plan.checks.clear();
        w.plan.lists_packages = true;
        CHECK(w.run().how == outcome::committed);
        CHECK(w.calls({"prove_running", "prove_status"}) == names{"prove_status"});
    }
    SECTION("none of the checks ran in it") {
        w.checks.proves = false;
        CHECK(w.run().how == outcome::committed);
        CHECK(w.calls({"prove_running", "prove_status"}) == names{"prove_running"});
    }
    SECTION("nothing was run at all") {
        w.plan.checks.clear();
        w.incus.bystander_speaks = false;
        CHECK(w.run().how == outcome::committed);
        CHECK(w.calls({"prove_running", "prove_status"}) == names{"prove_running"});
    }
    SECTION("it went down when the checks were done") {
        w.plan.limit.retry_for = core::milliseconds{0};
        w.incus.failures["prove_status"] = {fakes::trouble::error, 1, core::reason::not_running};
        const auto r = w.run();
        CHECK(r.how == outcome::rolled_back);
        CHECK(r.why == core::reason::instance_went_down);
    }
}
