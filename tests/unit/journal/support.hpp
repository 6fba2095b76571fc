// SPDX-License-Identifier: Apache-2.0
// Disks that fail when told so, and a short history of a transaction.
#pragma once
#include "core/event.hpp"
#include "fakes/temporary_directory.hpp"
#include "journal/files.hpp"
#include "journal/store.hpp"

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace belay::testing {

namespace fs = std::filesystem;

inline const std::string txn = "20261123t224000z-3f9c";

using fakes::temporary_directory;

/// A disk of limited room whose syncs can be made to fail. Everything that it takes is really written.
class weak_disk final : public journal::file_ops {
public:
    std::size_t room{~std::size_t{0}}; ///< bytes that still fit
    bool syncs{true};
    bool truncates{true};
    bool interrupts{false}; ///< every other write is interrupted by a signal
    std::size_t largest_write{~std::size_t{0}};
    bool links{true};
    int datasyncs{0};
    int directory_syncs{0};

    ssize_t write(int fd, const void* bytes, std::size_t size) override {
        if (interrupts && (++writes_ % 2) == 1) {
            errno = EINTR;
            return -1;
        }
        if (room == 0) {
            errno = ENOSPC;
            return -1;
        }
        const auto done = file_ops::write(fd, bytes, std::min({size, room, largest_write}));
        room -= static_cast<std::size_t>(done);
        return done;
    }

    int fdatasync(int fd) override {
        ++datasyncs;
        return syncs ? file_ops::fdatasync(fd) : fail();
    }

    int fsync(int fd) override {
        ++directory_syncs;
        return syncs ? file_ops::fsync(fd) : fail();
    }

    int ftruncate(int fd, off_t size) override { return truncates ? file_ops::ftruncate(fd, size) : fail(); }

    int link(const char* from, const char* to) override { return links ? file_ops::link(from, to) : fail(); }

private:
    static int fail() {
        errno = EIO;
        return -1;
    }

    int writes_{0};
};

inline std::string content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const fs::path& file, std::string_view bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
}

inline core::record record_of(std::uint64_t seq, core::event e, const std::string& instance = "web1") {
    core::record r;
    r.seq = seq;
    r.time = core::wall_time{core::milliseconds{1'795'473'600'123 + static_cast<std::int64_t>(seq)}};
    r.boottime = 100.5 + static_cast<double>(seq);
    r.txn = txn;
    r.instance = instance;
    r.what = std::move(e);
    return r;
}

inline core::plan plan_of(const std::string& instance, const std::string& project = "default") {
    core::plan p;
    p.instance = instance;
    p.project = project;
    p.command.argv = {"apt-get", "-y", "upgrade"};
    return p;
}

inline core::event examined(const std::string& uuid) {
    core::finished e{{core::act::preflight, ""}};
    e.facts.emplace().uuid = uuid;
    e.facts->running = true;
    return e;
}

inline core::event closed_as(core::outcome how) {
    core::report summary;
    summary.transaction = txn;
    summary.how = how;
    summary.message = "it ended";
    return core::closed{summary};
}

inline std::vector<core::record> short_history(core::outcome end = core::outcome::committed) {
    std::vector<core::event> events{core::opened{plan_of("web1")},
                                    core::started{{core::act::preflight, ""}},
                                    examined("uuid-1"),
                                    core::started{{core::act::lock, ""}},
                                    core::warned{"odd: \"\n\xC3\xA4 ,\"sum\":\"00000000\"}"},
                                    core::decided{core::verdict::commit},
                                    closed_as(end)};
    std::vector<core::record> records;
    for (auto& e : events) {
        records.push_back(record_of(records.size() + 1, std::move(e)));
    }
    return records;
}

inline journal::store open_store(const fs::path& directory, journal::file_ops& files = journal::real_files()) {
    auto store = journal::store::open(directory, ::getuid(), files);
    REQUIRE(store);
    return *std::move(store);
}

/// Writes a whole journal and returns its file.
inline fs::path write_journal(const journal::store& store, const std::string& id,
                              const std::vector<core::record>& records) {
    auto journal = store.create_transaction(id);
    REQUIRE(journal);
    for (const auto& r : records) {
        REQUIRE((*journal)->append(r));
    }
    return (*journal)->files().journal;
}

} // namespace belay::testing
