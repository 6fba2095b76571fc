// SPDX-License-Identifier: Apache-2.0
#include "report/jsonl.hpp"

#include "captured.hpp"
#include "fakes/event_stream.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace belay;

TEST_CASE("jsonl is one document per event, without the command's output", "[report]") {
    const test::captured file;
    report::jsonl view(file.fd());
    fakes::event_stream events([&](const auto& r) { view.on(r); });
    events.good();
    std::istringstream lines(file.text());
    std::vector<std::string> types;
    for (std::string line; std::getline(lines, line);) {
        types.push_back(nlohmann::json::parse(line).at("type"));
    }
    CHECK(types.size() == events.records.size() - 2);
    CHECK(std::ranges::find(types, "output") == types.end());
    CHECK(std::ranges::find(types, "soaking") != types.end());
    CHECK(types.front() == "opened");
    CHECK(types.back() == "closed");
}

TEST_CASE("a document is the report of one instance, or an array of several", "[report]") {
    std::vector<core::report> reports;
    for (int i = 0; i < 2; ++i) {
        fakes::event_stream events([&](const auto& r) {
            if (const auto* end = std::get_if<core::closed>(&r.what)) {
                reports.push_back(end->summary);
            }
        });
        events.bad_check();
    }
    REQUIRE(reports.size() == 2);
    const auto array = nlohmann::json::parse(report::report_document(reports, true));
    REQUIRE(array.size() == 2);
    CHECK(array[1].at("outcome") == "rolled-back");
    const auto one = nlohmann::json::parse(report::report_document(std::span(reports).first(1), false));
    CHECK(one.at("instance") == "web1");
}
