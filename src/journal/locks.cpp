// SPDX-License-Identifier: Apache-2.0
#include "journal/locks.hpp"

#include "core/names.hpp"
#include "core/state.hpp"
#include "journal/files.hpp"
#include "journal/reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>

namespace belay::journal {

namespace {

using namespace std::chrono_literals;

/// FNV-1a, 64 bits: the same on every host and in every version, unlike std::hash.
std::uint64_t hash(std::string_view text) {
    std::uint64_t h = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return h;
}

std::string percent_encoded(std::string_view text, std::string_view also_plain) {
    std::string safe;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                           c == '.' || also_plain.find(c) != std::string_view::npos;
        if (plain) {
            safe += c;
        } else {
            safe += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return safe;
}

std::string trimmed(std::string text) {
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
    return text;
}

/// Whether a process runs: a zombie has ended, only its parent has not noticed.
bool runs(long pid) {
    if (pid <= 0 || (::kill(static_cast<pid_t>(pid), 0) != 0 && errno != EPERM)) {
        return false;
    }
    // proc(5): "pid (name) state …", and the name may hold anything.
    const auto status = slurp(fmt::format("/proc/{}/stat", pid));
    const auto name_end = status.rfind(") ");
    const char state = name_end == std::string::npos || name_end + 2 >= status.size() ? '?' : status[name_end + 2];
    return state != 'Z' && state != 'X';
}

struct lock_note {
    std::string txn;
    long pid{};
};

/// What a holder wrote: "<txn> <pid>\n".
std::optional<lock_note> read_note(int fd) {
    std::array<char, 64> text{};
    const auto size = ::pread(fd, text.data(), text.size(), 0);
    const std::string_view note(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    const auto space = note.find(' ');
    if (space == std::string_view::npos || !note.ends_with('\n') || !core::is_transaction_id(note.substr(0, space))) {
        return std::nullopt;
    }
    lock_note found{std::string(note.substr(0, space)), 0};
    std::from_chars(note.data() + space + 1, note.data() + note.size(), found.pid);
    return found;
}

class flock_file final : public ports::held_lock {
public:
    explicit flock_file(unique_fd fd) : fd_(std::move(fd)) {}

    flock_file(const flock_file&) = delete;
    flock_file& operator=(const flock_file&) = delete;

    // Unlocked, not only closed: a child that is between fork and exec has a copy of the descriptor.
    ~flock_file() override {
        [[maybe_unused]] const int cleared = ::ftruncate(fd_.get(), 0);
        ::flock(fd_.get(), LOCK_UN);
    }

    /// For the messages of others only, so a full disk is no reason to give up.
    void leave_note(const std::string& txn) const {
        const auto note = fmt::format("{} {}\n", txn, ::getpid());
        [[maybe_unused]] const int cleared = ::ftruncate(fd_.get(), 0);
        [[maybe_unused]] const auto written = ::pwrite(fd_.get(), note.data(), note.size(), 0);
    }

private:
    unique_fd fd_;
};

core::error locked(const std::string& project, const std::string& instance, const std::optional<lock_note>& note) {
    const auto name = instance + (project == "default" ? "" : " (project " + project + ")");
    if (!note) {
        return {
            core::reason::locked,
            fmt::format("instance {} is in a transaction of another belay: wait for it, or look with `belay show {}`",
                        name, instance),
            "", false};
    }
    return {core::reason::locked,
            fmt::format("instance {} is in transaction {} of another belay (pid {}): wait for it, or look with `belay "
                        "show {}`",
                        name, note->txn, note->pid, note->txn),
            "", false};
}

} // namespace

machine_identity read_identity(const std::filesystem::path& root) {
    machine_identity who;
    for (const auto* file : {"etc/machine-id", "var/lib/dbus/machine-id"}) {
        who.machine_id = trimmed(slurp(root / file));
        // "uninitialized" is what an image has before its first start.
        if (who.machine_id.size() == 32 && who.machine_id.find_first_not_of("0123456789abcdef") == std::string::npos) {
            break;
        }
        who.machine_id.clear();
    }
    if (who.machine_id.empty()) {
        who.machine_id = fmt::format("host-{:016x}", hash(trimmed(slurp(root / "proc/sys/kernel/hostname"))));
    }
    who.boot_id = trimmed(slurp(root / "proc/sys/kernel/random/boot_id"));
    if (who.boot_id.empty()) {
        who.boot_id = "unknown";
    }
    return who;
}

std::string lock_file_name(const std::string& server, const std::string& project, const std::string& instance) {
    constexpr std::size_t server_length = 12;
    constexpr std::size_t longest = 200;
    auto name = percent_encoded(server.substr(0, server_length), "") + "-" + percent_encoded(project, "") + "-" +
                percent_encoded(instance, "-");
    if (name.size() > longest) {
        name = name.substr(0, longest) + fmt::format("%{:016x}", hash(name));
    }
    return name + ".lock";
}

core::expected<std::unique_ptr<ports::held_lock>> file_locks::take(const std::string& server,
                                                                   const std::string& project,
                                                                   const std::string& instance,
                                                                   const std::string& txn) {
    const auto file = state_ / "locks" / lock_file_name(server, project, instance);
    unique_fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) {
        return std::unexpected(io_failure("could not open the lock " + file.string(), errno));
    }
    std::optional<lock_note> note;
    // A holder that has just begun may not have written who it is, and what an earlier one left may still stand there.
    for (int attempt = 0; attempt < 5; ++attempt) {
        if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
            auto held = std::make_unique<flock_file>(std::move(fd));
            held->leave_note(txn);
            return held;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return std::unexpected(io_failure("could not take the lock " + file.string(), errno));
        }
        note = read_note(fd.get());
        if (note && runs(note->pid)) {
            break;
        }
        note.reset();
        std::this_thread::sleep_for(2ms);
    }
    return std::unexpected(locked(project, instance, note));
}

core::lock_holder file_locks::self(const std::string& txn) const {
    return {txn, who_.machine_id, who_.boot_id, static_cast<long>(::getpid())};
}

namespace {

struct told {
    core::state state;
    core::wall_time begun;
};

/// What a journal tells; nothing when it cannot be read.
std::optional<told> told_by(const std::filesystem::path& journal) {
    const auto contents = read_journal(journal);
    if (!contents) {
        return std::nullopt;
    }
    told all;
    for (const auto& record : contents->records) {
        core::fold(all.state, record.what);
    }
    all.begun = contents->records.empty() ? core::wall_time{} : contents->records.front().time;
    return all;
}

} // namespace

core::journal_knowledge file_locks::knowledge(const std::string& txn, const std::string& uuid) const {
    using enum core::journal_knowledge;
    const auto where = files_of(state_, txn);
    std::error_code problem;
    if (!core::is_transaction_id(txn) || (!std::filesystem::exists(where.directory, problem) && !problem)) {
        return unknown;
    }
    const auto known = told_by(where.journal);
    if (!known) {
        return open;
    }
    if (known->state.facts && !uuid.empty() && known->state.facts->uuid != uuid) {
        return other_instance;
    }
    if (!known->state.end) {
        if (known->state.waits_for_confirmation()) {
            return waiting;
        }
        return is_locked(where.journal) ? running : open;
    }
    return *known->state.end == core::outcome::stuck ? stuck : closed;
}

bool file_locks::locked_since(const std::string& txn, const std::string& uuid) const {
    const auto all = list_transactions(state_);
    const auto own = told_by(journal_of(state_, txn));
    if (!all || !own) {
        return true; // what is not known may be
    }
    return std::ranges::any_of(*all, [&](const auto& other) {
        const auto known = other == txn ? std::nullopt : told_by(journal_of(state_, other));
        return known && known->begun >= own->begun && known->state.ok(core::act::lock) && known->state.facts &&
               known->state.facts->uuid == uuid;
    });
}

namespace {

/// Whether a transaction took back an upgrade of the instance, from the end of its journal.
bool is_undo(const std::filesystem::path& journal, const std::string& project, const std::string& instance) {
    const auto end = read_report(journal, codec::detail::brief).value_or(std::nullopt);
    return end && !end->undoes.empty() && end->project == project && end->instance == instance;
}

core::past_run past_in(const std::filesystem::path& journal, const std::string& txn) {
    const auto contents = read_journal(journal);
    auto run = contents ? core::past_of(contents->records) : core::past_run{};
    run.txn = txn;
    return run;
}

} // namespace

std::vector<core::past_run> file_locks::past(const std::vector<std::string>& txns, const std::string& project,
                                             const std::string& instance) const {
    std::vector<core::past_run> runs;
    const auto all = list_transactions(state_);
    if (!all || txns.empty()) {
        return runs;
    }
    constexpr std::size_t until_the_second = 16; // within one the IDs are in no order
    const auto oldest = std::ranges::min(txns).substr(0, until_the_second);
    for (const auto& txn : *all) {
        const auto journal = journal_of(state_, txn);
        const bool asked = std::ranges::find(txns, txn) != txns.end();
        if (asked || (txn >= oldest && is_undo(journal, project, instance))) {
            runs.push_back(past_in(journal, txn));
        }
    }
    return runs;
}

bool file_locks::alive(const core::lock_holder& holder) const {
    return holder.boot_id == who_.boot_id && runs(holder.pid);
}

} // namespace belay::journal
