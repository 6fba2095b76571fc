// SPDX-License-Identifier: Apache-2.0
// Exclusion between the belays of this host that share a state directory: one flock(2) file for each instance. The
// files are never deleted, else two belays could hold locks on two files of one name.
#pragma once
#include "ports/locks.hpp"

#include <filesystem>
#include <string>

namespace belay::journal {

/// What tells this host, since its last start, from any other.
struct machine_identity {
    std::string machine_id;
    std::string boot_id;
};

/// Below `root` ("/"): machine-id(5), else D-Bus's copy of it, else a hash of the host's name; the kernel's boot ID.
machine_identity read_identity(const std::filesystem::path& root);

/// The name of an instance's lock file: `<server>-<project>-<instance>.lock` with the first 12 characters of the
/// server's fingerprint. What is not a letter, digit, dot or underscore is percent-encoded, in the instance's name the
/// dash stays; names that get too long for a file end in a hash.
std::string lock_file_name(const std::string& server, const std::string& project, const std::string& instance);

class file_locks final : public ports::locks {
public:
    /// `state` is an opened store's directory.
    file_locks(std::filesystem::path state, machine_identity who) : state_(std::move(state)), who_(std::move(who)) {}

    core::expected<std::unique_ptr<ports::held_lock>> take(const std::string& server, const std::string& project,
                                                           const std::string& instance,
                                                           const std::string& txn) override;

    core::lock_holder self(const std::string& txn) const override;

    /// A journal that cannot be read counts as open: that keeps the lock.
    core::journal_knowledge knowledge(const std::string& txn, const std::string& uuid) const override;

    bool locked_since(const std::string& txn, const std::string& uuid) const override;

    std::vector<core::past_run> past(const std::vector<std::string>& txns, const std::string& project,
                                     const std::string& instance) const override;

    bool alive(const core::lock_holder& holder) const override;

private:
    std::filesystem::path state_;
    machine_identity who_;
};

} // namespace belay::journal
