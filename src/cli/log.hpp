// SPDX-License-Identifier: Apache-2.0
// The log on standard error: warnings, with -v phases, with -vv every event. The only place that knows spdlog.
#pragma once
#include "ports/listener.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace belay::cli {

enum class log_level { errors, warnings, phases, events };

/// Where finished lines go when standard error is the terminal of the live view.
using line_sink = std::function<void(std::string_view)>;

/// A listener that logs. `say` replaces standard error when it is given.
std::unique_ptr<ports::listener> make_log(log_level level, line_sink say);

} // namespace belay::cli
