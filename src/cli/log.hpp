// SPDX-License-Identifier: Apache-2.0
// The log on standard error: warnings, with -v phases, with -vv every event. The only place that knows spdlog.
#pragma once
#include "ports/listener.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace belay::cli {

enum class log_level { errors, warnings, phases, events };

/// Where finished lines go, without their ends: to the live view, when standard error is its terminal, or else there.
using line_sink = std::function<void(std::string_view)>;

/// Its reader may be slow, or gone: a transaction goes on without it.
line_sink to_standard_error();

/// A listener that logs.
std::unique_ptr<ports::listener> make_log(log_level level, line_sink say);

} // namespace belay::cli
