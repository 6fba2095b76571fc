// SPDX-License-Identifier: Apache-2.0
#include "report/doctor.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

using namespace belay;

namespace {

const std::vector<core::finding> mixed{
    core::fine("socket", "Incus 6.0.4 answers"), core::note("timer", "no systemd\x1b[2J runs here"),
    core::fault("lock", "instance web1 carries a lock", {"incus config unset web1 k", "second"})};

} // namespace

TEST_CASE("each finding is followed by the commands that mend it", "[report]") {
    CHECK(report::diagnosis(mixed, false, {}) == "✓ socket  Incus 6.0.4 answers\n"
                                                 "! timer   no systemd [2J runs here\n"
                                                 "✗ lock    instance web1 carries a lock\n"
                                                 "    incus config unset web1 k\n"
                                                 "    second\n"
                                                 "✗ 1 finding: what mends it stands below each.\n");
}

TEST_CASE("a host without findings is said to be able, also with notes", "[report]") {
    const std::vector<core::finding> good(mixed.begin(), mixed.begin() + 2);
    CHECK(report::diagnosis(good, false, {}).ends_with("✓ This host is able to run belay.\n"));
    CHECK(report::diagnosis(good, true, {}).empty());
    CHECK(report::diagnosis(mixed, true, {}).starts_with("✗ lock"));
}

TEST_CASE("the document has everything, and stands what is no UTF-8", "[report]") {
    auto all = mixed;
    all[2].what = std::string("\xff");
    const auto read = nlohmann::json::parse(report::diagnosis_document(all));
    REQUIRE(read.size() == 3);
    CHECK(read[0] ==
          nlohmann::json{
              {"level", "ok"}, {"word", "socket"}, {"what", "Incus 6.0.4 answers"}, {"mend", nlohmann::json::array()}});
    CHECK(read[1]["level"] == "note");
    CHECK(read[2]["level"] == "finding");
    CHECK(read[2]["mend"] == nlohmann::json{"incus config unset web1 k", "second"});
    CHECK(read[2]["what"] == "\xEF\xBF\xBD");
}
