// SPDX-License-Identifier: Apache-2.0
// The journal of one transaction, and the log of its command. Whoever has it open for appending has the transaction:
// the file is locked for as long, and nobody else appends.
#pragma once
#include "journal/files.hpp"
#include "journal/upgrade_log.hpp"
#include "ports/journal.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace belay::journal {

inline constexpr std::uint64_t default_log_limit = 100ULL * 1024 * 1024;

/// The files of a transaction.
struct transaction_files {
    std::filesystem::path directory;
    std::filesystem::path journal;
    std::filesystem::path log;
    std::filesystem::path evidence; ///< a directory; who saves evidence makes it
    std::filesystem::path decision;
};

/// Where the files of a transaction are below a state directory.
transaction_files files_of(const std::filesystem::path& state, const std::string& txn);

/// The journal alone, for those who look at a thousand.
std::filesystem::path journal_of(const std::filesystem::path& state, const std::string& txn);

class transaction_journal final : public ports::journal {
public:
    /// A new journal in a directory that was just made. That both are there is on disk when this returns; the first
    /// records are not before the first durable one.
    static core::expected<std::unique_ptr<transaction_journal>> create(transaction_files where, std::uint64_t log_limit,
                                                                       file_ops& files);

    struct resumed_journal {
        std::unique_ptr<transaction_journal> journal;
        std::vector<core::record> records; ///< what it holds
        bool torn{};                       ///< its last line was torn; it is gone now
    };

    /// Goes on with the journal of an interrupted transaction: reads it, cuts off a torn last line and appends from
    /// there. Errors: locked, when another process has the transaction; io_error, when the journal is damaged (see
    /// read_journal) or cannot be written.
    static core::expected<resumed_journal> resume(transaction_files where, std::uint64_t log_limit, file_ops& files);

    /// One write(2) a record. When that fails, nothing of the record stays in the file, and the next append may succeed
    /// (room was made). When a sync fails, the record is taken back too, and every later append returns that
    /// first error: after a failed fsync(2) nobody knows what is on disk, and a second one on the same file would say
    /// "fine" although the kernel has dropped the pages (the fsync question of PostgreSQL, 2018).
    core::expected<void> append(const core::record& r) override;

    core::expected<void> log(std::string_view bytes) override { return log_.write(bytes); }

    core::expected<void> finish_log() override { return log_.finish(); }

    core::expected<void> save(const std::string& file, std::string_view text) override;
    core::expected<std::string> load(const std::string& file) const override;

    const transaction_files& files() const { return where_; }

private:
    transaction_journal(transaction_files where, unique_fd fd, std::uint64_t log_limit, file_ops& files);

    core::expected<void> write_line(const std::string& line);
    core::expected<void> sync();
    core::expected<void> sync_entries();
    bool take_back();

    transaction_files where_;
    file_ops& files_;
    unique_fd fd_;
    upgrade_log log_;
    std::string last_sum_;
    std::uint64_t good_size_{};
    bool entries_synced_{false}; ///< by this process
    std::optional<core::error> problem_;
};

} // namespace belay::journal
