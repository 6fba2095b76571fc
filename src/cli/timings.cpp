// SPDX-License-Identifier: Apache-2.0
#include "cli/timings.hpp"

#include "core/text.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <utility>

namespace belay::cli {

namespace {

double milliseconds_of(std::chrono::steady_clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

/// The name of an open file; no more is needed to tell the few that are synced apart.
std::string name_of(int fd) {
    std::error_code problem;
    const auto path = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), problem);
    return problem ? std::string("?") : path.filename().string();
}

} // namespace

timings::timings(line_sink say) : say_(std::move(say)), start_(std::chrono::steady_clock::now()), files_(*this) {}

timings::~timings() {
    flush();
}

incus::observer timings::observer() {
    return [this](const incus::observed_time& t) { note(t.program ? "exec" : "request", t.what, t.begin, t.end); };
}

void timings::note(std::string_view kind, std::string_view what, time_point begin, time_point end) {
    auto line = fmt::format("{:<8}{:>10.3f} ms at {:>10.3f} ms  {}", kind, milliseconds_of(end - begin),
                            milliseconds_of(begin - start_), core::printable(what));
    const std::scoped_lock guard(mutex_);
    lines_.push_back(std::move(line));
}

void timings::flush() {
    std::vector<std::string> lines;
    {
        const std::scoped_lock guard(mutex_);
        lines = std::exchange(lines_, {});
    }
    for (const auto& line : lines) {
        say_(line);
    }
}

int timings::timed_files::fdatasync(int fd) {
    const auto begin = std::chrono::steady_clock::now();
    const int result = file_ops::fdatasync(fd);
    whose_.note("sync", name_of(fd), begin, std::chrono::steady_clock::now());
    return result;
}

int timings::timed_files::fsync(int fd) {
    const auto begin = std::chrono::steady_clock::now();
    const int result = file_ops::fsync(fd);
    whose_.note("sync", name_of(fd), begin, std::chrono::steady_clock::now());
    return result;
}

} // namespace belay::cli
