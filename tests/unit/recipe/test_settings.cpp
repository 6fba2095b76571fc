// SPDX-License-Identifier: Apache-2.0
#include "recipe/settings.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using namespace std::chrono_literals;
using texts = std::vector<std::string>;

TEST_CASE("what the command line says wins over the recipe, and its lists add to it") {
    recipe::settings base;
    base.command = texts{"apt-get", "upgrade"};
    base.soak = 1min;
    base.keep = 5;
    base.checks = {"tcp 53"};
    base.env = {{"A", "1"}, {"B", "2"}};
    base.quiesce = "stop it";
    recipe::settings over;
    over.soak = 0ms;
    over.checks = {"tcp 53", "tcp 80"};
    over.env = {{"A", "3"}};
    over.quiesce = "";
    const auto merged = recipe::merged(base, over);
    CHECK(merged.command == base.command);
    CHECK(merged.soak == 0ms);
    CHECK(merged.keep == 5);
    CHECK(merged.checks == texts{"tcp 53", "tcp 80"});
    CHECK(merged.env == std::vector<std::pair<std::string, std::string>>{{"B", "2"}, {"A", "3"}});
    core::plan plan;
    recipe::apply(merged, plan);
    CHECK(plan.quiesce.empty());
}

TEST_CASE("a check of the command line is not left out because the recipe says so") {
    recipe::settings base;
    base.no_check = {"services", "listening"};
    recipe::settings over;
    over.checks = {"  services"};
    over.wanted = {"disk-free / 5"};
    CHECK(recipe::merged(base, over).no_check == texts{"listening"});
    over = {};
    over.no_check = {"packages"};
    CHECK(recipe::merged(base, over).no_check == texts{"services", "listening", "packages"});
}

TEST_CASE("nothing said is the plan of the manual") {
    core::plan plan;
    recipe::apply({}, plan);
    CHECK(plan.limit == core::limits{});
    CHECK(plan.limit.upgrade == 1h);
    CHECK(plan.limit.soak == 10s);
    CHECK(plan.keep_for == 168h);
    CHECK(plan.keep == 2);
    CHECK(plan.retains);
    CHECK(plan.saves_evidence);
    CHECK_FALSE(plan.confirms);
    CHECK_FALSE(plan.volumes);
    CHECK(plan.pre.empty());
    CHECK_FALSE(plan.quiesces());
    CHECK(plan.notices.empty());
}

TEST_CASE("settings arrive in the plan") {
    recipe::settings all;
    all.command = texts{"true"};
    all.user = 1000U;
    all.timeout = 2h;
    all.confirm = 10min;
    all.evidence_limit = 0ms;
    all.volumes = recipe::volume_choice{texts{}};
    all.snapshot_mode = core::snapshot_mode::paused;
    all.pre = "gate";
    all.resume = "go on";
    all.committed = "tell";
    all.refused = "";
    all.keep_for = 0ms;
    core::plan plan;
    recipe::apply(all, plan);
    CHECK(plan.command.argv == texts{"true"});
    CHECK(plan.command.user == 1000U);
    CHECK(plan.limit.upgrade == 2h);
    CHECK(plan.confirms);
    CHECK_FALSE(plan.saves_evidence);
    CHECK(plan.volumes == texts{});
    CHECK(plan.mode == core::snapshot_mode::paused);
    REQUIRE(plan.pre.size() == 1);
    CHECK(plan.pre.front().args == texts{"gate"});
    CHECK(plan.pre.front().where == core::place::guest);
    CHECK(plan.pre.front().timeout == 2h);
    CHECK(plan.resume.front().timeout == 1min);
    CHECK(plan.quiesces());
    CHECK(plan.notices == std::vector<core::notice>{{"committed", "tell"}});
    CHECK(plan.keep_for == 0ms);
}
