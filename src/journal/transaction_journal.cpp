// SPDX-License-Identifier: Apache-2.0
#include "journal/transaction_journal.hpp"

#include "codec/record_json.hpp"
#include "journal/line.hpp"
#include "journal/reader.hpp"

#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>

namespace belay::journal {

namespace {

/// Makes the transaction this process's own.
core::expected<void> own(const unique_fd& fd, const transaction_files& where) {
    BELAY_TRY(const bool, ours, lock_for_writing(fd, where.journal));
    return ours ? core::expected<void>{}
                : core::failure(core::reason::locked,
                                "another belay works on transaction " + where.directory.filename().string() + " now");
}

} // namespace

transaction_files files_of(const std::filesystem::path& state, const std::string& txn) {
    const auto directory = state / "transactions" / txn;
    return {directory, journal_of(state, txn), directory / "upgrade.log", directory / "evidence",
            directory / "decision"};
}

std::filesystem::path journal_of(const std::filesystem::path& state, const std::string& txn) {
    return state / ("transactions/" + txn + "/journal.jsonl");
}

transaction_journal::transaction_journal(transaction_files where, unique_fd fd, std::uint64_t log_limit,
                                         file_ops& files)
    : where_(std::move(where)), files_(files), fd_(std::move(fd)), log_(where_.log, log_limit, files),
      last_sum_(first_sum) {}

core::expected<std::unique_ptr<transaction_journal>>
transaction_journal::create(transaction_files where, std::uint64_t log_limit, file_ops& files) {
    BELAY_TRY(auto, fd, open_for_append(where.journal, false));
    BELAY_TRY_VOID(own(fd, where));
    std::unique_ptr<transaction_journal> journal(
        new transaction_journal(std::move(where), std::move(fd), log_limit, files));
    BELAY_TRY_VOID(journal->sync_entries());
    return journal;
}

core::expected<transaction_journal::resumed_journal>
transaction_journal::resume(transaction_files where, std::uint64_t log_limit, file_ops& files) {
    BELAY_TRY(auto, fd, open_for_append(where.journal, true));
    BELAY_TRY_VOID(own(fd, where));
    BELAY_TRY(auto, contents, read_journal(where.journal));
    if (contents.torn && files.ftruncate(fd.get(), static_cast<off_t>(contents.good_size)) != 0) {
        return std::unexpected(io_failure("could not cut off the torn last line of " + where.journal.string(), errno));
    }
    resumed_journal resumed;
    resumed.journal.reset(new transaction_journal(std::move(where), std::move(fd), log_limit, files));
    resumed.journal->last_sum_ = std::move(contents.last_sum);
    resumed.journal->good_size_ = contents.good_size;
    resumed.records = std::move(contents.records);
    resumed.torn = contents.torn;
    return resumed;
}

core::expected<void> transaction_journal::append(const core::record& r) {
    assert(!core::transient(r.what));
    if (problem_) {
        return std::unexpected(*problem_);
    }
    auto line = seal(codec::to_json_line(r), last_sum_);
    auto sum = std::string(sum_of(line));
    line += '\n';
    BELAY_TRY_VOID(write_line(line));
    if (core::durable(r.what)) {
        if (auto synced = sync(); !synced) {
            // What is on disk is not known, but whoever reads the file until the next start of the host must not find a
            // decision that its maker does not stand by.
            take_back();
            problem_ = std::move(synced).error();
            return std::unexpected(*problem_);
        }
    }
    last_sum_ = std::move(sum);
    good_size_ += line.size();
    return {};
}

core::expected<void> transaction_journal::write_line(const std::string& line) {
    if (write_all(files_, fd_.get(), line) == 0) {
        return {};
    }
    const auto problem = io_failure("could not write to the journal " + where_.journal.string(), errno);
    if (!take_back()) {
        problem_ = problem; // another record would stand behind a part of this one
    }
    return std::unexpected(problem);
}

/// Cuts the file to what it held before the record.
bool transaction_journal::take_back() {
    return files_.ftruncate(fd_.get(), static_cast<off_t>(good_size_)) == 0;
}

core::expected<void> transaction_journal::save(const std::string& file, std::string_view text) {
    const auto path = where_.directory / file;
    BELAY_TRY_VOID(make_directory(files_, path.parent_path()));
    const unique_fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
    if (fd.get() < 0 || write_all(files_, fd.get(), text) != 0) {
        return std::unexpected(io_failure("could not save " + path.string(), errno));
    }
    return {};
}

core::expected<std::string> transaction_journal::load(const std::string& file) const {
    const auto path = where_.directory / file;
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    if (in.peek() != std::ifstream::traits_type::eof()) {
        text << in.rdbuf();
    }
    if (!in.is_open() || in.bad() || !text) {
        return core::failure(core::reason::io_error, "could not read " + path.string());
    }
    return text.str();
}

core::expected<void> transaction_journal::sync() {
    if (files_.fdatasync(fd_.get()) != 0) {
        return std::unexpected(io_failure(
            "could not sync the journal " + where_.journal.string() + ": what is on disk of it is not known", errno));
    }
    return entries_synced_ ? core::expected<void>{} : sync_entries();
}

/// The file in its directory, and that one in the directory above.
core::expected<void> transaction_journal::sync_entries() {
    BELAY_TRY_VOID(sync_directory(files_, where_.directory));
    BELAY_TRY_VOID(sync_directory(files_, where_.directory.parent_path()));
    entries_synced_ = true;
    return {};
}

} // namespace belay::journal
