// SPDX-License-Identifier: Apache-2.0
#include "journal/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace belay::journal {

unique_fd::~unique_fd() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

ssize_t file_ops::write(int fd, const void* bytes, std::size_t size) {
    return ::write(fd, bytes, size);
}

int file_ops::fdatasync(int fd) {
    return ::fdatasync(fd);
}

int file_ops::fsync(int fd) {
    return ::fsync(fd);
}

int file_ops::ftruncate(int fd, off_t size) {
    return ::ftruncate(fd, size);
}

int file_ops::link(const char* from, const char* to) {
    return ::link(from, to);
}

file_ops& real_files() {
    static file_ops files;
    return files;
}

core::error io_failure(std::string message, int error_number) {
    return {core::reason::io_error, std::move(message), std::generic_category().message(error_number), false};
}

int write_all(file_ops& files, int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto written = files.write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            return -1;
        }
        if (written == 0) {
            errno = EIO; // a regular file never does that; going on would not end
            return -1;
        }
        bytes.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return 0;
}

core::expected<unique_fd> open_for_append(const std::filesystem::path& file, bool may_exist) {
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (may_exist ? 0 : O_EXCL);
    unique_fd fd(::open(file.c_str(), flags, 0600));
    // The umask can take rights away, even the owner's.
    if (!fd || (::fchmod(fd.get(), 0600) != 0 && !may_exist)) {
        return std::unexpected(io_failure("could not make " + file.string(), errno));
    }
    return fd;
}

namespace {

struct flock whole_file() {
    struct flock lock {};

    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

} // namespace

core::expected<bool> lock_for_writing(const unique_fd& fd, const std::filesystem::path& file) {
    auto lock = whole_file();
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) == 0) {
        return true;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return false;
    }
    return std::unexpected(io_failure("could not lock " + file.string(), errno));
}

bool is_locked(const std::filesystem::path& file) {
    const unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    auto lock = whole_file();
    return fd && ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

core::expected<bool> make_new_directory(const std::filesystem::path& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0) {
        if (errno == EEXIST) {
            return false;
        }
        return std::unexpected(io_failure("could not make the directory " + directory.string(), errno));
    }
    if (::chmod(directory.c_str(), 0700) != 0) {
        return std::unexpected(io_failure("could not set the rights of " + directory.string(), errno));
    }
    return true;
}

core::expected<void> make_directory(file_ops& files, const std::filesystem::path& directory) {
    std::error_code ignored;
    if (std::filesystem::is_directory(directory, ignored)) {
        return {};
    }
    const auto parent = directory.parent_path();
    if (!parent.empty() && parent != directory) {
        BELAY_TRY_VOID(make_directory(files, parent));
    }
    BELAY_TRY(const bool, is_new, make_new_directory(directory));
    if (!is_new) {
        // Another belay may have made it just now.
        if (std::filesystem::is_directory(directory, ignored)) {
            return {};
        }
        return core::failure(core::reason::io_error, directory.string() +
                                                         " is not a directory: move it away, or choose "
                                                         "another place with --state-dir");
    }
    BELAY_TRY_VOID(sync_directory(files, directory));
    return sync_directory(files, parent);
}

core::expected<void> sync_directory(file_ops& files, const std::filesystem::path& directory) {
    const unique_fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || files.fsync(fd.get()) != 0) {
        return std::unexpected(io_failure("could not sync the directory " + directory.string(), errno));
    }
    return {};
}

core::expected<std::vector<std::string>> names_in(const std::filesystem::path& directory) {
    std::vector<std::string> names;
    std::error_code problem;
    std::filesystem::directory_iterator entry(directory, problem);
    if (problem == std::errc::no_such_file_or_directory) {
        return names;
    }
    for (; !problem && entry != std::filesystem::directory_iterator{}; entry.increment(problem)) {
        names.push_back(entry->path().filename());
    }
    if (problem) {
        return std::unexpected(io_failure("could not read the directory " + directory.string(), problem.value()));
    }
    std::ranges::sort(names);
    return names;
}

std::string slurp(const std::filesystem::path& file) {
    const unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::string text;
    std::array<char, 4096> piece{};
    ssize_t size{};
    while (fd && (size = ::read(fd.get(), piece.data(), piece.size())) > 0) {
        text.append(piece.data(), static_cast<std::size_t>(size));
    }
    return text;
}

} // namespace belay::journal
