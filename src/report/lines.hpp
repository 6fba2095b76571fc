// SPDX-License-Identifier: Apache-2.0
// Makes safe lines of the raw output of a command. It is the hot path of the plain view: output of plain ASCII is
// copied, everything else goes through core::terminal_filter.
#pragma once
#include "core/event.hpp"
#include "core/text.hpp"

#include <array>
#include <string>
#include <string_view>

namespace belay::report {

/// One of the two streams of a command. Of a line that a carriage return rewrites (a progress bar) only the last state
/// counts. A line longer than 32 KiB is broken, so that memory stays flat.
class lane {
public:
    /// Each line begins with `prefix`, which must outlive the lane; `ascii` replaces what is not ASCII.
    lane(std::string_view prefix, bool ascii) : prefix_(prefix), ascii_(ascii) {}

    /// Appends the lines that the piece completes to `complete`, each with its newline.
    void feed(std::string_view bytes, std::string& complete);

    /// The end of the output: a line without its newline gets one.
    void finish(std::string& complete);

    /// The line that is not complete, as it looks now.
    std::string_view partial() const { return partial_; }

private:
    void take(std::string_view text, std::string& complete);
    void take_part(std::string_view part, std::string& complete);
    void end_line(std::string_view rest, std::string& complete);

    std::string_view prefix_;
    bool ascii_;
    core::terminal_filter filter_;
    bool plain_{true}; ///< the filter is not within a sequence: what is harmless need not pass it
    std::string partial_;
    bool rewrites_{false}; ///< a carriage return was the last character
};

class output_lines {
public:
    output_lines(std::string_view prefix, bool ascii) : lanes_{lane(prefix, ascii), lane(prefix, ascii)} {}

    void feed(const core::output& piece, std::string& complete);
    void finish(std::string& complete);

    /// The line that was written to last, if it is not complete.
    std::string_view partial() const { return lanes_[latest_].partial(); }

private:
    std::array<lane, 2> lanes_;
    std::size_t latest_{0};
};

} // namespace belay::report
