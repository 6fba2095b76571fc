// SPDX-License-Identifier: Apache-2.0
#include "recipe/json.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

using namespace belay;
using namespace std::chrono_literals;
using texts = std::vector<std::string>;

namespace {

recipe::settings read(const std::string& text) {
    auto read = recipe::read(text, "web.json");
    if (!read) {
        FAIL(read.error().message);
    }
    return *std::move(read);
}

std::string mistake(const std::string& text) {
    const auto read = recipe::read(text, "web.json");
    REQUIRE_FALSE(read);
    CHECK(read.error().code == core::reason::usage);
    return read.error().message;
}

/// A recipe in which every key says something else than its default.
const std::string everything = R"({
  "$schema": "../recipe.schema.json",
  "summary": "All \"of\" it",
  "command": ["sh", "-c", "", "--"],
  "env": {"A": "1", "B": ""},
  "user": 4294967295, "group": 7, "cwd": "/srv",
  "timeout": "2h", "log_limit": "64KiB",
  "checks": ["tcp 53", "http http://x/"], "wanted": ["disk-free / 5"], "check_cmd": ["true"],
  "no_check": ["services"], "no_checks": true,
  "retry_for": "90s", "soak": 0, "accept_unhealthy": false, "expect_lost": ["unit *"], "confirm": "1.5h",
  "restart": "if-needed", "restart_timeout": "1m", "stop_timeout": "0", "daemon_wait": "5m",
  "volumes": ["fast/data"], "snapshot_mode": "stopped", "min_free": 1024, "uncovered": ["/mnt"],
  "pre": "a", "quiesce": "b", "resume": "c", "committed": "d", "rolled-back": "e", "stuck": "f", "refused": "g",
  "keep_for": "30d", "keep": 0, "drop_if_unchanged": true, "evidence_limit": "1500ms", "evidence": ["df"],
  "keep_failed": true
})";

} // namespace

