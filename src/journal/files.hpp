// SPDX-License-Identifier: Apache-2.0
// The few file operations of this room: what may fail on a full or broken disk goes through `file_ops`, so that tests
// can let it fail. Directories are made with 0700 and files with 0600, whatever the umask.
#pragma once
#include "core/error.hpp"

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace belay::journal {

/// Owns a file descriptor.
class unique_fd {
public:
    unique_fd() = default;

    explicit unique_fd(int fd) : fd_(fd) {}

    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

    unique_fd& operator=(unique_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }

    ~unique_fd();

    int get() const { return fd_; }

    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_{-1};
};

/// The system calls that write, as they are: -1 and errno.
class file_ops {
public:
    virtual ~file_ops() = default;
    virtual ssize_t write(int fd, const void* bytes, std::size_t size);
    virtual int fdatasync(int fd);
    virtual int fsync(int fd);
    virtual int ftruncate(int fd, off_t size);
    virtual int link(const char* from, const char* to);
};

/// The real ones; they have no state.
file_ops& real_files();

/// An io_error: what could not be done, and errno's text as the cause.
core::error io_failure(std::string message, int error_number);

/// Writes everything. EINTR and short writes are gone on after; -1 and errno for any other failure.
int write_all(file_ops& files, int fd, std::string_view bytes);

/// Makes a new file (0600) that is appended to; one that exists already is an error, unless `may_exist`.
core::expected<unique_fd> open_for_append(const std::filesystem::path& file, bool may_exist);

/// Takes the one lock for writing on a whole file, without waiting, as long as the file stays open (open file
/// description lock, fcntl(2)): it ends with the process, whatever becomes of it. False when another holds it. Error:
/// io_error.
core::expected<bool> lock_for_writing(const unique_fd& fd, const std::filesystem::path& file);

/// Whether some process holds that lock. Does not take it, not even for a moment; a file that is not there has none.
bool is_locked(const std::filesystem::path& file);

/// Makes what is missing of a directory's path (0700), each new one synced together with its entry in its parent.
/// Error: io_error, also when something there is no directory.
core::expected<void> make_directory(file_ops& files, const std::filesystem::path& directory);

/// Makes one new directory (0700) without syncing it; false when something of that name exists.
core::expected<bool> make_new_directory(const std::filesystem::path& directory);

/// Syncs a directory: the entries in it survive a power loss from then on.
core::expected<void> sync_directory(file_ops& files, const std::filesystem::path& directory);

/// The names in a directory, sorted; none when there is no such directory. Error: io_error.
core::expected<std::vector<std::string>> names_in(const std::filesystem::path& directory);

/// The whole of a small text file; empty when it cannot be read.
std::string slurp(const std::filesystem::path& file);

} // namespace belay::journal
