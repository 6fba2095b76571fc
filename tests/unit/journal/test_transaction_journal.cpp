// SPDX-License-Identifier: Apache-2.0
// Appending: what is synced when, and what a failing disk leaves.
#include "journal/transaction_journal.hpp"

#include "journal/reader.hpp"
#include "support.hpp"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>

using namespace belay;
using namespace belay::testing;

namespace {

const core::started preflight{{core::act::preflight, ""}};
const core::started lock{{core::act::lock, ""}}; // durable
const core::decided commit{core::verdict::commit};

struct sample {
    temporary_directory directory;
    weak_disk disk;
    journal::store store = open_store(directory.path() / "state", disk);
    std::unique_ptr<journal::transaction_journal> journal = *store.create_transaction(txn);
    std::uint64_t seq{0};

    core::expected<void> append(core::event e) { return journal->append(record_of(++seq, std::move(e))); }

    std::vector<core::record> records() const {
        const auto contents = journal::read_journal(journal->files().journal);
        REQUIRE(contents);
        CHECK_FALSE(contents->torn);
        return contents->records;
    }
};

} // namespace

TEST_CASE("that a journal is there is on disk when it was made", "[journal]") {
    sample s;
    s.disk.directory_syncs = 0;
    REQUIRE(s.store.create_transaction("20261123t224000z-0001"));
    CHECK(s.disk.directory_syncs == 2); // its directory and the one above
    CHECK(s.disk.datasyncs == 0);
    s.disk.syncs = false;
    CHECK(s.store.create_transaction("20261123t224000z-0002").error().code == core::reason::io_error);
}

TEST_CASE("a journal that is taken over is there on disk with its first durable record, and no sooner", "[journal]") {
    sample s;
    s.journal.reset();
    s.disk.directory_syncs = 0;
    s.disk.syncs = false; // a rollback goes on without paper
    auto taken_over = s.store.resume_transaction(txn);
    REQUIRE(taken_over);
    s.disk.syncs = true;
    REQUIRE(taken_over->journal->append(record_of(++s.seq, preflight)));
    CHECK(s.disk.directory_syncs == 0);
    REQUIRE(taken_over->journal->append(record_of(++s.seq, lock)));
    CHECK(s.disk.directory_syncs == 2);
    REQUIRE(taken_over->journal->append(record_of(++s.seq, commit)));
    CHECK(s.disk.directory_syncs == 2);
}

TEST_CASE("only durable records are synced", "[journal]") {
    sample s;
    s.disk.directory_syncs = 0;
    REQUIRE(s.append(core::opened{plan_of("web1")}));
    REQUIRE(s.append(preflight));
    CHECK(s.disk.datasyncs == 0);
    REQUIRE(s.append(lock));
    CHECK(s.disk.datasyncs == 1);
    REQUIRE(s.append(core::warned{"x"}));
    REQUIRE(s.append(commit));
    CHECK(s.disk.datasyncs == 2);
    CHECK(s.disk.directory_syncs == 0);
    CHECK(s.records().size() == 5);
}

TEST_CASE("short and interrupted writes are gone on after", "[journal]") {
    sample s;
    s.disk.largest_write = 7;
    s.disk.interrupts = true;
    for (const auto& r : short_history()) {
        REQUIRE(s.journal->append(r));
    }
    CHECK(s.records().size() == short_history().size());
}

TEST_CASE("nothing stays of a record that did not fit, and the journal goes on when there is room", "[journal]") {
    sample s;
    REQUIRE(s.append(lock));
    const auto size = fs::file_size(s.journal->files().journal);
    for (std::size_t room = 0; room < 100; room += 9) {
        s.disk.room = room;
        const auto failed = s.append(commit);
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == core::reason::io_error);
        CHECK(failed.error().cause == "No space left on device");
        CHECK(fs::file_size(s.journal->files().journal) == size);
    }
    s.disk.room = 10'000;
    REQUIRE(s.append(commit));
    CHECK(s.records().size() == 2);
}

TEST_CASE("after a failed sync nothing is appended any more, and the first error stays", "[journal]") {
    sample s;
    REQUIRE(s.append(preflight));
    s.disk.syncs = false;
    const auto failed = s.append(commit);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == core::reason::io_error);
    CHECK(failed.error().message.find("sync") != std::string::npos);
    s.disk.syncs = true;
    s.disk.datasyncs = 0;
    for (const core::event& e : {core::event(preflight), core::event(commit)}) {
        const auto again = s.append(e);
        REQUIRE_FALSE(again);
        CHECK(again.error() == failed.error());
    }
    CHECK(s.disk.datasyncs == 0); // a second fsync would say "fine"
    const auto left = s.records();
    REQUIRE(left.size() == 1); // the decision that was not synced is not to be found
    CHECK(core::type_of(left[0].what) == "started");
}

TEST_CASE("a part of a record that cannot be taken back ends the journal", "[journal]") {
    sample s;
    REQUIRE(s.append(lock));
    s.disk.room = 20;
    s.disk.truncates = false;
    const auto failed = s.append(commit);
    REQUIRE_FALSE(failed);
    s.disk.room = 10'000;
    s.disk.truncates = true;
    const auto again = s.append(commit);
    REQUIRE_FALSE(again);
    CHECK(again.error() == failed.error());
    const auto contents = journal::read_journal(s.journal->files().journal);
    REQUIRE(contents);
    CHECK(contents->torn);
    CHECK(contents->records.size() == 1);
}

