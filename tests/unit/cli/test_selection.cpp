// SPDX-License-Identifier: Apache-2.0
// Which collectors of evidence a run has.
#include "cli/selection.hpp"
#include "fakes/temporary_directory.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>

using namespace belay;
namespace fs = std::filesystem;

namespace {

/// Two folders of hooks, gone at the end of the test.
struct folders : fakes::temporary_directory {
    void put(const std::string& name, const std::string& text = "#!/bin/sh\n# belay: timeout=3s\n",
             fs::perms mode = fs::perms::owner_all) const {
        fs::create_directories((path() / name).parent_path());
        std::ofstream(path() / name) << text;
        fs::permissions(path() / name, mode);
    }

    auto select(const std::vector<std::string>& commands = {}) const {
        constexpr unsigned some_user = 1000;
        return cli::select_collectors(commands, checks::library({path() / "own", path() / "installed"}, some_user));
    }
};

} // namespace

TEST_CASE("every collector that is installed runs, the first file of a name, and then the commands") {
    const folders f;
    f.put("installed/journal");
    f.put("installed/processes");
    f.put("installed/silenced");
    f.put("own/processes");
    f.put("own/silenced", "");
    const auto all = f.select({"dmesg", "df"});
    REQUIRE(all);
    REQUIRE(all->size() == 4);
    CHECK((*all)[0].file == (f.path() / "installed/journal").string());
    CHECK((*all)[0].timeout == std::chrono::seconds(3));
    CHECK((*all)[1].file == (f.path() / "own/processes").string());
    CHECK((*all)[2].name == "command-1");
    CHECK((*all)[3].name == "command-2");
    CHECK((*all)[3].args == std::vector<std::string>{"df"});
}

TEST_CASE("a collector that cannot be run, or whose file would be belay's own, is refused by name") {
    const folders f;
    SECTION("not executable") {
        f.put("own/bad", "#!/bin/sh\n", fs::perms::owner_read);
    }
    SECTION("a wrong description") {
        f.put("own/bad", "#!/bin/sh\n# belay: colour=red\n");
    }
    SECTION("the name of a file of belay") {
        f.put("own/checks");
    }
    SECTION("the name of a command") {
        f.put("own/command-1");
    }
    const auto all = f.select();
    REQUIRE_FALSE(all);
    CHECK(all.error().code == core::reason::usage);
    CHECK(all.error().message.find("the hook evidence/") == 0);
}
