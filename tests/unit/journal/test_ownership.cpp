// SPDX-License-Identifier: Apache-2.0
// Whose a transaction is: the lock on its journal, and what others learn of it.
#include "journal/locks.hpp"
#include "journal/reader.hpp"
#include "support.hpp"

#include <sys/wait.h>

#include <csignal>

using namespace belay;
using namespace belay::testing;
using core::act;
using enum core::journal_knowledge;

namespace {

struct sample {
    temporary_directory directory;
    journal::store store = open_store(directory.path() / "state");
    journal::file_locks locks{store.directory(), {std::string(32, 'a'), "boot-1"}};
    fs::path file = journal::files_of(store.directory(), txn).journal;

    core::journal_knowledge knows(const std::string& uuid = "uuid-1") const { return locks.knowledge(txn, uuid); }
};

/// A child that has the transaction until it is told to end, or is killed.
class owner {
public:
    /// `begin` takes the transaction in the child, and says whether it has it.
    template <class Begin>
    explicit owner(Begin begin) {
        int ready[2];
        int stay[2];
        REQUIRE(::pipe(ready) == 0);
        REQUIRE(::pipe(stay) == 0);
        child_ = ::fork();
        if (child_ == 0) {
            ::close(ready[0]);
            ::close(stay[1]);
            const auto held = begin();
            char byte = held ? 'y' : 'n';
            (void)!::write(ready[1], &byte, 1);
            (void)!::read(stay[0], &byte, 1);
            ::_exit(0); // without a word: nothing is tidied up
        }
        ::close(ready[1]);
        ::close(stay[0]);
        stay_ = stay[1];
        char byte{};
        (void)!::read(ready[0], &byte, 1);
        ::close(ready[0]);
        REQUIRE(byte == 'y');
    }

    owner(const owner&) = delete;
    owner& operator=(const owner&) = delete;

    ~owner() { end(); }

    void end() {
        if (child_ > 0) {
            ::close(stay_);
            ::waitpid(child_, nullptr, 0);
            child_ = -1;
        }
    }

    void kill() {
        ::kill(child_, SIGKILL);
        end();
    }

private:
    pid_t child_{-1};
    int stay_{-1};
};

/// A transaction up to the confirmation that it waits for.
std::vector<core::record> waiting_history() {
    auto plan = plan_of("web1");
    plan.confirms = true;
    const std::vector<core::event> events{core::opened{plan},
                                          core::started{{act::preflight, ""}},
                                          examined("uuid-1"),
                                          core::started{{act::lock, ""}},
                                          core::finished{{act::lock, ""}},
                                          core::started{{act::upgrade, ""}},
                                          core::finished{{act::upgrade, ""}},
                                          core::started{{act::confirm, ""}, 1, core::wall_time{}}};
    std::vector<core::record> records;
    for (const auto& e : events) {
        records.push_back(record_of(records.size() + 1, e));
    }
    return records;
}

} // namespace

TEST_CASE("a transaction belongs to a process as long as its journal is open", "[journal]") {
    sample s;
    {
        auto made = s.store.create_transaction(txn);
        REQUIRE(made);
        CHECK(journal::is_locked(s.file));
        REQUIRE((*made)->append(record_of(1, core::opened{plan_of("web1")})));
        CHECK(journal::is_locked(s.file));
    }
    CHECK_FALSE(journal::is_locked(s.file));
    {
        auto resumed = s.store.resume_transaction(txn);
        REQUIRE(resumed);
        CHECK(journal::is_locked(s.file));
    }
    CHECK_FALSE(journal::is_locked(s.file));
}

TEST_CASE("a journal that is not there belongs to nobody", "[journal]") {
    sample s;
    CHECK_FALSE(journal::is_locked(s.file));
    fs::create_directories(s.file);
    CHECK_FALSE(journal::is_locked(s.file));
}

