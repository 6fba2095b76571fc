// SPDX-License-Identifier: Apache-2.0
#include "recipe/book.hpp"
#include "unit/checks/guests.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
namespace fs = std::filesystem;

namespace {

constexpr unsigned some_user = 1000;

recipe::book book_in(const test::scratch& dir, unsigned uid = some_user) {
    return {{dir.path() / "own", dir.path() / "host", dir.path() / "shipped"}, uid};
}

} // namespace

TEST_CASE("a recipe is found by its name, with or without .json, first where it counts most") {
    const test::scratch dir;
    dir.put("shipped/apt.json", R"({"summary": "shipped"})", 0644);
    dir.put("shipped/dnf.json", R"({"summary": "dnf"})", 0644);
    dir.put("host/apt", R"({"summary": "of the host"})", 0644);
    dir.put("host/web1.json", R"({"summary": "of web1"})", 0644);
    const auto book = book_in(dir);
    CHECK(book.find("apt")->recipe->summary == "of the host");
    CHECK(book.find("web1")->recipe->summary == "of web1");
    CHECK(book.find("web1.json")->recipe->summary == "of web1"); // its file
    CHECK(book.find((dir.path() / "shipped/apt.json").string())->recipe->summary == "shipped");
    const auto all = book.list();
    REQUIRE(all.size() == 3);
    CHECK(all[0].name == "apt");
    CHECK(all[1].name == "dnf");
    CHECK(all[2].name == "web1");
    const auto missing = book.find("atp");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.find("there is no recipe 'atp', did you mean 'apt'?") == 0);
    CHECK(book.find("./nowhere").error().message.find("use as a recipe") != std::string::npos);
}

TEST_CASE("a check that is a path lies beside its recipe") {
    const test::scratch dir;
    dir.put("own dir/web.json", R"({"checks": ["./shop 5", "tcp 53", "/bin/x"], "wanted": ["../x"]})", 0644);
    const auto found = book_in(dir).find((dir.path() / "own dir/web.json").string());
    const auto folder = "'" + (dir.path() / "own dir").string() + "'";
    CHECK(found->recipe->checks == std::vector<std::string>{folder + "/./shop 5", "tcp 53", "/bin/x"});
    CHECK(found->recipe->wanted == std::vector<std::string>{folder + "/../x"});
}

TEST_CASE("a recipe is switched off by an empty file") {
    const test::scratch dir;
    dir.put("shipped/apt.json", "{}", 0644);
    dir.put("own/apt.json", "", 0644);
    CHECK(book_in(dir).list().empty());
    CHECK(book_in(dir).find("apt").error().message.find("is switched off by") != std::string::npos);
}

TEST_CASE("a recipe that cannot be used is listed with its mistake") {
    const test::scratch dir;
    const auto file = dir.put("own/bad.json", "{\n\"soak\": 1}", 0644);
    const auto all = book_in(dir).list();
    REQUIRE(all.size() == 1);
    CHECK(all[0].recipe.error().message.starts_with(file.string() + ":2: "));
    CHECK_FALSE(book_in(dir).find("bad"));
    REQUIRE(mkfifo((dir.path() / "own/pipe.json").c_str(), 0600) == 0);
    CHECK(book_in(dir).find("pipe").error().message.find("cannot be read") != std::string::npos);
    fs::create_directories(dir.path() / "own/folder.json");
    CHECK(book_in(dir).find("folder").error().message.find("cannot be read") != std::string::npos);
}

TEST_CASE("root uses no recipe that others may write to") {
    if (geteuid() != 0) {
        SKIP("needs root");
    }
    const test::scratch dir;
    dir.put("own/apt.json", "{}", 0666);
    const auto found = book_in(dir, 0).find("apt");
    REQUIRE_FALSE(found);
    CHECK(found.error().message.find("others than root may write") != std::string::npos);
    CHECK_FALSE(book_in(dir, 0).list().front().recipe);
    CHECK(book_in(dir, some_user).find("apt"));
}
