// SPDX-License-Identifier: Apache-2.0
#include "journal/locks.hpp"

#include "core/names.hpp"
#include "support.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <map>
#include <set>

using namespace belay;
using namespace belay::testing;

namespace {

constexpr auto server = "3b5f1c2d9a7e";

struct sample {
    temporary_directory directory;
    journal::store store = open_store(directory.path() / "state");
    journal::file_locks locks{store.directory(), {"0123456789abcdef0123456789abcdef", "boot-1"}};

    auto take(const std::string& instance, const std::string& id = txn) {
        return locks.take(server, "default", instance, id);
    }

    fs::path file(const std::string& instance) const {
        return store.directory() / "locks" / journal::lock_file_name(server, "default", instance);
    }
};

/// Runs in a child process; whether it said true.
template <class Work>
bool in_child(Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(work() ? 0 : 1);
    }
    int status = -1;
    return ::waitpid(child, &status, 0) == child && status == 0;
}

} // namespace

TEST_CASE("an instance is locked once, and the refusal names who holds it", "[journal]") {
    sample s;
    auto held = s.take("web1");
    REQUIRE(held);
    const auto refused = s.take("web1", "20261123t224001z-0000");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == core::reason::locked);
    CHECK(refused.error().message == "instance web1 is in transaction " + txn + " of another belay (pid " +
                                         std::to_string(::getpid()) + "): wait for it, or look with `belay show " +
                                         txn + "`");
    CHECK(s.take("web2"));
    held->reset();
    CHECK(s.take("web1"));
}

TEST_CASE("a lock holds against other processes and ends with its own", "[journal]") {
    sample s;
    {
        auto held = s.take("web1");
        REQUIRE(held);
        CHECK(in_child([&] { return s.take("web1").error().code == core::reason::locked; }));
        CHECK(in_child([&] { return s.take("web2").has_value(); }));
    }
    // A process that ends without a word leaves its note, but no lock.
    CHECK(in_child([&] {
        auto held = s.take("web1");
        const bool got = held.has_value();
        held->release();
        return got;
    }));
    CHECK_FALSE(content(s.file("web1")).empty());
    CHECK(s.take("web1"));
}

TEST_CASE("a child that inherits the lock does not keep it", "[journal]") {
    sample s;
    auto held = s.take("web1");
    REQUIRE(held);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) { // between fork and exec
        ::close(ends[1]);
        char byte{};
        const auto got = ::read(ends[0], &byte, 1);
        ::_exit(static_cast<int>(got));
    }
    ::close(ends[0]);
    held->reset();
    CHECK(s.take("web1"));
    ::close(ends[1]);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
}

TEST_CASE("of 200 that take a lock at the same time exactly one gets it", "[journal]") {
    sample s;
    int go[2];
    int stay[2];
    REQUIRE(::pipe(go) == 0);
    REQUIRE(::pipe(stay) == 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 200; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(go[1]);
            ::close(stay[1]);
            char byte{};
            (void)!::read(go[0], &byte, 1);
            auto held = s.take("web1", core::make_transaction_id({}, static_cast<std::uint16_t>(i)));
            if (held) { // keeps it until everyone has tried
                (void)!::read(stay[0], &byte, 1);
                held->release();
                ::_exit(0);
            }
            ::_exit(held.error().code == core::reason::locked ? 2 : 1);
        }
        children.push_back(child);
    }
    ::close(go[0]);
    ::close(stay[0]);
    ::close(go[1]);
    std::map<int, int> count;
    for (std::size_t ended = 0; ended + 1 < children.size(); ++ended) {
        int status = -1;
        REQUIRE(::wait(&status) > 0);
        ++count[WEXITSTATUS(status)];
    }
    ::close(stay[1]);
    int status = -1;
    REQUIRE(::wait(&status) > 0);
    ++count[WEXITSTATUS(status)];
    CHECK(count[0] == 1);
    CHECK(count[2] == 199);
}

