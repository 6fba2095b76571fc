// SPDX-License-Identifier: Apache-2.0
#include "journal/decision_file.hpp"

#include "codec/decision_json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace belay::journal {

namespace {

/// A file that is gone again when this goes out of scope.
class passing_file {
public:
    explicit passing_file(std::filesystem::path path) : path_(std::move(path)) {}

    passing_file(const passing_file&) = delete;
    passing_file& operator=(const passing_file&) = delete;

    ~passing_file() { ::unlink(path_.c_str()); }

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// A name that no other draft has which is being written now: of another process, or another thread of this one.
std::filesystem::path draft_of(const std::filesystem::path& file) {
    static std::atomic<unsigned> number{0};
    return fmt::format("{}.{}.{}", file.string(), ::getpid(), number++);
}

} // namespace

core::expected<std::optional<core::decision>> decision_file::read() {
    if (::access(file_.c_str(), F_OK) != 0 && errno == ENOENT) {
        return std::nullopt;
    }
    auto known = codec::decision_from_json(slurp(file_));
    if (!known) {
        return core::failure(core::reason::io_error, "the decision in " + file_.string() + " cannot be read",
                             core::describe(known.error()));
    }
    return std::optional(*std::move(known));
}

core::expected<core::decision> decision_file::publish(const core::decision& wanted) {
    const passing_file draft(draft_of(file_));
    {
        ::unlink(draft.path().c_str()); // of a dead process with our number
        BELAY_TRY(const auto, fd, open_for_append(draft.path(), false));
        if (write_all(files_, fd.get(), codec::to_json_line(wanted) + "\n") != 0 || files_.fdatasync(fd.get()) != 0) {
            return std::unexpected(io_failure("could not write the decision " + file_.string(), errno));
        }
    }
    if (files_.link(draft.path().c_str(), file_.c_str()) != 0 && errno != EEXIST) {
        return std::unexpected(io_failure("could not publish the decision " + file_.string(), errno));
    }
    // Were the entry lost with the power, the journal would have what came of it, or nothing would have.
    (void)sync_directory(files_, file_.parent_path());
    BELAY_TRY(auto, holds, read());
    return holds ? core::expected<core::decision>(*std::move(holds))
                 : core::failure(core::reason::io_error, "the decision " + file_.string() + " vanished");
}

} // namespace belay::journal
