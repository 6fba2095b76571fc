// SPDX-License-Identifier: Apache-2.0
#include "journal/store.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

namespace belay::journal {

namespace {

namespace fs = std::filesystem;

core::expected<fs::path> absolute(const std::string& text) {
    std::error_code problem;
    auto path = fs::absolute(text, problem).lexically_normal();
    if (problem) {
        return std::unexpected(io_failure("could not find the state directory " + text, problem.value()));
    }
    // Without a slash at the end, so that parent_path() is the parent.
    return path.has_filename() ? path : path.parent_path();
}

/// A hostile journal makes belay restore a snapshot, and a hostile lock file makes root write elsewhere.
core::expected<void> check_trust(const fs::path& directory, uid_t uid) {
    struct stat about {};

    if (::stat(directory.c_str(), &about) != 0) {
        return std::unexpected(io_failure("could not look at the state directory " + directory.string(), errno));
    }
    if (!S_ISDIR(about.st_mode)) {
        return core::failure(core::reason::io_error, "the state directory " + directory.string() +
                                                         " is not a directory: choose another with --state-dir");
    }
    if (uid == 0 && (about.st_uid != 0 || (about.st_mode & (S_IWGRP | S_IWOTH)) != 0)) {
        return core::failure(core::reason::io_error,
                             fmt::format("others than root may write to the state directory {0} (mode {1:04o}, owner "
                                         "{2}): choose another with --state-dir, or `chown root {0}` and `chmod "
                                         "go-w {0}` when you know what is in it",
                                         directory.string(), about.st_mode & 07777U, about.st_uid));
    }
    return {};
}

} // namespace

core::expected<fs::path> state_directory(const std::string& flag, const environment& getenv, uid_t uid) {
    const auto variable = [&](const char* name) {
        const char* value = getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    if (!flag.empty()) {
        return absolute(flag);
    }
    if (const auto given = variable("BELAY_STATE_DIR"); !given.empty()) {
        return absolute(given);
    }
    if (uid == 0) {
        return fs::path("/var/lib/belay");
    }
    if (const fs::path base = variable("XDG_STATE_HOME"); base.is_absolute()) {
        return absolute(base / "belay");
    }
    if (const fs::path home = variable("HOME"); home.is_absolute()) {
        return absolute(home / ".local/state/belay");
    }
    return core::failure(core::reason::usage, "there is no place for belay's state: HOME is not set; name a directory "
                                              "with --state-dir or BELAY_STATE_DIR");
}

core::expected<store> store::open(fs::path directory, uid_t uid, file_ops& files) {
    std::error_code ignored;
    if (fs::exists(directory, ignored)) {
        BELAY_TRY_VOID(check_trust(directory, uid)); // before anything is made in it
    }
    BELAY_TRY_VOID(make_directory(files, directory));
    for (const auto* name : {"transactions", "locks"}) {
        BELAY_TRY_VOID(make_directory(files, directory / name));
        BELAY_TRY_VOID(check_trust(directory / name, uid));
    }
    BELAY_TRY_VOID(check_trust(directory, uid));
    return store(std::move(directory), files);
}

core::expected<std::unique_ptr<transaction_journal>> store::create_transaction(const std::string& txn,
                                                                               std::uint64_t log_limit) const {
    auto where = files_of(directory_, txn);
    BELAY_TRY(const bool, is_new, make_new_directory(where.directory));
    if (!is_new) {
        return std::unexpected(
            core::error{core::reason::io_error, "the transaction ID " + txn + " is taken", "", true});
    }
    return transaction_journal::create(std::move(where), log_limit, *files_);
}

core::expected<transaction_journal::resumed_journal> store::resume_transaction(const std::string& txn,
                                                                               std::uint64_t log_limit) const {
    return transaction_journal::resume(files_of(directory_, txn), log_limit, *files_);
}

} // namespace belay::journal
