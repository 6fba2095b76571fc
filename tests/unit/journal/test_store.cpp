// SPDX-License-Identifier: Apache-2.0
#include "journal/store.hpp"

#include "support.hpp"

#include <sys/stat.h>

#include <map>

using namespace belay;
using namespace belay::testing;

namespace {

std::string directory_for(const std::string& flag, const std::map<std::string, std::string>& variables, uid_t uid) {
    const auto found = journal::state_directory(
        flag,
        [&](const char* name) {
            const auto variable = variables.find(name);
            return variable == variables.end() ? nullptr : variable->second.c_str();
        },
        uid);
    return found ? found->string() : "error: " + found.error().message;
}

/// Sets the umask for as long as it lives.
class umask_of {
public:
    explicit umask_of(mode_t mask) : old_(::umask(mask)) {}

    umask_of(const umask_of&) = delete;
    umask_of& operator=(const umask_of&) = delete;

    ~umask_of() { ::umask(old_); }

private:
    mode_t old_;
};

unsigned mode_of(const fs::path& file) {
    return static_cast<unsigned>(fs::status(file).permissions());
}

} // namespace

TEST_CASE("the state directory: option, variable, then the place of the user", "[journal]") {
    const std::map<std::string, std::string> all{
        {"BELAY_STATE_DIR", "/from/variable"}, {"XDG_STATE_HOME", "/xdg"}, {"HOME", "/home/ann"}};
    CHECK(directory_for("/from/flag", all, 0) == "/from/flag");
    CHECK(directory_for("/from/flag", all, 1000) == "/from/flag");
    CHECK(directory_for("", all, 0) == "/from/variable");
    CHECK(directory_for("", all, 1000) == "/from/variable");
    const std::map<std::string, std::string> xdg{{"XDG_STATE_HOME", "/xdg"}, {"HOME", "/home/ann"}};
    CHECK(directory_for("", xdg, 0) == "/var/lib/belay");
    CHECK(directory_for("", xdg, 1000) == "/xdg/belay");
    CHECK(directory_for("", {{"HOME", "/home/ann"}}, 1000) == "/home/ann/.local/state/belay");
    // The specification: a relative path is ignored; an empty variable counts as none.
    CHECK(directory_for("", {{"XDG_STATE_HOME", "xdg"}, {"HOME", "/home/ann"}}, 1000) ==
          "/home/ann/.local/state/belay");
    CHECK(directory_for("", {{"BELAY_STATE_DIR", ""}, {"XDG_STATE_HOME", ""}, {"HOME", "/h"}}, 1000) ==
          "/h/.local/state/belay");
    CHECK(directory_for("", {}, 1000).starts_with("error: "));
}

TEST_CASE("the state directory is an absolute path without a slash at its end", "[journal]") {
    CHECK(directory_for("/a/b/", {}, 0) == "/a/b");
    CHECK(directory_for("/a/./x/../b", {}, 0) == "/a/b");
    CHECK(directory_for("state", {}, 0) == (fs::current_path() / "state").string());
}

TEST_CASE("directories are 0700 and files 0600 whatever the umask", "[journal]") {
    for (const mode_t mask : {0000, 0022, 0077, 0777}) {
        const temporary_directory directory;
        const umask_of guard(mask);
        const auto state = directory.path() / "deep" / "state";
        const auto store = open_store(state);
        const auto journal = store.create_transaction(txn, 100);
        REQUIRE(journal);
        REQUIRE((*journal)->log(std::string(1000, 'x')));
        for (const auto& made :
             {state.parent_path(), state, state / "transactions", state / "locks", (*journal)->files().directory}) {
            INFO(made);
            CHECK(mode_of(made) == 0700);
        }
        int files = 0;
        for (const auto& entry : fs::directory_iterator((*journal)->files().directory)) {
            INFO(entry.path());
            CHECK(mode_of(entry.path()) == 0600);
            ++files;
        }
        CHECK(files == 3); // journal, log and a piece of its tail
    }
}

TEST_CASE("new directories are synced, and what exists is left alone", "[journal]") {
    const temporary_directory directory;
    weak_disk disk;
    REQUIRE(journal::store::open(directory.path() / "a" / "b", ::getuid(), disk));
    CHECK(disk.directory_syncs == 8); // a, b, transactions, locks: itself and its parent
    REQUIRE(journal::store::open(directory.path() / "a" / "b", ::getuid(), disk));
    CHECK(disk.directory_syncs == 8);
    disk.syncs = false;
    const auto failed = journal::store::open(directory.path() / "c", ::getuid(), disk);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == core::reason::io_error);
}

TEST_CASE("an ID that is taken can be told from other errors", "[journal]") {
    const temporary_directory directory;
    const auto store = open_store(directory.path() / "state");
    REQUIRE(store.create_transaction(txn));
    const auto again = store.create_transaction(txn);
    REQUIRE_FALSE(again);
    CHECK(again.error().transient);
    fs::remove_all(directory.path() / "state" / "transactions");
    const auto gone = store.create_transaction(txn);
    REQUIRE_FALSE(gone);
    CHECK_FALSE(gone.error().transient);
}

TEST_CASE("a state directory that is none is refused", "[journal]") {
    const temporary_directory directory;
    write_file(directory.path() / "file", "x");
    for (const auto& path : {directory.path() / "file", directory.path() / "file" / "below"}) {
        const auto failed = journal::store::open(path, ::getuid());
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == core::reason::io_error);
        CHECK(failed.error().message.find("is not a directory") != std::string::npos);
    }
}

TEST_CASE("root does not trust a state directory that others may write to", "[journal]") {
    if (::getuid() != 0) {
        SKIP("needs root");
    }
    const temporary_directory directory;
    const auto state = directory.path() / "state";
    open_store(state);
    for (const auto& inner : {state, state / "transactions", state / "locks"}) {
        REQUIRE(::chmod(inner.c_str(), 0770) == 0);
        const auto failed = journal::store::open(state, 0);
        REQUIRE_FALSE(failed);
        CHECK(failed.error().message.find("may write") != std::string::npos);
        CHECK(journal::store::open(state, 1000)); // others decide for themselves
        REQUIRE(::chmod(inner.c_str(), 0755) == 0);
        REQUIRE(journal::store::open(state, 0));
        REQUIRE(::chown(inner.c_str(), 1000, 0) == 0);
        CHECK_FALSE(journal::store::open(state, 0));
        REQUIRE(::chown(inner.c_str(), 0, 0) == 0);
    }
}
