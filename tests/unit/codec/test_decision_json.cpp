// SPDX-License-Identifier: Apache-2.0
// A published decision, and what an older belay wrote before there were any.
#include "codec/decision_json.hpp"
#include "codec/record_json.hpp"
#include "samples.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <random>

using namespace belay;
using namespace belay::testing;
using core::reason;
using core::verdict;
using json = nlohmann::ordered_json;

namespace {

core::record read(const std::string& line) {
    auto r = codec::from_json_line(line);
    INFO(line);
    REQUIRE(r);
    return *std::move(r);
}

template <class Event>
Event back(Event e) {
    return std::get<Event>(read(codec::to_json_line(record_of(std::move(e), "x"))).what);
}

/// A line as it was before, of a record that is read as this event.
template <class Event>
Event from_older(const std::string& type, const std::string& keys) {
    return std::get<Event>(read(R"({"v":1,"seq":1,"time":"2026-11-20T10:00:00.000Z","boottime":10.5,)"
                                R"("txn":"20261120t100000z-0001","instance":"web1","type":")" +
                                type + R"(","target":"",)" + keys + R"(,"sum":"00000000"})")
                               .what);
}

constexpr const char* older_plan =
    R"("plan":{"instance":"web1","project":"default","command":{"argv":["true"],"env_names":[],"interactive":false},)"
    R"("checks":[],"expect_lost":[],"uncovered":[],"accept_unhealthy":false,"limits":{"upgrade_ms":3600000,)"
    R"("retry_for_ms":60000,"soak_ms":10000,"stop_ms":10000,"daemon_wait_ms":120000,"rollback_retry_ms":30000,)"
    R"("operation_ms":1800000},"restart":"never","targets":["root"],"hooks":false,"pauses":false,)"
    R"("guards_schedule":false,"confirms":false,"saves_evidence":false,"retains":false,"undoes_kept":false})";

} // namespace

TEST_CASE("a decision survives the way to JSON and back, whatever its texts", "[codec]") {
    for (const auto& text : odd_texts()) {
        for (const auto what : {verdict::commit, verdict::undo}) {
            const core::decision original{what, {reason::no_confirm, text, text, true}};
            const auto line = codec::to_json_line(original);
            CHECK(line.find('\n') == std::string::npos);
            CHECK(codec::decision_from_json(line) == original);
            CHECK(codec::decision_from_json(line + "\n") == original);
        }
    }
}

TEST_CASE("a decision is one line that a person can read", "[codec]") {
    CHECK(codec::to_json_line(core::decision{verdict::commit, {}}) == R"({"verdict":"commit"})");
    CHECK(codec::to_json_line(core::decision{verdict::undo, {reason::no_confirm, "undone at the terminal"}}) ==
          R"({"verdict":"undo","error":{"code":"no-confirm","message":"undone at the terminal","cause":""}})");
    const auto later = codec::decision_from_json(R"({"verdict":"commit","by":"anne","error":null})");
    REQUIRE(later); // keys that a later belay added
    CHECK(*later == core::decision{verdict::commit, {}});
}

TEST_CASE("what is no decision is an error, and nothing throws", "[codec]") {
    for (const auto* text : {"", "\n", "null", "[]", "{", "{}", "commit", R"({"verdict":null})", R"({"verdict":1})",
                             R"({"verdict":"keep"})", R"({"verdict":"undo","error":"x"})",
                             R"({"verdict":"undo","error":{"code":"bored","message":"","cause":""}})", "\xFF\xFE"}) {
        INFO(text);
        const auto read = codec::decision_from_json(text);
        REQUIRE_FALSE(read);
        CHECK(read.error().code == reason::io_error);
    }
    const auto line = codec::to_json_line(core::decision{verdict::undo, {reason::no_confirm, "why", "cause", true}});
    for (std::size_t length = 0; length < line.size(); ++length) {
        CHECK_FALSE(codec::decision_from_json(std::string_view(line).substr(0, length)));
    }
    std::mt19937 random(1);
    for (int i = 0; i < 5'000; ++i) {
        auto damaged = line;
        damaged[random() % damaged.size()] = static_cast<char>(random());
        (void)codec::decision_from_json(damaged);
    }
}

TEST_CASE("what another process must know of an undo is in its first record", "[codec]") {
    const core::reading dns{"dns", core::place::host, true, core::health::pass, "fine", {"tcp/53 any"}, {"x"}, 0.5};
    const auto e = back(core::opened{full_plan("t"), 7, "boot", {dns}});
    CHECK(e.baseline == std::vector{dns});
    CHECK(e.how.undoes == "t");
    CHECK(e.how.restores == "t");
    CHECK(e.how.takes_present);
    CHECK(e.how.takes_over);
    CHECK(e.how.discards == std::vector<std::string>{"t"});
    CHECK(e.how.limit.confirm == 7ms);
}

TEST_CASE("what the host said is written key by key, and the usual answer is short", "[codec]") {
    const core::error away{reason::no_daemon, "no answer", "refused", true};
    const auto e = back(core::observed{false, core::lock_owner::nobody, true, true, away});
    CHECK_FALSE(e.settled);
    CHECK(e.lock == core::lock_owner::nobody);
    CHECK(e.restored);
    CHECK(e.by_hand);
    CHECK(e.why == away);
    CHECK(back(core::observed{true, core::lock_owner::other, false, false, {}}).lock == core::lock_owner::other);
    CHECK(codec::to_json_line(record_of(core::observed{.settled = true}, "x"))
              .ends_with(R"("type":"observed","target":"","settled":true})"));
}

TEST_CASE("the state of an instance between two restores is in its facts", "[codec]") {
    core::finished e{.what = {core::act::lock, ""}};
    e.facts = core::instance_facts{};
    e.facts->uuid = "u";
    e.facts->generation = "g-1";
    CHECK(back(e).facts == e.facts);
}

TEST_CASE("a journal of an older belay is read, and what it does not say has its usual meaning", "[codec]") {
    const auto opened = from_older<core::opened>("opened", older_plan + std::string(R"(,"pid":7,"boot_id":"boot")"));
    CHECK(opened.how.instance == "web1");
    CHECK(opened.how.limit.confirm == 0ms);
    CHECK(opened.how.undoes.empty());
    CHECK(opened.how.restores.empty());
    CHECK(opened.how.discards.empty());
    CHECK_FALSE(opened.how.takes_present);
    CHECK_FALSE(opened.how.takes_over);
    CHECK(opened.baseline.empty());
    CHECK(core::restored_snapshot(opened.how, "20261120t100000z-0001") == "belay-20261120t100000z-0001");

    const auto observed = from_older<core::observed>("observed", R"("settled":true)");
    CHECK(observed.settled);
    CHECK(observed.lock == core::lock_owner::ours);
    CHECK_FALSE(observed.restored);

    const auto examined = from_older<core::finished>(
        "finished", R"("act":"preflight","attempt":1,"result":"ok","seconds":0.1,"facts":{"uuid":"u","server":"f",)"
                    R"("type":"container","pool":"p","driver":"dir","last_used_at":"","running":true,)"
                    R"("ephemeral":false,"disks":[]})");
    REQUIRE(examined.facts);
    CHECK(examined.facts->uuid == "u");
    CHECK(examined.facts->generation.empty());
}