TEST_CASE("looking whether a transaction belongs to a process does not take it away", "[journal]") {
    sample s;
    write_journal(s.store, txn, short_history());
    const pid_t looking = ::fork();
    if (looking == 0) {
        for (;;) {
            (void)journal::is_locked(s.file);
        }
    }
    int refused = 0;
    for (int i = 0; i < 2'000; ++i) {
        refused += s.store.resume_transaction(txn) ? 0 : 1;
    }
    ::kill(looking, SIGKILL);
    REQUIRE(::waitpid(looking, nullptr, 0) == looking);
    CHECK(refused == 0);
}

TEST_CASE("a transaction is nobody's any more when its process has ended, however it did", "[journal]") {
    sample s;
    const auto bytes = content(write_journal(s.store, txn, short_history()));
    owner other([&] {
        auto resumed = s.store.resume_transaction(txn);
        return resumed ? std::move(resumed->journal) : nullptr;
    });
    CHECK(journal::is_locked(s.file));
    const auto refused = s.store.resume_transaction(txn);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == core::reason::locked);
    CHECK(refused.error().message == "another belay works on transaction " + txn + " now");
    CHECK(content(s.file) == bytes);
    SECTION("killed") {
        other.kill();
    }
    SECTION("ended without a word") {
        other.end();
    }
    CHECK_FALSE(journal::is_locked(s.file));
    CHECK(s.store.resume_transaction(txn));
}

TEST_CASE("two journals of one process are told apart, too", "[journal]") {
    sample s;
    write_journal(s.store, txn, short_history());
    auto first = s.store.resume_transaction(txn);
    REQUIRE(first);
    const auto second = s.store.resume_transaction(txn);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == core::reason::locked);
    CHECK(journal::is_locked(s.file)); // closing the second descriptor did not end the lock, as one of POSIX would
}

TEST_CASE("a torn line is not cut off while its writer may still be writing it", "[journal]") {
    sample s;
    auto journal = s.store.create_transaction(txn);
    REQUIRE(journal);
    for (const auto& r : short_history()) {
        REQUIRE((*journal)->append(r));
    }
    fs::resize_file(s.file, fs::file_size(s.file) - 5);
    const auto bytes = content(s.file);
    CHECK(s.store.resume_transaction(txn).error().code == core::reason::locked);
    CHECK(content(s.file) == bytes);
    journal->reset();
    REQUIRE(s.store.resume_transaction(txn));
    CHECK(content(s.file).size() < bytes.size());
}

TEST_CASE("the journals tell a transaction that runs from one that was interrupted", "[journal]") {
    sample s;
    const auto history = short_history();
    write_journal(s.store, txn, {history.begin(), history.begin() + 4});
    CHECK(s.knows() == open);
    CHECK(s.knows("uuid-2") == other_instance);
    {
        const auto resumed = s.store.resume_transaction(txn);
        REQUIRE(resumed);
        CHECK(s.knows() == running);
        CHECK(s.knows("uuid-2") == other_instance);
    }
    CHECK(s.knows() == open);
}

TEST_CASE("the journals know that a transaction waits for a confirmation, with and without a process", "[journal]") {
    sample s;
    write_journal(s.store, txn, waiting_history());
    CHECK(s.knows() == waiting);
    CHECK(s.knows("uuid-2") == other_instance);
    auto resumed = s.store.resume_transaction(txn);
    REQUIRE(resumed);
    CHECK(s.knows() == waiting);
    REQUIRE(resumed->journal->append(record_of(9, core::resumed{1, "boot"})));
    CHECK(s.knows() == waiting);
    SECTION("until it is decided") {
        REQUIRE(resumed->journal->append(record_of(10, core::finished{{act::confirm, ""}})));
        REQUIRE(resumed->journal->append(record_of(11, core::decided{core::verdict::commit})));
        CHECK(s.knows() == running);
        resumed->journal.reset();
        CHECK(s.knows() == open);
    }
    SECTION("until its lock was taken off") {
        core::observed seen{.settled = true};
        seen.lock = core::lock_owner::nobody;
        REQUIRE(resumed->journal->append(record_of(10, core::finished{{act::lock, ""}})));
        REQUIRE(resumed->journal->append(record_of(11, seen)));
        resumed->journal.reset();
        CHECK(s.knows() == open);
    }
}