TEST_CASE("what an earlier holder left is not taken for the present one", "[journal]") {
    sample s;
    const auto file = s.file("web1");
    write_file(file, "20200101t000000z-dead 999999999\n");
    const journal::unique_fd other(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(::flock(other.get(), LOCK_EX) == 0);
    // The present one has the lock, but has not yet written who it is.
    const auto refused = s.take("web1");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == core::reason::locked);
    CHECK(refused.error().message.find("dead") == std::string::npos);
}

TEST_CASE("a lock without a note is a lock", "[journal]") {
    sample s;
    const journal::unique_fd other(::open(s.file("web1").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::flock(other.get(), LOCK_EX) == 0);
    const auto refused = s.take("web1");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == core::reason::locked);
    CHECK(refused.error().message.find("belay show web1") != std::string::npos);
    write_file(s.file("web1"), "garbage");
    CHECK(s.take("web1").error().code == core::reason::locked);
}

TEST_CASE("a lock directory that is gone is an error of its own", "[journal]") {
    sample s;
    fs::remove_all(s.store.directory() / "locks");
    const auto failed = s.take("web1");
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == core::reason::io_error);
}

TEST_CASE("lock files have safe, short names of their own", "[journal]") {
    using journal::lock_file_name;
    CHECK(lock_file_name("3b5f1c2d9a7e55555555", "default", "web1") == "3b5f1c2d9a7e-default-web1.lock");
    CHECK(lock_file_name("", "a-b", "c-d") == "-a%2Db-c-d.lock");
    std::set<std::string> names;
    const std::vector<std::string> odd{"a",
                                       "a-b",
                                       "-",
                                       "..",
                                       "a/b",
                                       "a%2Fb",
                                       "\xC3\xA4",
                                       std::string("\0", 1),
                                       "",
                                       std::string(300, 'x'),
                                       std::string(301, 'x'),
                                       std::string(63, '\xC3')};
    for (const auto& project : odd) {
        for (const auto& instance : odd) {
            const auto name = lock_file_name(server, project, instance);
            names.insert(name);
            CHECK(name.size() < 255);
            CHECK(name.find('/') == std::string::npos);
            CHECK(name.find('\0') == std::string::npos);
        }
    }
    CHECK(names.size() == odd.size() * odd.size());
}

TEST_CASE("a host is known by its machine ID and its start", "[journal]") {
    const temporary_directory root;
    fs::create_directories(root.path() / "etc");
    fs::create_directories(root.path() / "var/lib/dbus");
    fs::create_directories(root.path() / "proc/sys/kernel/random");
    const auto id = std::string(32, 'a');
    CHECK(journal::read_identity(root.path()).machine_id.starts_with("host-"));
    CHECK(journal::read_identity(root.path()).boot_id == "unknown");
    write_file(root.path() / "proc/sys/kernel/hostname", "alpha\n");
    const auto alpha = journal::read_identity(root.path()).machine_id;
    write_file(root.path() / "proc/sys/kernel/hostname", "beta\n");
    CHECK(journal::read_identity(root.path()).machine_id != alpha);
    write_file(root.path() / "etc/machine-id", "uninitialized\n");
    write_file(root.path() / "var/lib/dbus/machine-id", std::string(32, 'b') + "\n");
    CHECK(journal::read_identity(root.path()).machine_id == std::string(32, 'b'));
    write_file(root.path() / "etc/machine-id", id + "\n");
    write_file(root.path() / "proc/sys/kernel/random/boot_id", "boot-7\n");
    CHECK(journal::read_identity(root.path()).machine_id == id);
    CHECK(journal::read_identity(root.path()).boot_id == "boot-7");

    sample s;
    const auto self = s.locks.self(txn);
    CHECK(self == core::lock_holder{txn, std::string("0123456789abcdef0123456789abcdef"), "boot-1", ::getpid()});
    CHECK(core::parse_lock(core::to_text(self)) == self);
}

