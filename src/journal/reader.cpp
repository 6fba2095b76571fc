// SPDX-License-Identifier: Apache-2.0
#include "journal/reader.hpp"

#include "core/names.hpp"
#include "core/text.hpp"
#include "journal/line.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <set>

namespace belay::journal {

namespace {

constexpr std::size_t chunk_size = 16 * 1024; // most journals

core::error unreadable(const std::filesystem::path& file, int error_number) {
    return io_failure("could not read the journal " + file.string(), error_number);
}

constexpr std::string_view damage = " is damaged: ";

/// The error for a line that nobody can trust; `number` counts from 1.
core::error damaged(const std::filesystem::path& file, std::size_t number, const std::string& what) {
    const auto txn = file.parent_path().filename().string();
    return {core::reason::io_error,
            fmt::format("line {} of the journal {}{}{}. belay does not act on it: look at the instance and its "
                        "snapshot {} by hand, or bring the file back from a backup; when all is in order, move the "
                        "directory {} away",
                        number, file.string(), damage, what, core::snapshot_name(txn), file.parent_path().string()),
            "", false};
}

/// A whole line with more behind it: what was lost is the newline between two lines. A tear cannot do that.
bool lost_its_newline(std::string_view line, std::string_view sum_before) {
    for (auto at = line.find(",\"sum\":\""); at != std::string_view::npos; at = line.find(",\"sum\":\"", at + 1)) {
        if (at + seal_size < line.size() && sealed_after(line.substr(0, at + seal_size), sum_before)) {
            return true;
        }
    }
    return false;
}

/// Whether a crash can have left a last line that is not whole: one without its end, or with blocks in it that never
/// got to the disk. A line that is JSON to its end was written whole; that its checksum does not match has other
/// causes.
bool may_be_torn(std::string_view line, bool has_newline, std::string_view sum_before) {
    return !(has_newline && nlohmann::json::accept(line)) && !lost_its_newline(line, sum_before);
}

std::string what_is_wrong_with(std::string_view line) {
    if (line.find('\0') != std::string_view::npos) {
        return "it has NUL bytes";
    }
    if (sum_of(line).empty()) {
        return "it has no checksum at its end";
    }
    return "its checksum does not match: it was altered, or a line before it is missing";
}

struct open_file {
    unique_fd fd;
    std::size_t size{}; ///< as it is now: a belay that lives may be appending
};

/// No descriptor for a file that is not there in a directory that is: such a journal is empty.
core::expected<open_file> open_journal(const std::filesystem::path& file) {
    unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));

    std::error_code ignored;
    if (!fd && errno == ENOENT && std::filesystem::is_directory(file.parent_path(), ignored)) {
        return open_file{}; // what a crash right after the directory was made leaves
    }

    struct stat about {};

    if (!fd || ::fstat(fd.get(), &about) != 0) {
        return std::unexpected(unreadable(file, errno));
    }
    if (!S_ISREG(about.st_mode)) {
        return core::failure(core::reason::io_error, "the journal " + file.string() + " is not a regular file");
    }
    return open_file{std::move(fd), static_cast<std::size_t>(about.st_size)};
}

/// At most `size` bytes from a position; fewer only at the end of the file.
core::expected<std::string> read_at(const std::filesystem::path& file, const unique_fd& fd, std::uint64_t position,
                                    std::size_t size) {
    int problem = 0;
    const auto fill = [&](char* to, std::size_t) {
        std::size_t done = 0;
        while (done < size) {
            const auto got = ::pread(fd.get(), to + done, size - done, static_cast<off_t>(position + done));
            if (got > 0) {
                done += static_cast<std::size_t>(got);
            } else if (got == 0 || errno != EINTR) {
                problem = got == 0 ? 0 : errno;
                break;
            }
        }
        return done;
    };
    std::string bytes;
    bytes.resize_and_overwrite(size, fill);
    if (problem != 0) {
        return std::unexpected(unreadable(file, problem));
    }
    return bytes;
}

