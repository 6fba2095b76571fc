// SPDX-License-Identifier: Apache-2.0
#include "codec/report_json.hpp"

#include "samples.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>

using namespace belay;
using namespace belay::testing;
using json = nlohmann::ordered_json;

namespace {

json schema() {
    const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
    std::ifstream file(root / "src/report/report.schema.json");
    REQUIRE(file);
    return json::parse(file);
}

std::vector<std::string> keys_of(const json& object) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : object.items()) {
        keys.push_back(key);
    }
    return keys;
}

/// The object has every key that its definition requires, and none that it does not describe.
void check_described(const json& object, const json& definition) {
    for (const auto& key : definition["required"]) {
        CHECK(object.contains(key.get<std::string>()));
    }
    for (const auto& key : keys_of(object)) {
        INFO(key);
        REQUIRE(definition["properties"].contains(key));
        CHECK(definition["properties"][key].contains("description"));
    }
    CHECK(object.size() == definition["properties"].size());
    CHECK(definition["additionalProperties"] == true);
}

template <class Words>
void check_words(const json& definition, const Words& words) {
    CHECK(definition["enum"].get<std::vector<std::string>>() == std::vector<std::string>(words.begin(), words.end()));
}

} // namespace

TEST_CASE("a report survives the way to JSON and back exactly", "[codec]") {
    for (const auto& text : odd_texts()) {
        for (const int indent : {-1, 0, 2}) {
            const auto back = codec::report_from_json(codec::to_json(full_report(text), indent));
            REQUIRE(back);
            CHECK(*back == full_report(text));
        }
    }
    const auto empty = codec::report_from_json(codec::to_json(core::report{}, 2));
    REQUIRE(empty);
    CHECK(*empty == core::report{});
}

TEST_CASE("the keys of a report are the documented ones", "[codec]") {
    const auto object = json::parse(codec::to_json(full_report("x"), -1));
    for (const auto* key :
         {"transaction", "instance",         "project", "command",      "outcome",  "reason", "message",
          "exit_code",   "snapshot",         "started", "seconds",      "phases",   "checks", "packages",
          "evidence",    "downtime_seconds", "log",     "command_exit", "warnings", "manual"}) {
        INFO(key);
        CHECK(object.contains(key));
    }
    CHECK(object["outcome"] == "rolled-back-unhealthy");
    CHECK(object["reason"] == "check-failed");
    CHECK(object["started"] == "2026-11-23T22:40:00.123Z");
    CHECK(keys_of(object["phases"][0]) ==
          std::vector<std::string>{"name", "target", "started", "seconds", "ok", "message"});
    CHECK(keys_of(object["checks"][0]) == std::vector<std::string>{"name", "where", "required", "baseline", "final",
                                                                   "summary", "new_bad", "lost_good", "acceptable",
                                                                   "baseline_summary"});
}

TEST_CASE("what a report does not have is null", "[codec]") {
    const auto object = json::parse(codec::to_json(core::report{}, -1));
    for (const auto* key : {"snapshot", "log", "command_exit", "packages"}) {
        CHECK(object[key].is_null());
    }
    CHECK(object["evidence"] == json::array());
}

TEST_CASE("several reports are an array", "[codec]") {
    const auto array = json::parse(codec::to_json(std::vector{full_report("x"), core::report{}}, 2));
    REQUIRE(array.size() == 2);
    CHECK(array[0] == json::parse(codec::to_json(full_report("x"), -1)));
    CHECK(codec::to_json(std::vector<core::report>{}, -1) == "[]");
}

TEST_CASE("a text that is no report gets an error that names the key", "[codec]") {
    for (const auto* text : {"", "[]", "null", "{", "{}"}) {
        CHECK_FALSE(codec::report_from_json(text));
    }
    auto object = json::parse(codec::to_json(full_report("x"), -1));
    object["checks"][0]["final"] = "perhaps";
    const auto r = codec::report_from_json(object.dump());
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find("'checks[0].final'") != std::string::npos);
}

TEST_CASE("the schema describes every key and every word", "[codec]") {
    const auto all = schema()["$defs"];
    const auto object = json::parse(codec::to_json(full_report("x"), -1));
    check_described(object, all["report"]);
    check_described(object["phases"][0], all["phase"]);
    check_described(object["checks"][0], all["check"]);
    check_described(object["packages"], all["packages"]);
    check_described(object["packages"]["upgraded"][0], all["package_upgrade"]);
    check_described(object["packages"]["added"][0], all["package_version"]);
    check_words(all["outcome"], core::detail::outcome_words);
    check_words(all["reason"], core::detail::reason_words);
    check_words(all["health"], core::detail::health_words);
    check_words(all["check"]["properties"]["where"], core::detail::place_words);
}
