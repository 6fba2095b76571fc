// SPDX-License-Identifier: Apache-2.0
#include "incus/folders.hpp"

#include <cerrno>
#include <chrono>
#include <dirent.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <memory>
#include <set>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace belay::incus {

namespace {

using std::chrono::steady_clock;

struct closes {
    void operator()(DIR* d) const { closedir(d); }
};

/// Adds up a tree. Folders are opened relative to the one above, so that a link that takes the place of one leads
/// nowhere: what is counted is written to by others meanwhile.
class counter {
public:
    counter(std::uint64_t enough, core::milliseconds limit) : enough_(enough), until_(steady_clock::now() + limit) {}

    std::uint64_t bytes() const { return bytes_; }

    /// false: it could not be counted.
    bool add(int above, const char* name) {
        const int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            return errno == ENOENT && above != AT_FDCWD; // it went away while the one above was read
        }
        const std::unique_ptr<DIR, closes> folder(fdopendir(fd));

        struct stat self {};

        if (!folder) {
            close(fd);
            return false;
        }
        if (fstat(fd, &self) != 0) {
            return false;
        }
        bytes_ += bytes_of(self);
        while (bytes_ <= enough_) {
            errno = 0;
            const auto* entry = readdir(folder.get());
            if (entry == nullptr) {
                return errno == 0;
            }
            if (!add_entry(fd, entry->d_name, self.st_dev)) {
                return false;
            }
        }
        return true;
    }

private:
    static std::uint64_t bytes_of(const struct stat& s) { return static_cast<std::uint64_t>(s.st_blocks) * 512; }

    bool add_entry(int folder, const char* name, dev_t device) {
        if (std::string_view(name) == "." || std::string_view(name) == "..") {
            return true;
        }
        if (steady_clock::now() >= until_) {
            return false;
        }

        struct stat s {};

        if (fstatat(folder, name, &s, AT_SYMLINK_NOFOLLOW) != 0) {
            return errno == ENOENT;
        }
        if (s.st_dev != device) {
            return true;
        }
        if (S_ISDIR(s.st_mode)) {
            return add(folder, name);
        }
        if (s.st_nlink == 1 || linked_.insert(s.st_ino).second) {
            bytes_ += bytes_of(s);
        }
        return true;
    }

    std::uint64_t enough_;
    steady_clock::time_point until_;
    std::uint64_t bytes_{};
    std::set<ino_t> linked_; ///< files with several names that were counted
};

std::filesystem::path pool_folder(const std::filesystem::path& daemon, const std::string& pool) {
    return daemon / "storage-pools" / pool;
}

} // namespace

std::filesystem::path instance_folder(const std::filesystem::path& daemon, const std::string& pool,
                                      const std::string& type, const std::string& project, const std::string& name) {
    return pool_folder(daemon, pool) / (type == "virtual-machine" ? "virtual-machines" : "containers") /
           (project == "default" ? name : project + "_" + name);
}

std::filesystem::path volume_folder(const std::filesystem::path& daemon, const std::string& pool,
                                    const std::string& project, const std::string& volume) {
    return pool_folder(daemon, pool) / "custom" / (project + "_" + volume);
}

std::optional<std::uint64_t> folder_size(const std::filesystem::path& folder, std::uint64_t enough,
                                         core::milliseconds limit) {
    counter all(enough, limit);
    return all.add(AT_FDCWD, folder.c_str()) ? std::optional(all.bytes()) : std::nullopt;
}

void free_what_was_deleted(const std::filesystem::path& daemon, const std::string& pool) {
    const int fd = ::open(pool_folder(daemon, pool).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)::ioctl(fd, BTRFS_IOC_SYNC);
        ::close(fd);
    }
}

} // namespace belay::incus
