// SPDX-License-Identifier: Apache-2.0
#include "journal/survey.hpp"

#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <sys/stat.h>

using namespace belay;
using testing::temporary_directory;

TEST_CASE("a directory's rights, room and locks are found out, and nothing stays in it", "[journal]") {
    const temporary_directory where;
    ::chmod(where.path().c_str(), 01751);
    const auto facts = journal::survey(where.path());
    CHECK(facts.exists);
    CHECK(facts.is_directory);
    CHECK(facts.owner == ::geteuid());
    CHECK(facts.mode == 01751);
    CHECK(facts.writable);
    CHECK(facts.free_bytes > 0);
    CHECK(facts.lock_problem.empty());
    CHECK(std::filesystem::is_empty(where.path()));
}

TEST_CASE("a directory that is not there can be made or not, and is not made", "[journal]") {
    const temporary_directory where;
    const auto facts = journal::survey(where.path() / "a" / "b");
    CHECK_FALSE(facts.exists);
    CHECK(facts.writable);
    CHECK(facts.made_in == where.path());
    CHECK(std::filesystem::is_empty(where.path()));
    CHECK_FALSE(journal::survey("/proc/self/status/x").writable);
}

TEST_CASE("a file is no directory", "[journal]") {
    const temporary_directory where;
    std::ofstream(where.path() / "f") << "x";
    CHECK_FALSE(journal::survey(where.path() / "f").is_directory);
}
