// SPDX-License-Identifier: Apache-2.0
#include "journal/upgrade_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace belay::journal {

namespace {

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t smallest_piece = 64 * 1024;
constexpr std::size_t copy_size = 256 * 1024;
constexpr std::string_view piece_mark = ".tail-";

} // namespace

upgrade_log::upgrade_log(std::filesystem::path file, std::uint64_t limit, file_ops& files)
    : file_(std::move(file)), head_limit_(limit == 0 ? no_limit : limit - limit / 2), tail_limit_(limit / 2),
      // Eight pieces: at most an eighth more than the limit is on disk at any time.
      piece_limit_(std::max(tail_limit_ / 8, smallest_piece)), files_(files) {}

core::expected<void> upgrade_log::write(std::string_view bytes) {
    if (problem_) {
        return std::unexpected(*problem_);
    }
    if (finished_) {
        return core::failure(core::reason::io_error, "output after the end of " + file_.string());
    }
    if (bytes.empty()) {
        return {};
    }
    BELAY_TRY_VOID(open_head());
    if (total_ < head_limit_) {
        const auto to_head = bytes.substr(0, std::min<std::uint64_t>(bytes.size(), head_limit_ - total_));
        BELAY_TRY_VOID(put(head_, file_, to_head));
        last_of_head_ = to_head.back();
        bytes.remove_prefix(to_head.size());
    }
    return write_tail(bytes);
}

core::expected<void> upgrade_log::open_head() {
    if (head_) {
        return {};
    }
    auto fd = open_for_append(file_, true);
    if (!fd) {
        problem_ = std::move(fd).error();
        return std::unexpected(*problem_);
    }
    head_ = *std::move(fd);
    // What a belay that was interrupted wrote counts as well.
    const auto size = ::lseek(head_.get(), 0, SEEK_END);
    total_ = size > 0 ? static_cast<std::uint64_t>(size) : 0;
    return {};
}

core::expected<void> upgrade_log::write_tail(std::string_view bytes) {
    if (tail_limit_ == 0) { // of one byte there is no half
        total_ += bytes.size();
        return {};
    }
    while (!bytes.empty()) {
        if (pieces_.empty() || pieces_.back().size >= piece_limit_) {
            BELAY_TRY_VOID(begin_piece());
            drop_old_pieces();
        }
        auto& newest = pieces_.back();
        const auto part = bytes.substr(0, std::min<std::uint64_t>(bytes.size(), piece_limit_ - newest.size));
        BELAY_TRY_VOID(put(tail_, newest.file, part));
        newest.size += part.size();
        bytes.remove_prefix(part.size());
    }
    return {};
}

core::expected<void> upgrade_log::begin_piece() {
    auto name = fmt::format("{}{}{:015}", file_.native(), piece_mark, total_);
    auto fd = open_for_append(name, false);
    if (!fd) {
        problem_ = std::move(fd).error();
        return std::unexpected(*problem_);
    }
    tail_ = *std::move(fd);
    pieces_.push_back({std::move(name), total_, 0});
    return {};
}

void upgrade_log::drop_old_pieces() {
    while (pieces_.size() > 1 && total_ - pieces_[1].begin >= tail_limit_) {
        ::unlink(pieces_.front().file.c_str());
        pieces_.pop_front();
    }
}

core::expected<void> upgrade_log::finish() {
    if (problem_) {
        return std::unexpected(*problem_);
    }
    if (finished_) {
        return {};
    }
    BELAY_TRY_VOID(open_head());
    tail_ = {};
    BELAY_TRY_VOID(append_pieces());
    finished_ = true;
    // Only now: a crash before leaves a part of the end twice, never nowhere.
    for (const auto& old : pieces_) {
        ::unlink(old.file.c_str());
    }
    pieces_.clear();
    head_ = {};
    return {};
}

core::expected<void> upgrade_log::append_pieces() {
    const auto output_size = total_;
    if (output_size <= head_limit_) {
        return {};
    }
    const auto oldest = pieces_.empty() ? output_size : pieces_.front().begin;
    const auto tail_begin = std::max(oldest, output_size - std::min(output_size, tail_limit_));
    if (tail_begin > head_limit_) {
        const auto* newline = last_of_head_ == '\n' ? "" : "\n";
        BELAY_TRY_VOID(
            put(head_, file_, fmt::format("{}[belay: {} bytes left out]\n", newline, tail_begin - head_limit_)));
    }
    for (const auto& from : pieces_) {
        const auto skip = tail_begin > from.begin ? tail_begin - from.begin : 0;
        BELAY_TRY_VOID(append_piece(from, std::min(skip, from.size)));
    }
    return {};
}

core::expected<void> upgrade_log::append_piece(const piece& from, std::uint64_t skip) {
    const unique_fd in(::open(from.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!in) {
        return std::unexpected(broken(from.file));
    }
    std::vector<char> buffer(copy_size);
    for (auto at = static_cast<off_t>(skip);;) {
        const auto size = ::pread(in.get(), buffer.data(), buffer.size(), at);
        if (size < 0 && errno != EINTR) {
            return std::unexpected(broken(from.file));
        }
        if (size == 0) {
            return {};
        }
        if (size > 0) {
            BELAY_TRY_VOID(put(head_, file_, {buffer.data(), static_cast<std::size_t>(size)}));
            at += size;
        }
    }
}

core::expected<void> upgrade_log::put(const unique_fd& to, const std::filesystem::path& file, std::string_view bytes) {
    if (write_all(files_, to.get(), bytes) != 0) {
        return std::unexpected(broken(file));
    }
    total_ += bytes.size();
    return {};
}

core::error upgrade_log::broken(const std::filesystem::path& file) {
    problem_ = io_failure("could not write the command's output to " + file.string(), errno);
    return *problem_;
}

std::vector<std::filesystem::path> log_files(const std::filesystem::path& file) {
    std::vector<std::filesystem::path> found;
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored)) {
        found.push_back(file);
    }
    const auto prefix = file.filename().native() + std::string(piece_mark);
    for (const auto& name : names_in(file.parent_path()).value_or(std::vector<std::string>{})) {
        if (name.starts_with(prefix)) {
            found.push_back(file.parent_path() / name);
        }
    }
    return found;
}

} // namespace belay::journal
