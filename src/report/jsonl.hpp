// SPDX-License-Identifier: Apache-2.0
// For programs: the stream of events as it happens, and reports at the end. The command's output is in neither; it goes
// to the log file alone.
#pragma once
#include "core/report.hpp"
#include "ports/listener.hpp"
#include "report/stream.hpp"

#include <span>
#include <string>
#include <vector>

namespace belay::report {

/// Writes each event as a line of JSON.
class jsonl final : public ports::listener {
public:
    explicit jsonl(int fd) : out_(fd, pipe_patience) {}

    void on(const core::record& r) override;

    void recall(const core::record&) override {}

private:
    stream out_;
};

/// One JSON document with its newline: the report, or an array of all. Without `array` there must be one report.
std::string report_document(std::span<const core::report> reports, bool array);

} // namespace belay::report