TEST_CASE("every key of a recipe is read, and written again") {
    const auto all = read(everything);
    CHECK(all.command == texts{"sh", "-c", "", "--"});
    CHECK(all.env == std::vector<std::pair<std::string, std::string>>{{"A", "1"}, {"B", ""}});
    CHECK(all.user == 4294967295U);
    CHECK(all.soak == 0ms);
    CHECK(all.confirm == 90min);
    CHECK(all.accept_unhealthy == false);
    CHECK(all.restart == core::restart_policy::if_needed);
    CHECK(all.snapshot_mode == core::snapshot_mode::stopped);
    CHECK(all.volumes == recipe::volume_choice{texts{"fast/data"}});
    CHECK(all.log_limit == 65'536U);
    CHECK(all.keep == 0);
    CHECK(all.rolled_back == "e");
    CHECK(read(recipe::write(all)) == all);
    for (const auto& name : recipe::key_names()) {
        INFO(name);
        CHECK(nlohmann::json::parse(recipe::write(all)).contains(name));
    }
}

TEST_CASE("nothing is set by an empty recipe, and comments say nothing") {
    CHECK(read("{}") == recipe::settings{});
    CHECK(read("// one\n/* two\n */ { // three\n}\n") == recipe::settings{});
    CHECK(recipe::write({}) == "{}\n");
}

TEST_CASE("a command may be a line for the shell, and volumes a word") {
    CHECK(read(R"({"command": "a && b"})").command == texts{"sh", "-c", "a && b"});
    CHECK(read(R"({"volumes": "all"})").volumes == recipe::volume_choice{});
    CHECK(read(R"({"volumes": "none"})").volumes == recipe::volume_choice{texts{}});
}

TEST_CASE("a mistake in a recipe names file, line and the nearest known key") {
    CHECK(mistake("{\n  \"soak\": \"10s\",\n  \"sock\": \"1s\"\n}") ==
          "web.json:3: there is no key 'sock' in recipes, did you mean 'soak'?");
    CHECK(mistake(R"({"entirely_else": 1})") == "web.json:1: there is no key 'entirely_else' in recipes");
    CHECK(mistake("{\"keep\": 1,\n\n\"keep\": 2}") == "web.json:3: key 'keep' is already in line 1");
    CHECK(mistake("\n{\n\"keep\":\n5000\n}") == "web.json:4: 'keep' wants a whole number from 0 to 1000");
    CHECK(mistake("{\"keep\": -1}") == "web.json:1: 'keep' wants a whole number from 0 to 1000");
    CHECK(mistake("{\"user\": 4294967296}").find("'user' wants a whole number") != std::string::npos);
    CHECK(mistake("{\"keep\": 1.5\n}").starts_with("web.json:1: 'keep' wants no number with a fraction"));
    CHECK(mistake("{\"soak\": \"10\"}").starts_with("web.json:1: 'soak': '10' is not a duration"));
    CHECK(mistake("{\"soak\": 10}").starts_with("web.json:1: 'soak' wants a duration"));
    CHECK(mistake("{\"min_free\": \"much\"}").starts_with("web.json:1: 'min_free': 'much' is no size"));
    CHECK(mistake("{\"restart\": \"maybe\"}") == R"(web.json:1: 'restart' is one of "never", "if-needed", "always")");
    CHECK(mistake("{\"snapshot_mode\": \"automatic\"}").find("\"live\"") != std::string::npos);
    CHECK(mistake("{\"checks\": \"tcp 53\"}").starts_with("web.json:1: 'checks' wants a list of texts"));
    CHECK(mistake("{\"checks\": [\n\"tcp 53\",\n53]}") == "web.json:3: 'checks' wants texts in here");
    CHECK(mistake("{\"checks\": [[]]}") == "web.json:1: 'checks' wants no list in here");
    CHECK(mistake("{\"env\": {\"A\": {}}}") == "web.json:1: 'env' wants no object in here");
    CHECK(mistake("{\"env\": {\"A\": 1}}") == "web.json:1: 'env' wants texts in here");
    CHECK(mistake("{\"env\": {\"A\": \"\", \"A\": \"\"}}") == "web.json:1: 'env' has 'A' twice");
    CHECK(mistake("{\"env\": {\"A=B\": \"\"}}").find("'A=B'") != std::string::npos);
    CHECK(mistake("{\"env\": [\"A=1\"]}").find("wants an object") != std::string::npos);
    CHECK(mistake("{\"command\": []}") == "web.json:1: 'command' is empty");
    CHECK(mistake("{\"command\": [\"\"]}") == "web.json:1: 'command' is empty");
    CHECK(mistake("{\"command\": \"\"}") == "web.json:1: 'command' is empty");
    CHECK(mistake("{\"keep_failed\": \"yes\"}") == "web.json:1: 'keep_failed' wants true or false");
    CHECK(mistake("{\"soak\": null}").find("leave the key out") != std::string::npos);
}

TEST_CASE("what is no JSON object is said to be none, in its line") {
    CHECK(mistake("").starts_with("web.json:1: this is no JSON"));
    CHECK(mistake("{\n\"soak\": \"1s\",\n").starts_with("web.json:2: this is no JSON"));
    CHECK(mistake("{\n\"soak\": \"1s\"\n\"keep\": 1}").starts_with("web.json:3: this is no JSON"));
    CHECK(mistake("{} {}").starts_with("web.json:1: this is no JSON"));
    CHECK(mistake("[]") == "web.json:1: a recipe is one JSON object: { … }");
    CHECK(mistake("5") == "web.json:1: a recipe is one JSON object: { … }");
    CHECK(mistake("\x1b[2J").find('\x1b') == std::string::npos);
    CHECK_FALSE(recipe::read(std::string("{\"summary\": \"\xff\"}"), "x"));
    CHECK_FALSE(recipe::read(std::string(20'000, '['), "x"));
}

TEST_CASE("the schema knows the keys that recipes have, and no others") {
    const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
    std::ifstream in(root / "src/recipe/recipe.schema.json");
    REQUIRE(in);
    std::set<std::string> known;
    const auto document = nlohmann::json::parse(in);
    for (const auto& [name, schema] : document.at("properties").items()) {
        known.insert(name);
    }
    const auto names = recipe::key_names();
    CHECK(known == std::set<std::string>(names.begin(), names.end()));
}