TEST_CASE("a file that may not grow is an error, not a signal's business", "[journal]") {
    sample s;
    REQUIRE(s.append(lock));
    const auto file = s.journal->files().journal;
    const auto size = fs::file_size(file);
    const pid_t child = ::fork();
    if (child == 0) { // the limit holds for a whole process
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{size + 30, size + 30};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const auto failed = s.append(commit);
        ::_exit(!failed && failed.error().code == core::reason::io_error && fs::file_size(file) == size ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(s.records().size() == 1);
}

namespace {

/// A file system of 64 KiB, for as long as it lives.
class small_file_system {
public:
    small_file_system()
        : mounted_(::getuid() == 0 && ::mount("tmpfs", place_.path().c_str(), "tmpfs", 0, "size=64k,mode=700") == 0) {}

    small_file_system(const small_file_system&) = delete;
    small_file_system& operator=(const small_file_system&) = delete;

    ~small_file_system() {
        if (mounted_) {
            ::umount2(place_.path().c_str(), MNT_DETACH);
        }
    }

    bool mounted() const { return mounted_; }

    const fs::path& path() const { return place_.path(); }

private:
    temporary_directory place_;
    bool mounted_;
};

} // namespace

TEST_CASE("a really full file system leaves whole records", "[journal]") {
    const small_file_system small;
    if (!small.mounted()) {
        SKIP("needs root and a mount");
    }
    const auto store = open_store(small.path() / "state");
    auto journal = *store.create_transaction(txn);
    std::uint64_t done = 0;
    core::expected<void> last;
    while ((last = journal->append(record_of(done + 1, core::warned{std::string(1000, 'x')})))) {
        ++done;
    }
    CHECK(last.error().cause == "No space left on device");
    const auto contents = journal::read_journal(journal->files().journal);
    REQUIRE(contents);
    CHECK_FALSE(contents->torn);
    CHECK(contents->records.size() == done);
    CHECK_FALSE(journal->log(std::string(100'000, 'x')));
    const auto saved = journal->save("evidence/big", std::string(100'000, 'x'));
    REQUIRE_FALSE(saved);
    CHECK(saved.error().cause == "No space left on device");
}

TEST_CASE("what is saved beside the journal is read again, and a failure says why", "[journal]") {
    const sample s;
    using namespace std::string_literals;
    const auto text = "not only \xff text\0\n"s;
    REQUIRE(s.journal->save("evidence/piece", text));
    CHECK(*s.journal->load("evidence/piece") == text);
    REQUIRE(s.journal->save("evidence/piece", "")); // in its place
    CHECK(s.journal->load("evidence/piece")->empty());
    CHECK_FALSE(s.journal->load("evidence/none"));

    const auto folder = s.journal->files().journal.parent_path();
    fs::create_symlink("/dev/null", folder / "link");
    const auto linked = s.journal->save("link", "x");
    REQUIRE_FALSE(linked);
    CHECK(linked.error().cause == "Too many levels of symbolic links");
    CHECK(linked.error().message.find((folder / "link").string()) != std::string::npos);
}

TEST_CASE("an interrupted journal is gone on with, without what was torn", "[journal]") {
    for (const std::size_t cut : {0, 1, 10, 300}) {
        sample s;
        const auto history = short_history();
        for (std::size_t i = 0; i + 1 < history.size(); ++i) {
            REQUIRE(s.journal->append(history[i]));
        }
        const auto file = s.journal->files().journal;
        const auto whole = fs::file_size(file);
        REQUIRE(s.journal->append(history.back()));
        s.journal.reset();
        const auto end = fs::file_size(file) - cut;
        fs::resize_file(file, cut == 300 ? whole : end);

        auto resumed = s.store.resume_transaction(txn);
        REQUIRE(resumed);
        const bool torn = cut == 1 || cut == 10;
        CHECK(resumed->torn == torn);
        CHECK(resumed->records.size() == history.size() - (cut == 0 ? 0 : 1));
        REQUIRE(resumed->journal->append(record_of(99, core::resumed{1, "boot"})));
        const auto contents = journal::read_journal(file);
        REQUIRE(contents);
        CHECK_FALSE(contents->torn);
        REQUIRE(contents->records.size() == resumed->records.size() + 1);
        CHECK(contents->records.back().seq == 99);
    }
}

TEST_CASE("a damaged journal is not gone on with", "[journal]") {
    sample s;
    for (const auto& r : short_history()) {
        REQUIRE(s.journal->append(r));
    }
    const auto file = s.journal->files().journal;
    auto bytes = content(file);
    bytes[30] ^= 1;
    write_file(file, bytes);
    CHECK_FALSE(s.store.resume_transaction(txn));
    CHECK(content(file) == bytes);
}

TEST_CASE("a transaction whose process died before its first record is gone on with as an empty one", "[journal]") {
    sample s;
    fs::remove(s.journal->files().journal);
    auto resumed = s.store.resume_transaction(txn);
    REQUIRE(resumed);
    CHECK(resumed->records.empty());
    CHECK_FALSE(s.store.resume_transaction("20991123t224000z-3f9c"));
}
