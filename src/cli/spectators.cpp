// SPDX-License-Identifier: Apache-2.0
#include "cli/spectators.hpp"

#include "cli/halt.hpp"
#include "cli/log.hpp"
#include "report/jsonl.hpp"
#include "report/terminal.hpp"

#include <unistd.h>

namespace belay::cli {

namespace {

log_level level_of(const common_options& common) {
    if (common.verbose > 1) {
        return log_level::events;
    }
    return common.verbose == 1 ? log_level::phases : log_level::warnings;
}

/// Log lines go through the live view when they would write over it.
line_sink sink_through(ports::listener* view) {
    auto* live = dynamic_cast<report::terminal*>(view);
    if (live == nullptr || isatty(STDERR_FILENO) == 0) {
        return to_standard_error();
    }
    return [live](std::string_view line) { live->say(line); };
}

} // namespace

spectators::spectators(const common_options& common, const ports::clock& clock)
    : look_(report::style_of(STDOUT_FILENO)), halt_(make_halt()) {
    if (common.format == output_format::jsonl) {
        view_ = std::make_unique<report::jsonl>(STDOUT_FILENO);
    } else if (common.format == output_format::text && !common.quiet) {
        view_ = report::make_view(STDOUT_FILENO, look_, clock);
    }
    const bool silent_view = common.format != output_format::text || common.quiet;
    if (common.verbose > 0 || (silent_view && !common.quiet)) {
        log_ = make_log(level_of(common), sink_through(view_.get()));
    }
    if (common.timings) {
        timings_ = std::make_unique<timings>(sink_through(view_.get()));
    }
    audience_.add(view_.get());
    audience_.add(log_.get());
    audience_.add(timings_.get());
    audience_.add(halt_.get());
}

} // namespace belay::cli
