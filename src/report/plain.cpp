// SPDX-License-Identifier: Apache-2.0
#include "report/plain.hpp"

#include "core/durations.hpp"
#include "report/pieces.hpp"
#include "report/text.hpp"

#include <cmath>
#include <fmt/format.h>

namespace belay::report {

plain::plain(int fd, const style& look) : look_(look), out_(fd), lines_("    ", !look.utf8) {
    look_.color = false;
}

void plain::on(const core::record& r) {
    if (const auto* piece = std::get_if<core::output>(&r.what)) {
        if (!out_.dead()) {
            lines_.feed(*piece, buffer_);
            flush();
        }
        return;
    }
    for (const auto& one : narrator_.see(r)) {
        std::visit([&](const auto& n) { tell(n); }, one);
    }
    flush();
}

/// Only phases that may last get a line at their beginning.
void plain::tell(const phase_began& n) {
    if (n.what == core::act::restore || n.what == core::act::evidence) {
        say(n.label + " begins");
    } else if (!n.detail.empty()) {
        say(fmt::format("{} begins: {}", n.label, n.detail));
    }
    for (const auto& [what, command] : n.open) {
        say(fmt::format("{}: {}", what, command));
    }
}

void plain::tell(const phase_ended& n) {
    lines_.finish(buffer_);
    const auto time = core::format_seconds(n.seconds);
    auto line = fmt::format("{} {} ({})", n.label, n.ok ? "ok" : "FAILED", time);
    if (!n.message.empty()) {
        line += ": " + n.message;
    } else if (!n.checks.empty() && !n.against_baseline) {
        line += ", " + tally(n.checks, false);
    }
    say(line);
    for (const auto& check : worth_a_line(n.checks, n.against_baseline)) {
        say(fmt::format("check {}: {}", check.name, verdict_text(check, n.against_baseline, look_)));
    }
}

void plain::tell(const phase_status& n) {
    if (!n.news) {
        return;
    }
    const std::chrono::seconds left{std::llround(std::ceil(n.seconds_left))};
    say(left.count() > 0 ? fmt::format("{} for {}", n.text, core::format_duration(left)) : n.text);
}

void plain::tell(const remark& n) {
    if (n.how == remark::kind::head) {
        buffer_ += "belay: " + safe(n.text, look_) + "\n";
    } else {
        say(n.how == remark::kind::warning ? "warning: " + n.text : n.text);
    }
}

void plain::tell(const not_covered& n) {
    buffer_ += coverage_table(n.rows, look_);
    say("to accept that, add" + n.options);
}

void plain::tell(const ended& n) {
    // The sentences speak of the instance by themselves; a mark would be noise in a log.
    const auto text = closing_sentence(n.summary, look_);
    buffer_ += std::string_view(text).substr(text.find(' ') + 1);
}

void plain::say(std::string_view line) {
    buffer_ += safe(narrator_.instance() + ": " + std::string(line), look_) + "\n";
}

void plain::flush() {
    if (const auto lost = out_.take_dropped(); lost > 0) {
        out_.write(fmt::format("belay: {} bytes are missing here: the reader took none for a while\n", lost));
    }
    out_.write(buffer_);
    buffer_.clear();
}

} // namespace belay::report
