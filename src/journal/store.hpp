// SPDX-License-Identifier: Apache-2.0
// The state directory: where it is, whether it can be trusted, and the transactions in it.
#pragma once
#include "journal/transaction_journal.hpp"

#include <sys/types.h>

#include <functional>

namespace belay::journal {

/// Like getenv(3): null when there is no such variable.
using environment = std::function<const char*(const char*)>;

/// Where the state is: `flag` (--state-dir) if given, else BELAY_STATE_DIR, else /var/lib/belay for root and
/// $XDG_STATE_HOME/belay or ~/.local/state/belay for others (XDG Base Directory Specification 0.8: a relative
/// XDG_STATE_HOME does not count). The path is absolute. Error: usage, when there is no home either.
core::expected<std::filesystem::path> state_directory(const std::string& flag, const environment& getenv, uid_t uid);

/// An existing or new state directory.
class store {
public:
    /// Makes what is missing: the directory, `transactions` and `locks` in it, all 0700 and synced. Errors, all
    /// io_error: it is no directory, or `uid` is root and others may write to it or own it (they could make belay
    /// restore or delete what they like).
    static core::expected<store> open(std::filesystem::path directory, uid_t uid, file_ops& files = real_files());

    /// The directory and the empty journal of a new transaction. Error: io_error; `transient` when the ID is taken, so
    /// that another one helps.
    core::expected<std::unique_ptr<transaction_journal>>
    create_transaction(const std::string& txn, std::uint64_t log_limit = default_log_limit) const;

    /// Goes on with an interrupted transaction. Only for the holder of its instance's lock.
    core::expected<transaction_journal::resumed_journal>
    resume_transaction(const std::string& txn, std::uint64_t log_limit = default_log_limit) const;

    const std::filesystem::path& directory() const { return directory_; }

private:
    store(std::filesystem::path directory, file_ops& files) : directory_(std::move(directory)), files_(&files) {}

    std::filesystem::path directory_;
    file_ops* files_;
};

} // namespace belay::journal