core::expected<std::string> read_all(const std::filesystem::path& file) {
    BELAY_TRY(const auto, journal, open_journal(file));
    return journal.fd ? read_at(file, journal.fd, 0, journal.size) : std::string();
}

/// The record of a line that is whole.
core::expected<core::record> understood(const std::filesystem::path& file, std::size_t number, std::string_view line,
                                        codec::detail how) {
    auto record = codec::from_json_line(line, how);
    if (!record) {
        return core::failure(core::reason::io_error, fmt::format("line {} of the journal {}: {}", number, file.string(),
                                                                 record.error().message));
    }
    return record;
}

} // namespace

bool is_damage(const core::error& e) {
    return e.message.find(damage) != std::string::npos;
}

namespace {

/// Verifies the lines of a journal and hands each whole one to `see(number, line)`. What is torn at the end is passed
/// over, and told by the result, which has no records.
template <class See>
core::expected<journal_contents> go_through(const std::filesystem::path& file, std::string_view bytes, const See& see) {
    journal_contents contents;
    contents.last_sum = first_sum;
    auto rest = bytes;
    for (std::size_t number = 1; !rest.empty(); ++number) {
        const auto newline = rest.find('\n');
        const auto line = rest.substr(0, newline);
        const bool whole = newline != std::string_view::npos && sealed_after(line, contents.last_sum);
        if (codec::is_newer(line)) {
            return std::unexpected(understood(file, number, line, codec::detail::brief).error());
        }
        if (!whole) {
            const bool is_last = newline == std::string_view::npos || newline + 1 == rest.size();
            if (!is_last || !may_be_torn(line, newline != std::string_view::npos, contents.last_sum)) {
                return std::unexpected(damaged(file, number, what_is_wrong_with(line)));
            }
            contents.torn = true;
            break;
        }
        BELAY_TRY_VOID(see(number, line));
        contents.last_sum = sum_of(line);
        rest.remove_prefix(newline + 1);
        contents.good_size += newline + 1;
    }
    return contents;
}

} // namespace

core::expected<journal_contents> read_journal(const std::filesystem::path& file) {
    BELAY_TRY(const auto, bytes, read_all(file));
    std::vector<core::record> records;
    const auto read = [&](std::size_t number, std::string_view line) -> core::expected<void> {
        BELAY_TRY(auto, record, understood(file, number, line, codec::detail::whole));
        records.push_back(std::move(record));
        return {};
    };
    BELAY_TRY(auto, contents, go_through(file, bytes, read));
    contents.records = std::move(records);
    return contents;
}

core::expected<std::optional<core::record>> read_last(const std::filesystem::path& file, codec::detail how) {
    BELAY_TRY(const auto, bytes, read_all(file));
    std::size_t count = 0;
    std::string_view last;
    const auto remember = [&](std::size_t number, std::string_view line) -> core::expected<void> {
        count = number;
        last = line;
        return {};
    };
    BELAY_TRY_VOID(go_through(file, bytes, remember));
    if (count == 0) {
        return std::nullopt;
    }
    return understood(file, count, last, how);
}

core::expected<std::optional<core::report>> read_report(const std::filesystem::path& file, codec::detail how) {
    BELAY_TRY(auto, last, read_last(file, how));
    auto* end = last ? std::get_if<core::closed>(&last->what) : nullptr;
    return end == nullptr ? std::nullopt : std::optional(std::move(end->summary));
}

core::expected<std::vector<std::string>> list_transactions(const std::filesystem::path& state) {
    BELAY_TRY(auto, names, names_in(state / "transactions"));
    std::erase_if(names, [](const auto& name) { return !core::is_transaction_id(name); });
    return names;
}

