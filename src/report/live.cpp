// SPDX-License-Identifier: Apache-2.0
#include "report/live.hpp"

#include "report/pieces.hpp"
#include "report/text.hpp"
#include "report/width.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <utility>

namespace belay::report {

namespace {

constexpr std::array<std::string_view, 10> braille{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
constexpr std::array<std::string_view, 4> bars{"|", "/", "-", "\\"};
constexpr milliseconds spinner_step{100};

/// After so long without output the view says how long it has been.
constexpr milliseconds silence{10'000};

/// Terminals differ in what they do when the last column is filled, so it stays free.
std::size_t usable(std::size_t columns) {
    return columns > 1 ? columns - 1 : 1;
}

std::string spinner(milliseconds now, bool utf8) {
    const auto step = static_cast<std::size_t>(now / spinner_step);
    return std::string(utf8 ? braille[step % braille.size()] : bars[step % bars.size()]);
}

/// "7s", "1m05s", "2h03m": whole seconds, because it is redrawn all the time.
std::string elapsed(milliseconds time) {
    const auto seconds = std::max<std::int64_t>(0, time.count() / 1'000);
    if (seconds < 60) {
        return fmt::format("{}s", seconds);
    }
    return seconds < 3'600 ? fmt::format("{}m{:02}s", seconds / 60, seconds % 60)
                           : fmt::format("{}h{:02}m", seconds / 3'600, seconds % 3'600 / 60);
}

std::string tabs_to_spaces(std::string_view text) {
    std::string line(text);
    std::ranges::replace(line, '\t', ' ');
    return line;
}

/// The rows that lines take on a terminal that became narrower and wraps what it shows anew.
std::size_t rows(const std::vector<std::string>& lines, std::size_t columns) {
    std::size_t count = 0;
    for (const auto& line : lines) {
        count += std::max<std::size_t>(1, (display_width(line) + columns - 1) / std::max<std::size_t>(1, columns));
    }
    return count;
}

} // namespace

live::live(const style& look) : look_(look), lines_("  ", !look.utf8) {}

void live::see(const core::record& r, milliseconds now) {
    if (const auto* piece = std::get_if<core::output>(&r.what)) {
        last_output_ = now;
        lines_.feed(*piece, pending_);
        return;
    }
    for (const auto& one : narrator_.see(r)) {
        std::visit([&](const auto& n) { tell(n, now); }, one);
    }
}

void live::tell(const phase_began& n, milliseconds now) {
    running_ = true;
    silent_ = n.interactive;
    phase_ = n.what;
    label_ = n.label;
    detail_ = n.detail;
    note_.clear();
    since_ = now;
    last_output_ = now;
    seconds_left_ = 0;
    asks_ = n.asks && look_.keys;
    if (n.what == core::act::upgrade || !n.open.empty()) {
        pending_ += fmt::format("{} {} {}\n", paint(look_.utf8 ? "▸" : ">", tone::quiet, look_), n.label,
                                paint(safe(n.detail, look_), tone::quiet, look_));
        pending_ += facts(n.open, look_);
    }
}

void live::tell(const phase_ended& n, milliseconds) {
    lines_.finish(pending_);
    if (std::exchange(silent_, false)) {
        pending_ += "\x1b[0m\x1b[?25h\n"; // the command may have left the terminal as it liked, and the cursor anywhere
    }
    running_ = false;
    pending_ += phase_line(n.label, n.seconds, n.ok, look_);
    if (!n.message.empty()) {
        pending_ += "  " + safe(n.message, look_);
    } else if (!n.checks.empty() && !n.against_baseline) {
        pending_ += "  " + paint(tally(n.checks, false), tone::quiet, look_);
    }
    pending_ += '\n';
    pending_ += check_lines(worth_a_line(n.checks, n.against_baseline), n.against_baseline, look_);
}

void live::tell(const phase_status& n, milliseconds now) {
    note_ = n.text;
    seconds_left_ = n.seconds_left;
    left_told_ = now;
}

void live::tell(const remark& n, milliseconds) {
    const auto text = safe(n.text, look_);
    switch (n.how) {
    case remark::kind::head:
        pending_ += paint(text, tone::quiet, look_) + "\n";
        return;
    case remark::kind::warning:
        pending_ += fmt::format("{} {}\n", mark(tone::warn, look_), text);
        return;
    case remark::kind::detail:
        pending_ += "    " + text + "\n";
        return;
    case remark::kind::decision:
        pending_ += fmt::format("{} {}\n", paint(look_.utf8 ? "↶" : "<", tone::warn, look_), text);
        return;
    }
}

void live::tell(const not_covered& n, milliseconds) {
    pending_ += coverage_table(n.rows, look_);
    pending_ += "    " + safe("to accept that, add" + n.options, look_) + "\n";
}

void live::tell(const ended& n, milliseconds) {
    lines_.finish(pending_);
    running_ = false;
    silent_ = false;
    pending_ += closing_sentence(n.summary, look_);
}

void live::say(std::string_view line) {
    const auto end = line.find_last_not_of("\r\n");
    pending_ += safe(line.substr(0, end == std::string_view::npos ? 0 : end + 1), look_) + "\n";
}

void live::drop_waiting() {
    dropped_ += pending_.size();
    pending_.clear();
}

std::string live::countdown(milliseconds now) const {
    const auto passed = static_cast<double>((now - left_told_).count()) / 1'000;
    const auto left = std::ceil(std::max(0.0, seconds_left_ - passed));
    if (phase_ != core::act::confirm) {
        return fmt::format("{} for {:.0f}s more", note_, left);
    }
    auto text = elapsed(milliseconds{static_cast<std::int64_t>(left) * 1'000}) + " left";
    text += note_.empty() ? "" : "; " + note_;
    return asks_ ? text + "; y keeps the upgrade, n undoes it" : text;
}

/// What follows the name and the time of the phase.
std::string live::doing(milliseconds now) const {
    if (seconds_left_ > 0) {
        return countdown(now);
    }
    if (phase_ == core::act::upgrade && now - last_output_ >= silence) {
        return fmt::format("no output for {}", elapsed(now - last_output_));
    }
    return note_.empty() && phase_ != core::act::upgrade ? detail_ : note_;
}

std::string live::status_line(std::size_t columns, milliseconds now) const {
    const auto head = spinner(now, look_.utf8);
    auto rest = fmt::format(" {} {:>7}  {}", pad(label_, 14), elapsed(now - since_), narrator_.instance());
    if (const auto what = doing(now); !what.empty()) {
        rest += ": " + what;
    }
    return head + fit(safe(rest, look_), usable(columns) - std::min<std::size_t>(1, usable(columns)), look_.utf8);
}

std::vector<std::string> live::status(std::size_t columns, milliseconds now) const {
    if (!moving()) {
        return {};
    }
    std::vector<std::string> lines;
    if (const auto partial = lines_.partial(); !partial.empty()) {
        lines.push_back(fit("  " + tabs_to_spaces(partial), usable(columns), look_.utf8));
    }
    lines.push_back(status_line(columns, now));
    return lines;
}

/// From the end of the last line of the drawn status to the beginning of its first.
std::string live::to_status_top(std::size_t columns) const {
    if (drawn_.empty()) {
        return {};
    }
    const auto up = rows(drawn_, columns) - 1;
    return up == 0 ? "\r" : fmt::format("\r\x1b[{}A", up);
}

std::string live::frame(std::size_t columns, milliseconds now) {
    auto lines = status(columns, now);
    if (pending_.empty() && lines == drawn_) {
        return {};
    }
    auto bytes = to_status_top(columns);
    if (!drawn_.empty() && (!pending_.empty() || lines.empty())) {
        bytes += "\x1b[J";
    }
    if (dropped_ > 0 && !pending_.empty()) {
        bytes += fmt::format("! {} bytes are missing here: the terminal took none for a while\n", dropped_);
        dropped_ = 0;
    }
    bytes += pending_;
    pending_.clear();
    // Each line is overwritten and then cleared to its end: nothing flickers when only the time has changed.
    for (std::size_t i = 0; i < lines.size(); ++i) {
        bytes += (i == 0 ? "" : "\n") + lines[i] + "\x1b[K";
    }
    if (!lines.empty()) {
        bytes += "\x1b[J";
    }
    drawn_ = std::move(lines);
    return bytes;
}

std::string live::leave(std::size_t columns) {
    std::string bytes;
    if (!drawn_.empty()) {
        bytes = to_status_top(columns) + "\x1b[J";
    }
    bytes += std::exchange(pending_, {});
    drawn_.clear();
    return bytes;
}

} // namespace belay::report
