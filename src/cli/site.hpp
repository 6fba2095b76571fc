// SPDX-License-Identifier: Apache-2.0
// Where transactions take place: this host's Incus and belay's state directory, and what one transaction needs of them.
#pragma once
#include "checks/runner.hpp"
#include "incus/instance.hpp"
#include "journal/decision_file.hpp"
#include "journal/locks.hpp"
#include "journal/store.hpp"
#include "run/transaction.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace belay::cli {

/// One request that only reads.
inline constexpr core::milliseconds request_limit{30'000};

/// The Incus of this host.
struct incus_site {
    std::string program; ///< the incus client
    std::string socket;
    incus::observer observer{}; ///< of what is asked of it
};

/// Error: no_daemon, when either is not there.
core::expected<incus_site> find_incus();

/// One instance as a transaction sees it. The journal is opened by whoever begins or resumes one.
class workplace {
public:
    workplace(const incus_site& incus, const std::filesystem::path& state, const std::string& project,
              const std::string& instance);

    /// Of the transaction whose journal it is. As long as it is used no other.
    run::world world(journal::transaction_journal& journal, ports::listener& listener, ports::inbox& inbox,
                     const ports::clock& clock) {
        return {host, runner_, journal, locks_, decisions_.emplace(journal.files().decision), listener, inbox, clock};
    }

    ports::locks& locks() { return locks_; }

    ports::checks& hooks() { return runner_; }

    incus::instance host;

private:
    checks::runner runner_;
    journal::file_locks locks_;
    std::optional<journal::decision_file> decisions_;
};

/// The journal of a new transaction, with an ID of its own.
struct new_transaction {
    std::string txn;
    std::unique_ptr<journal::transaction_journal> journal;
};

/// The daemon is asked for what the transaction's first examination of the instance begins with, and answers while the
/// journal is made. Error: io_error.
core::expected<new_transaction> begin_transaction(incus::instance& host, const std::filesystem::path& state,
                                                  std::uint64_t log_limit, const ports::clock& clock,
                                                  journal::file_ops& files);

/// The report of a transaction that was refused before there was a journal to write to.
core::report refusal(const core::plan& plan, const core::error& why, const ports::clock& clock);

/// What the watchers of such a transaction see: that it is over.
core::record only_event(const core::report& r, const ports::clock& clock);

} // namespace belay::cli
