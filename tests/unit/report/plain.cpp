// SPDX-License-Identifier: Apache-2.0
#include "report/plain.hpp"

#include "captured.hpp"
#include "fakes/event_stream.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;

namespace {

std::string played(void (fakes::event_stream::*story)()) {
    const test::captured file;
    report::plain view(file.fd(), {});
    fakes::event_stream events([&](const auto& r) { view.on(r); });
    (events.*story)();
    return file.text();
}

} // namespace

TEST_CASE("a good upgrade in plain lines", "[report]") {
    CHECK(played(&fakes::event_stream::good) == R"(?)");
}

TEST_CASE("a command that fails in plain lines", "[report]") {
    CHECK(played(&fakes::event_stream::bad_command) == R"(?)");
}

TEST_CASE("a check that fails in plain lines", "[report]") {
    CHECK(played(&fakes::event_stream::bad_check) == R"(?)");
}

TEST_CASE("a stuck rollback in plain lines", "[report]") {
    CHECK(played(&fakes::event_stream::stuck) == R"(?)");
}
