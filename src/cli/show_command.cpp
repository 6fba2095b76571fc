// SPDX-License-Identifier: Apache-2.0
// belay show: one transaction whole.
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/past.hpp"
#include "core/telling.hpp"
#include "journal/upgrade_log.hpp"
#include "report/text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace belay::cli {

namespace {

constexpr std::streamoff tail_bytes = 8'192;
constexpr int tail_lines = 20;

/// The last lines of a log, raw. Empty when there is none.
std::string tail_of(const std::filesystem::path& log) {
    std::ifstream in(log, std::ios::binary | std::ios::ate);
    if (!in) {
        return {};
    }
    const auto size = static_cast<std::streamoff>(in.tellg());
    const auto from = std::max<std::streamoff>(0, size - tail_bytes);
    in.seekg(from);
    std::string text(static_cast<std::size_t>(size - from), '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (from > 0) {
        text.erase(0, text.find('\n') + 1); // the rest of a line that was cut
    }
    auto end = text.size();
    for (int lines = 0; end > 0 && lines <= tail_lines; ++lines) {
        end = end < 2 ? 0 : text.rfind('\n', end - 2) + 1;
        if (lines + 1 == tail_lines || end == 0) {
            break;
        }
    }
    return text.substr(end);
}

/// The end of a file that was saved, as much as any of belay's own collectors prints. Empty when it cannot be read.
std::string end_of(const std::filesystem::path& file, std::uint64_t size) {
    constexpr std::uint64_t most = 256 * 1024;
    std::ifstream in(file, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(size > most ? size - most : 0));
    std::ostringstream text;
    if (in.peek() != std::ifstream::traits_type::eof()) {
        text << in.rdbuf();
    }
    return text.str();
}

/// The files of evidence that the report names and that are still there.
std::vector<report::evidence_file> evidence_of(const std::filesystem::path& folder, const core::report& r) {
    constexpr std::size_t lines_shown = 4;
    std::vector<report::evidence_file> files;
    for (const auto& name : r.evidence) {
        const auto path = folder / name;
        std::error_code problem;
        const auto size = std::filesystem::file_size(path, problem);
        if (!problem) {
            // A list of processes tells nothing by itself, and has the collectors with their words in it.
            const auto most = name == "processes" ? 0 : lines_shown;
            files.push_back({name, path.string(), size, core::telling_lines(end_of(path, size), most)});
        }
    }
    return files;
}

core::expected<std::string> chosen(const std::filesystem::path& state, const show_options& options) {
    if (options.what) {
        return journal::find_transaction(state, *options.what);
    }
    BELAY_TRY(auto, all, journal::list_transactions(state));
    if (all.empty()) {
        return core::failure(core::reason::usage, fmt::format("there is no transaction in {} yet", state.string()));
    }
    return all.back();
}

} // namespace

int show_command(const show_options& options) {
    const auto state = state_directory_of(options.common);
    if (!state) {
        return complain(state.error());
    }
    const auto txn = chosen(*state, options);
    if (!txn) {
        return complain(txn.error());
    }
    auto past = load_whole(*state, *txn);
    if (!past) {
        return complain(past.error());
    }
    if (past->how == report::ending::closed && past->summary.how == core::outcome::committed) {
        past->superseded_by = superseded_by(*state, *txn);
    }
    mark_undoable({&*past, 1}, system_clock{}.wall(), ask_incus);
    if (options.common.format == output_format::json) {
        print(as_json(*past));
        return 0;
    }
    if (past->summary.how == core::outcome::committed && past->superseded_by.empty() && !past->undoable) {
        past->summary.snapshot.clear(); // it was deleted since: nothing can be undone or freed
    }
    const auto look = report::style_of(STDOUT_FILENO);
    const auto pieces = journal::log_files(journal::files_of(*state, *txn).log);
    const auto tail = pieces.empty() ? std::string{} : tail_of(pieces.back());
    const auto evidence = evidence_of(journal::files_of(*state, *txn).evidence, past->summary);
    print(report::show(*past, tail, look, evidence));
    return 0;
}

} // namespace belay::cli
