// SPDX-License-Identifier: Apache-2.0
// What belay changes of an instance and of a volume: its own keys, and the schedule of snapshots. Nothing else changes.
#include "core/lock_rule.hpp"
#include "fake_daemon.hpp"
#include "incus/instance.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace belay;
using namespace std::chrono_literals;

namespace {

const std::string lock_key(core::lock_key_name);
const std::string schedule_key{"snapshots.schedule"};

struct setup {
    fakes::daemon daemon;
    incus::instance web1{daemon.server.socket(), "default", "web1"};
};

} // namespace

TEST_CASE("the lock key is a compare-and-swap", "[incus]") {
    setup s;
    CHECK(*s.web1.change({{{lock_key, "one"}}}, "\"tag-1\"", 5s) == ports::swapped::done);
    CHECK(s.daemon.config["user.belay.transaction"] == "one");
    CHECK(*s.web1.change({{{lock_key, "two"}}}, "\"tag-1\"", 5s) == ports::swapped::lost);
    CHECK(s.daemon.config["user.belay.transaction"] == "one");
    s.daemon.busy = 2;
    CHECK(*s.web1.change({{{lock_key, ""}}}, "\"tag-2\"", 5s) == ports::swapped::done);
    CHECK_FALSE(s.daemon.config.contains("user.belay.transaction"));
}

TEST_CASE("several keys are set and taken away in one compare-and-swap", "[incus]") {
    setup s;
    const std::string restored_key(core::restored_key_name);
    s.daemon.config["limits.memory"] = "1GiB";
    CHECK(*s.web1.change({{{lock_key, "one"}, {restored_key, "t"}}}, "\"tag-1\"", 5s) == ports::swapped::done);
    CHECK(s.daemon.config[lock_key] == "one");
    CHECK(s.daemon.config[restored_key] == "t");
    CHECK(*s.web1.change({{{lock_key, ""}, {restored_key, "u"}}}, "\"tag-1\"", 5s) == ports::swapped::lost);
    CHECK(s.daemon.config[lock_key] == "one"); // neither of them
    CHECK(s.daemon.config[restored_key] == "t");
    CHECK(*s.web1.change({{{lock_key, "two"}, {restored_key, ""}}}, "\"tag-2\"", 5s) == ports::swapped::done);
    CHECK(s.daemon.config[lock_key] == "two");
    CHECK_FALSE(s.daemon.config.contains(restored_key));
    CHECK(s.daemon.config["limits.memory"] == "1GiB");
    CHECK(std::ranges::count(s.daemon.asked(), "PATCH /1.0/instances/web1") == 3);
}

TEST_CASE("what people wrote about an instance stays when its keys change", "[incus]") {
    setup s;
    const std::string wanted = GENERATE("", "the web server of \"a & b\"\nask ops");
    s.daemon.description = wanted;
    const auto seen = s.web1.examine(5s);
    REQUIRE(seen);
    CHECK(seen->facts.description == wanted);
    CHECK(*s.web1.change({{{lock_key, "one"}}}, seen->etag, 5s) == ports::swapped::done);
    CHECK(s.daemon.description == wanted);
    CHECK(*s.web1.change({{}, "another"}, "\"tag-2\"", 5s) == ports::swapped::done);
    CHECK(s.daemon.description == "another");
    CHECK(s.daemon.config[lock_key] == "one");
}

TEST_CASE("what people wrote since an instance was read a second ago stays, too", "[incus]") {
    setup s;
    const auto seen = s.web1.examine(5s);
    REQUIRE(seen);
    s.daemon.description = "changed by somebody meanwhile"; // which no ETag knows of
    std::this_thread::sleep_for(1s);
    CHECK(*s.web1.change({{{lock_key, "one"}}}, seen->etag, 5s) == ports::swapped::done);
    CHECK(s.daemon.description == "changed by somebody meanwhile");
    CHECK(s.daemon.config[lock_key] == "one");
}

TEST_CASE("a schedule is switched off and on again, and nothing else of the instance changes", "[incus]") {
    setup s;
    s.daemon.description = "the web server";
    const auto before = s.daemon.config;
    const std::optional<std::string> own = GENERATE(std::optional<std::string>{}, "@daily");
    if (own) {
        s.daemon.config[schedule_key] = *own;
    }
    REQUIRE(s.web1.schedule_off("root", 5s));
    CHECK(s.daemon.config[schedule_key] == "@never");
    CHECK(s.daemon.description == "the web server");
    s.daemon.description = "changed by somebody meanwhile";
    REQUIRE(s.web1.schedule_on("root", own, 5s));
    CHECK(s.daemon.description == "changed by somebody meanwhile");
    CHECK(s.daemon.config.value(schedule_key, "") == own.value_or(""));
    s.daemon.config.erase(schedule_key);
    CHECK(s.daemon.config == before);

    s.daemon.config[schedule_key] = "@weekly"; // somebody's own meanwhile
    REQUIRE(s.web1.schedule_on("root", own, 5s));
    CHECK(s.daemon.config[schedule_key] == "@weekly");
}

TEST_CASE("a schedule of a volume likewise", "[incus]") {
    setup s;
    s.daemon.volume["description"] = "the data";
    s.daemon.volume["config"] = {{schedule_key, "@daily"}, {"size", "1GiB"}};
    const auto before = s.daemon.volume;
    REQUIRE(s.web1.schedule_off("p/data", 5s));
    CHECK_FALSE(s.daemon.volume["config"].contains(schedule_key));
    CHECK(s.daemon.volume["description"] == "the data");
    REQUIRE(s.web1.schedule_on("p/data", "@daily", 5s));
    CHECK(s.daemon.volume == before);

    s.daemon.volume["config"][schedule_key] = "@weekly"; // somebody's own meanwhile
    REQUIRE(s.web1.schedule_on("p/data", "@daily", 5s));
    CHECK(s.daemon.volume["config"][schedule_key] == "@weekly");
}

TEST_CASE("a schedule that may not be read is not switched off", "[incus]") {
    setup s;
    s.daemon.hidden = {"/1.0/instances/web1", "/1.0/storage-pools/p/volumes/custom/data"};
    CHECK_FALSE(s.web1.schedule_off("root", 5s));
    const auto volume = s.web1.schedule_off("p/data", 5s);
    REQUIRE_FALSE(volume);
    CHECK(volume.error().code == core::reason::no_permission);
    CHECK(std::ranges::none_of(s.daemon.asked(), [](const auto& what) { return what.starts_with("PATCH"); }));
}
