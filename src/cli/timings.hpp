// SPDX-License-Identifier: Apache-2.0
// --timings: a line for each request, program in the instance and sync.
#pragma once
#include "cli/log.hpp"
#include "incus/observer.hpp"
#include "journal/files.hpp"
#include "ports/listener.hpp"

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

namespace belay::cli {

/// The lines are kept until the next event, and then printed on the thread that shows it: so they never write into the
/// view.
class timings : public ports::listener {
public:
    explicit timings(line_sink say);
    ~timings() override;

    /// For incus::instance::observe. This must outlive whatever calls it.
    incus::observer observer();

    /// Files whose syncs are timed.
    journal::file_ops& files() { return files_; }

    void on(const core::record&) override { flush(); }

    void recall(const core::record&) override {}

private:
    using time_point = std::chrono::steady_clock::time_point;

    class timed_files : public journal::file_ops {
    public:
        explicit timed_files(timings& whose) : whose_(whose) {}

        int fdatasync(int fd) override;
        int fsync(int fd) override;

    private:
        timings& whose_;
    };

    void note(std::string_view kind, std::string_view what, time_point begin, time_point end);
    void flush();

    line_sink say_;
    time_point start_;
    std::mutex mutex_;
    std::vector<std::string> lines_;
    timed_files files_;
};

} // namespace belay::cli
