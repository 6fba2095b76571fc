// SPDX-License-Identifier: Apache-2.0
#include "journal/survey.hpp"

#include "journal/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace belay::journal {

namespace {

namespace fs = std::filesystem;

bool may(const fs::path& path, int mode) {
    return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0;
}

fs::path existing_above(fs::path path) {
    std::error_code ignored;
    while (!fs::exists(path, ignored) && path != path.parent_path()) {
        path = path.parent_path();
    }
    return path;
}

unique_fd open_probe(const fs::path& directory) {
    unique_fd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd) {
        auto name = (directory / ".probe-XXXXXX").string();
        fd = unique_fd(::mkostemp(name.data(), O_CLOEXEC));
        if (fd) {
            ::unlink(name.c_str());
        }
    }
    return fd;
}

std::string words(int error_number) {
    return std::generic_category().message(error_number);
}

/// Both kinds of lock that belay takes, on two descriptors of one file: the second one must be kept out.
std::string try_locks(const fs::path& directory) {
    const auto first = open_probe(directory);
    if (!first) {
        return words(errno);
    }
    const auto again = "/proc/self/fd/" + std::to_string(first.get());
    const unique_fd second(::open(again.c_str(), O_RDWR | O_CLOEXEC));
    if (::flock(first.get(), LOCK_EX | LOCK_NB) != 0) {
        return "flock: " + words(errno);
    }
    if (const auto taken = lock_for_writing(first, directory); !taken || !*taken) {
        return "fcntl: " + (taken ? std::string("taken already") : taken.error().cause);
    }
    if (!second) {
        return {}; // not to be found out without /proc
    }
    if (::flock(second.get(), LOCK_EX | LOCK_NB) == 0) {
        return "flock keeps nobody out";
    }
    const auto taken = lock_for_writing(second, directory);
    return taken && *taken ? "fcntl locks keep nobody out" : "";
}

} // namespace

core::directory_facts survey(const fs::path& directory) {
    core::directory_facts facts;
    facts.path = directory.string();

    struct stat about {};

    if (::stat(directory.c_str(), &about) != 0) {
        const auto above = existing_above(directory);
        std::error_code ignored;
        facts.exists = false;
        facts.made_in = above.string();
        facts.writable = fs::is_directory(above, ignored) && may(above, W_OK | X_OK);
        return facts;
    }
    facts.is_directory = S_ISDIR(about.st_mode);
    facts.owner = about.st_uid;
    facts.mode = about.st_mode & 07777U;
    facts.writable = may(directory, R_OK | W_OK | X_OK);

    struct statvfs room {};

    if (::statvfs(directory.c_str(), &room) == 0) {
        facts.free_bytes = static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
        if (room.f_files > 0) {
            facts.free_inodes = room.f_favail;
        }
    }
    if (facts.is_directory && facts.writable && facts.free_inodes.value_or(1) > 0) {
        facts.lock_problem = try_locks(directory);
    }
    return facts;
}

} // namespace belay::journal
