// SPDX-License-Identifier: Apache-2.0
#include "codec/record_json.hpp"

#include "samples.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <random>

using namespace belay;
using namespace belay::testing;
using json = nlohmann::ordered_json;

namespace {

std::vector<std::string> keys_of(const json& object) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : object.items()) {
        keys.push_back(key);
    }
    return keys;
}

core::record read(const std::string& line) {
    auto r = codec::from_json_line(line);
    INFO(line.substr(0, 2000));
    REQUIRE(r);
    return *std::move(r);
}

std::string problem_with(std::string_view line) {
    const auto r = codec::from_json_line(line);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == core::reason::io_error);
    return r.error().message;
}

/// Writes, reads and writes again. The second writing shows every field that the first one showed; that the first one
/// shows every field is tested apart.
void check_round_trip(const core::record& original) {
    const auto line = codec::to_json_line(original);
    CHECK(line.find('\n') == std::string::npos);
    const auto back = read(line);
    CHECK(back.v == original.v);
    CHECK(back.seq == original.seq);
    CHECK(back.time == original.time);
    CHECK(back.boottime == original.boottime);
    CHECK(back.what.index() == original.what.index());
    CHECK(codec::to_json_line(back) == line);
}

/// A document without the objects in its arrays.
json without_lists_of_objects(json document) {
    if (document.is_array() && !document.empty() && document[0].is_object()) {
        return json::array();
    }
    if (document.is_object()) {
        for (auto& value : document) {
            value = without_lists_of_objects(value);
        }
    }
    return document;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("every event survives the way to JSON and back, whatever its texts", "[codec]") {
    for (const auto& text : odd_texts()) {
        for (const auto& e : all_events(text)) {
            check_round_trip(record_of(e, text));
        }
    }
}

TEST_CASE("a brief reading lacks the lists of objects, and nothing else", "[codec]") {
    for (const auto& text : odd_texts()) {
        for (const auto& e : all_events(text)) {
            const auto line = codec::to_json_line(record_of(e, text));
            const auto brief = codec::from_json_line(line, codec::detail::brief);
            INFO(line.substr(0, 2000));
            REQUIRE(brief);
            const auto left = without_lists_of_objects(json::parse(line)).dump();
            CHECK(codec::to_json_line(*brief) == codec::to_json_line(read(left)));
        }
    }
    const auto line = codec::to_json_line(record_of(core::closed{full_report("x")}, "x"));
    auto expected = full_report("x");
    expected.phases.clear();
    expected.checks.clear();
    expected.packages = core::package_diff{};
    CHECK(std::get<core::closed>(codec::from_json_line(line, codec::detail::brief)->what).summary == expected);
}

TEST_CASE("a brief reading has the errors of a whole one", "[codec]") {
    const auto line = codec::to_json_line(record_of(core::closed{full_report("x")}, "x"));
    for (std::size_t size = 0; size < line.size(); ++size) {
        REQUIRE_FALSE(codec::from_json_line(line.substr(0, size), codec::detail::brief));
    }
    for (const auto& wrong : {replaced(line, "closed", "mooted"), replaced(line, "\"v\":1", "\"v\":2"),
                              replaced(line, "\"outcome\"", "\"\""), replaced(line, "\"phases\":[{", "\"faces\":[{"),
                              line + "]", std::string("[{"), std::string("\"\\")}) {
        const auto brief = codec::from_json_line(wrong, codec::detail::brief);
        REQUIRE_FALSE(brief);
        CHECK(brief.error().message == problem_with(wrong));
    }
}

TEST_CASE("keys may come in any order", "[codec]") {
    const auto line = codec::to_json_line(record_of(core::closed{full_report("x")}, "x"));
    const auto document = json::parse(line);
    auto backwards = json::object();
    for (auto item = document.rbegin(); item != document.rend(); ++item) {
        backwards[item.key()] = item.value();
    }
    CHECK(codec::to_json_line(read(backwards.dump())) == line);
}

TEST_CASE("no field of an event gets lost", "[codec]") {
    const std::string text = "odd \" text\n";
    const auto back = [&](core::event e) { return read(codec::to_json_line(record_of(std::move(e), text))); };
    const auto envelope = back(core::observed{});
    CHECK(envelope.txn == text);
    CHECK(envelope.instance == text);
    const auto opened = std::get<core::opened>(back(core::opened{full_plan(text), 7, text}).what);
    CHECK(opened.how == full_plan(text));
    CHECK(opened.pid == 7);
    CHECK(opened.boot_id == text);
    CHECK(std::get<core::closed>(back(core::closed{full_report(text)}).what).summary == full_report(text));

    const auto begin = std::get<core::started>(back(core::started{{core::act::confirm, text}, 2, noon}).what);
    CHECK(begin.what == core::key{core::act::confirm, text});
    CHECK(begin.attempt == 2);
    CHECK(begin.until == noon);

    const auto full = full_finished(text);
    const auto end = std::get<core::finished>(back(full).what);
    CHECK(end.what == full.what);
    CHECK(end.attempt == full.attempt);
    CHECK(end.how == full.how);
    CHECK(end.why == full.why);
    CHECK(end.seconds == full.seconds);
    CHECK(end.facts == full.facts);
    CHECK(end.checks == full.checks);
    CHECK(end.judgements == full.judgements);
    CHECK(end.command == full.command);
    CHECK(end.packages == full.packages);
    CHECK(end.evidence == full.evidence);
    CHECK(end.copy == full.copy);
    CHECK(end.expires == full.expires);

    CHECK(std::get<core::interrupted>(back(core::interrupted{full.why}).what).why == full.why);
    CHECK(std::get<core::resumed>(back(core::resumed{7, text}).what).boot_id == text);
    const auto out = std::get<core::output>(back(core::output{core::output::stream::err, text}).what);
    CHECK(out.from == core::output::stream::err);
    CHECK(out.bytes == text);
    const auto round = std::get<core::checked>(back(core::checked{full.what, 7, full.judgements}).what);
    CHECK(round.what == full.what);
    CHECK(round.judgements == full.judgements);
    CHECK(std::get<core::soaking>(back(core::soaking{full.what, 9.5}).what).what == full.what);
}

TEST_CASE("no package that changed is not the same as not knowing", "[codec]") {
    core::finished e{.what = {core::act::upgrade, ""}, .packages = core::package_diff{}};
    CHECK(std::get<core::finished>(read(codec::to_json_line(record_of(e, "x"))).what).packages == core::package_diff{});
    e.packages.reset();
    CHECK_FALSE(std::get<core::finished>(read(codec::to_json_line(record_of(e, "x"))).what).packages);
}

TEST_CASE("a limit of zero is read back as zero, and one that an older belay did not write as its default", "[codec]") {
    core::opened e;
    e.how.limit.evidence = e.how.limit.restart = 0ms;
    auto line = codec::to_json_line(record_of(e, "x"));
    CHECK(std::get<core::opened>(read(line).what).how.limit.evidence == 0ms);
    const std::string key = "\"evidence_ms\":0,";
    line.erase(line.find(key), key.size());
    CHECK(std::get<core::opened>(read(line).what).how.limit.evidence == core::limits{}.evidence);
}

TEST_CASE("the envelope comes first, then the event's own keys, in a fixed order", "[codec]") {
    const std::vector<std::string> envelope{"v", "seq", "time", "boottime", "txn", "instance", "type", "target"};
    for (const auto& e : all_events("x")) {
        const auto object = json::parse(codec::to_json_line(record_of(e, "x")));
        auto keys = keys_of(object);
        keys.resize(envelope.size());
        CHECK(keys == envelope);
        CHECK(object["type"] == core::type_of(e));
    }
    CHECK(codec::to_json_line(record_of(core::started{{core::act::snapshot, "root"}, 1, {}}, "x")) ==
          R"({"v":1,"seq":18446744073709551615,"time":"2026-11-23T22:40:00.123Z","boottime":12345.678901234,)"
          R"("txn":"x","instance":"x","type":"started","target":"root","act":"snapshot","attempt":1})");
}

TEST_CASE("invalid UTF-8 is replaced, everywhere", "[codec]") {
    std::mt19937 random(20261123);
    std::vector<std::string> texts{"\xFF", "a\xC3", "\xE2\x82", "\xED\xA0\x80", "\xF8\x88\x80\x80\x80", "\xC0\x80"};
    for (int i = 0; i < 200; ++i) {
        auto& text = texts.emplace_back(random() % 40, '\0');
        for (auto& c : text) {
            c = static_cast<char>(random());
        }
    }
    for (const auto& text : texts) {
        for (const auto& e : all_events(text)) {
            const auto line = codec::to_json_line(record_of(e, text));
            REQUIRE(json::accept(line));
            read(line);
        }
    }
    const auto out = read(codec::to_json_line(record_of(core::output{{}, "a\xFFz"}, "x")));
    CHECK(std::get<core::output>(out.what).bytes == "a\xEF\xBF\xBDz");
}

TEST_CASE("numbers that JSON has no word for do no harm", "[codec]") {
    auto r = record_of(core::soaking{{}, -std::numeric_limits<double>::infinity()}, "x");
    r.boottime = std::numeric_limits<double>::quiet_NaN();
    CHECK(read(codec::to_json_line(r)).boottime == 0);
}

TEST_CASE("keys that a later belay added are passed over", "[codec]") {
    for (const auto& e : all_events("x")) {
        const auto line = codec::to_json_line(record_of(e, "x"));
        const auto later = line.substr(0, line.size() - 1) + R"(,"later":{"a":[1,2,null]},"sum":"00000000"})";
        CHECK(codec::to_json_line(read(later)) == line);
    }
}

TEST_CASE("a newer version is refused by its number, an unknown type by its name", "[codec]") {
    const auto line = codec::to_json_line(record_of(core::decided{}, "x"));
    const auto newer = problem_with(replaced(line, "\"v\":1", "\"v\":2"));
    CHECK(newer.find("version 2") != std::string::npos);
    CHECK(newer.find("version 1") != std::string::npos);
    CHECK(problem_with(replaced(line, "\"v\":1", "\"v\":18446744073709551615")).find("18446744073709551615") !=
          std::string::npos);
    // The version is looked at before anything else: nobody knows what a newer record looks like.
    CHECK(problem_with(R"({"v":3})").find("version 3") != std::string::npos);
    const auto type = problem_with(replaced(line, "\"decided\"", "\"pondered\""));
    CHECK(type.find("'pondered'") != std::string::npos);
    CHECK(type.find("version 1") != std::string::npos);
}

TEST_CASE("what is no record gets an error that names the key", "[codec]") {
    const auto line = codec::to_json_line(record_of(full_finished("x"), "x"));
    CHECK(problem_with(replaced(line, "\"seq\":", "\"qes\":")).find("'seq' is missing") != std::string::npos);
    CHECK(problem_with(replaced(line, "22:40", "25:40")).find("'time'") != std::string::npos);
    CHECK(problem_with(replaced(line, "\"attempt\":3", "\"attempt\":3000000000")).find("'attempt'") !=
          std::string::npos);
    CHECK(problem_with(replaced(line, "\"schedule-off\"", "\"dance\"")).find("'act'") != std::string::npos);
    CHECK(problem_with(replaced(line, "\"covered\":true", "\"covered\":1")).find("'facts.disks[0].covered'") !=
          std::string::npos);
    CHECK(problem_with(replaced(line, "\"good\":[", "\"good\":[null,")).find("'checks[0].good[0]'") !=
          std::string::npos);
}

TEST_CASE("no text makes the reader throw", "[codec]") {
    for (const auto* text : {"", " ", "null", "[]", "1", "{", "{}", "{\"v\":1}", "{\"v\":\"1\"}", "{\"v\":0}", "\xFF",
                             "{\"v\":1}{\"v\":1}", "\"\\ud800\"", "{\"v\":1.5}"}) {
        problem_with(text);
    }
    problem_with(std::string(64, '\0'));
    problem_with(std::string(1'000'000, '['));
    const auto line = codec::to_json_line(record_of(full_finished("x"), "x"));
    for (std::size_t length = 0; length < line.size(); ++length) {
        problem_with(std::string_view(line).substr(0, length));
    }
    std::mt19937 random(1);
    for (int i = 0; i < 20'000; ++i) {
        auto damaged = line;
        damaged[random() % damaged.size()] = static_cast<char>(random());
        (void)codec::from_json_line(damaged); // many are still valid: a digit for another
    }
}
