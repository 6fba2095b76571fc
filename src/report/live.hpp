// SPDX-License-Identifier: Apache-2.0
// What the live view shows, as bytes: finished lines that scroll by, and below them a status that is redrawn in place.
// Knows no clock, no thread and no descriptor: the time comes with every call.
#pragma once
#include "report/lines.hpp"
#include "report/narrator.hpp"
#include "report/style.hpp"

#include <string>
#include <vector>

namespace belay::report {

using core::milliseconds;

class live {
public:
    explicit live(const style& look);

    /// Takes an event, at a monotonic time.
    void see(const core::record& r, milliseconds now);

    /// Takes an event of the past in, and shows nothing of it.
    void recall(const core::record& r) { narrator_.see(r); }

    /// A line of someone else, to be shown above the status.
    void say(std::string_view line);

    /// What must be written so that a terminal of so many columns shows the present state; empty when it does already.
    std::string frame(std::size_t columns, milliseconds now);

    /// What must be written so that the status is gone and the cursor stands at the beginning of a line.
    std::string leave(std::size_t columns);

    /// Finished lines that wait for a frame, in bytes.
    std::size_t waiting() const { return pending_.size(); }

    /// Throws away what waits, for a terminal that takes nothing. The next frame says so.
    void drop_waiting();

    /// Whether there is a status that changes by itself.
    bool moving() const { return running_ && !silent_; }

    /// Whether the command owns the terminal.
    bool silent() const { return silent_; }

private:
    void tell(const phase_began& n, milliseconds now);
    void tell(const phase_ended& n, milliseconds now);
    void tell(const phase_status& n, milliseconds now);
    void tell(const remark& n, milliseconds now);
    void tell(const not_covered& n, milliseconds now);
    void tell(const ended& n, milliseconds now);

    std::vector<std::string> status(std::size_t columns, milliseconds now) const;
    std::string status_line(std::size_t columns, milliseconds now) const;
    std::string countdown(milliseconds now) const;
    std::string doing(milliseconds now) const;
    std::string to_status_top(std::size_t columns) const;

    style look_;
    narrator narrator_;
    output_lines lines_;
    std::string pending_;
    std::size_t dropped_{0};
    std::vector<std::string> drawn_; ///< the status as it stands on the terminal
    bool running_{false};
    bool silent_{false};
    core::act phase_{};
    std::string label_;
    std::string detail_;
    std::string note_;
    milliseconds since_{};
    milliseconds last_output_{};
    bool asks_{false};
    double seconds_left_{0};
    milliseconds left_told_{};
};

} // namespace belay::report