TEST_CASE("a holder is alive while its process runs, in the same start of the host", "[journal]") {
    sample s;
    auto holder = s.locks.self(txn);
    CHECK(s.locks.alive(holder));
    holder.boot_id = "boot-0";
    CHECK_FALSE(s.locks.alive(holder));
    holder = s.locks.self(txn);
    holder.pid = 1; // of root: kill(2) may say EPERM, and that is alive as well
    CHECK(s.locks.alive(holder));
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(0);
    }
    holder.pid = child;
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    CHECK_FALSE(s.locks.alive(holder)); // a zombie
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK_FALSE(s.locks.alive(holder));
    holder.pid = 0;
    CHECK_FALSE(s.locks.alive(holder));
    holder.pid = -1;
    CHECK_FALSE(s.locks.alive(holder));
}

TEST_CASE("the journals know what became of a transaction", "[journal]") {
    using enum core::journal_knowledge;
    sample s;
    const auto history = short_history();
    const auto knows = [&](const std::vector<core::record>& records, const std::string& uuid) {
        fs::remove_all(journal::files_of(s.store.directory(), txn).directory);
        write_journal(s.store, txn, records);
        return s.locks.knowledge(txn, uuid);
    };
    CHECK(s.locks.knowledge(txn, "uuid-1") == unknown);
    CHECK(s.locks.knowledge("../../etc", "uuid-1") == unknown);
    CHECK(knows(history, "uuid-1") == closed);
    CHECK(knows(history, "uuid-2") == other_instance);
    CHECK(knows(history, "") == closed);
    CHECK(knows(short_history(core::outcome::stuck), "uuid-1") == stuck);
    CHECK(knows({history.begin(), history.end() - 1}, "uuid-1") == open);
    CHECK(knows({history.begin(), history.begin() + 2}, "uuid-1") == open);
    CHECK(knows({}, "uuid-1") == open);
    auto again = short_history(core::outcome::stuck);
    again.push_back(record_of(8, core::resumed{1, "boot"}));
    CHECK(knows(again, "uuid-1") == open);
    again.push_back(record_of(9, closed_as(core::outcome::rolled_back)));
    CHECK(knows(again, "uuid-1") == closed);

    const auto file = journal::files_of(s.store.directory(), txn).journal;
    write_file(file, "garbage\ngarbage\n");
    CHECK(s.locks.knowledge(txn, "uuid-2") == open);
    fs::remove(file);
    CHECK(s.locks.knowledge(txn, "uuid-1") == open);
}

TEST_CASE("the journals tell of the snapshots that transactions took, and of undos since", "[journal]") {
    sample s;
    const std::string first = "20261123t224000z-0001";
    const std::string second = "20261123t224100z-0001";
    const std::string undo = "20261123t224200z-0001";
    const auto past = [&](const std::vector<std::string>& txns, const std::string& instance = "web1") {
        return s.locks.past(txns, "default", instance);
    };
    const auto write = [&](const std::string& id, core::outcome how, const std::string& undoes) {
        auto records = short_history(how);
        core::plan plan = std::get<core::opened>(records.front().what).how;
        plan.undoes = undoes;
        std::get<core::opened>(records.front().what).how = plan;
        auto& end = std::get<core::closed>(records.back().what).summary;
        end.undoes = undoes;
        end.instance = "web1";
        end.project = "default";
        write_journal(s.store, id, records);
    };
    write(first, core::outcome::committed, {});
    write(second, core::outcome::committed, {});
    write(undo, core::outcome::rolled_back, first);

    auto runs = past({first});
    REQUIRE(runs.size() == 2);
    CHECK(runs[0].txn == first);
    CHECK(runs[0].uuid == "uuid-1");
    CHECK(runs[0].how == core::standing::kept);
    CHECK(runs[1].txn == undo);
    CHECK(runs[1].undoes == first);
    CHECK(past({first}, "web2").size() == 1);
    CHECK(past({}).empty());
    CHECK(past({"20261123t224300z-0001"}).empty());

    write_file(journal::files_of(s.store.directory(), second).journal, "garbage\ngarbage\n");
    runs = past({second});
    REQUIRE(runs.size() == 2);
    CHECK(runs[0].txn == second);
    CHECK(runs[0].how == core::standing::open);
    CHECK(runs[0].uuid.empty());
}