namespace {

/// The transaction whose ID begins so; nothing when there is none.
core::expected<std::optional<std::string>> find_by_beginning(const std::vector<std::string>& ids,
                                                             const std::string& text) {
    std::vector<std::string> found;
    std::ranges::copy_if(ids, std::back_inserter(found), [&](const auto& id) { return id.starts_with(text); });
    if (found.empty()) {
        return std::nullopt;
    }
    if (found.size() > 1) {
        return core::failure(core::reason::usage, fmt::format("{} transactions begin with {}, as {} and {}: write more "
                                                              "of the one that is meant",
                                                              found.size(), text, found.front(), found.back()));
    }
    return found.front();
}

/// The first line, without its newline; nothing when there is no newline.
core::expected<std::optional<std::string>> first_line(const std::filesystem::path& file, const unique_fd& fd) {
    std::string line;
    for (;;) {
        BELAY_TRY(const auto, chunk, read_at(file, fd, line.size(), chunk_size));
        const auto newline = chunk.find('\n');
        line.append(chunk, 0, newline);
        if (newline != std::string::npos) {
            return line;
        }
        if (chunk.size() < chunk_size) {
            return std::nullopt;
        }
    }
}

/// The first record of a journal, briefly; nothing when it cannot be read.
std::optional<core::record> first_record(const std::filesystem::path& journal) {
    const auto found = open_journal(journal);
    if (!found || !found->fd) {
        return std::nullopt;
    }
    const auto line = first_line(journal, found->fd);
    if (!line || !*line || !sealed_after(**line, first_sum)) {
        return std::nullopt;
    }
    auto record = codec::from_json_line(**line, codec::detail::brief);
    return record ? std::optional(*std::move(record)) : std::nullopt;
}

/// When a transaction about this instance began; nothing when it is about another one, or cannot be read.
std::optional<core::wall_time> began_on(const std::filesystem::path& journal, const std::string& instance,
                                        const std::optional<std::string>& project) {
    const auto record = first_record(journal);
    if (!record || record->instance != instance) {
        return std::nullopt;
    }
    const auto* begin = std::get_if<core::opened>(&record->what);
    const bool same = !project || (begin != nullptr && begin->how.project == *project);
    return same ? std::optional(record->time) : std::nullopt;
}

} // namespace

core::expected<std::vector<std::string>> transactions_of(const std::filesystem::path& state,
                                                         const std::string& instance,
                                                         const std::optional<std::string>& project) {
    BELAY_TRY(const auto, all, list_transactions(state));
    std::vector<std::pair<core::wall_time, std::string>> found;
    for (const auto& id : all) {
        if (const auto time = began_on(journal_of(state, id), instance, project)) {
            found.emplace_back(*time, id);
        }
    }
    std::ranges::sort(found); // within a second the IDs are in no order
    std::vector<std::string> ids;
    std::ranges::transform(found, std::back_inserter(ids), [](const auto& one) { return one.second; });
    return ids;
}

core::expected<std::vector<known_instance>> known_instances(const std::filesystem::path& state) {
    BELAY_TRY(const auto, all, list_transactions(state));
    std::set<known_instance> found;
    for (const auto& id : all) {
        const auto record = first_record(journal_of(state, id));
        const auto* begin = record ? std::get_if<core::opened>(&record->what) : nullptr;
        if (begin != nullptr) {
            found.insert({begin->how.project, begin->how.instance});
        }
    }
    return std::vector(found.begin(), found.end());
}

core::expected<std::string> find_transaction(const std::filesystem::path& state, const std::string& text,
                                             const std::optional<std::string>& project) {
    BELAY_TRY(const auto, ids, list_transactions(state));
    const bool may_be_id = !text.empty() && text.front() >= '0' && text.front() <= '9';
    if (may_be_id) {
        BELAY_TRY(auto, found, find_by_beginning(ids, text));
        if (found) {
            return *std::move(found);
        }
    }
    BELAY_TRY(const auto, about, transactions_of(state, text, project));
    if (!about.empty()) {
        return about.back();
    }
    if (may_be_id) {
        return core::failure(core::reason::usage,
                             "there is no transaction " + core::printable(text) + ": `belay history` lists them");
    }
    return core::failure(core::reason::usage, "there is no transaction of an instance '" + core::printable(text) + "'" +
                                                  (project ? " in project '" + core::printable(*project) + "'" : "") +
                                                  ": `belay history` lists all of them");
}

} // namespace belay::journal
