// SPDX-License-Identifier: Apache-2.0
// The file with the command's raw output. Of output beyond a limit the first and the last half of the limit are kept.
//
//     upgrade.log                     grows up to half the limit; then it waits
//     upgrade.log.tail-000000052428800  what came later, in pieces, named by the position of their first byte in the
//     output;
//                                     pieces that fell out of the last half are deleted
//
// finish() puts the pieces at the end of upgrade.log and deletes them. After a crash they are still there: the end of
// the output is in the last piece. Bytes are written as they come, without a buffer, so that `tail -f` and a crash find
// them.
#pragma once
#include "journal/files.hpp"

#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace belay::journal {

class upgrade_log {
public:
    /// `limit` in bytes; 0: without limit. No file is made before there is something to write.
    upgrade_log(std::filesystem::path file, std::uint64_t limit, file_ops& files);

    /// Appends output. Error: io_error; from then on every call returns that first error.
    core::expected<void> write(std::string_view bytes);

    /// No more output will come: the file is whole when this returns, with a line `[belay: N bytes left out]` in its
    /// middle where the limit took something. A command that wrote nothing has an empty file. Error: io_error, as
    /// above.
    core::expected<void> finish();

private:
    struct piece {
        std::filesystem::path file;
        std::uint64_t begin{}; ///< position of its first byte in the output
        std::uint64_t size{};
    };

    core::expected<void> open_head();
    core::expected<void> write_tail(std::string_view bytes);
    core::expected<void> begin_piece();
    void drop_old_pieces();
    core::expected<void> append_pieces();
    core::expected<void> append_piece(const piece& from, std::uint64_t skip);
    core::expected<void> put(const unique_fd& to, const std::filesystem::path& file, std::string_view bytes);
    core::error broken(const std::filesystem::path& file);

    std::filesystem::path file_;
    std::uint64_t head_limit_; ///< what upgrade.log may hold before the end is known
    std::uint64_t tail_limit_;
    std::uint64_t piece_limit_;
    file_ops& files_;
    unique_fd head_;
    unique_fd tail_; ///< the newest piece
    std::deque<piece> pieces_;
    std::uint64_t total_{};
    char last_of_head_{'\n'};
    bool finished_{false};
    std::optional<core::error> problem_;
};

/// The files that hold the output of a transaction, in the order of the output: `file` itself, and the pieces that an
/// interrupted belay left beside it.
std::vector<std::filesystem::path> log_files(const std::filesystem::path& file);

} // namespace belay::journal
