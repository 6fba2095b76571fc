// SPDX-License-Identifier: Apache-2.0
// Runs child processes. The only room that knows Boost.Process and Asio; nothing of them is in this header.
#pragma once
#include "core/event.hpp"

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace belay::process {

struct command {
    std::vector<std::string> argv; ///< argv[0] is a path, or a name looked up in PATH; no shell anywhere
    std::vector<std::pair<std::string, std::string>> env{}; ///< set in addition to belay's own environment
    std::string input{};     ///< written to standard input, which is then closed; empty: /dev/null
    bool interactive{false}; ///< standard streams are belay's terminal, and the child is its foreground process group
};

enum class ended { exited, signalled, timed_out, cancelled };

struct status {
    ended how{ended::exited};
    int code{}; ///< exit status, or the number of the signal
};

using sink = std::function<void(core::output::stream, std::string_view)>;

/// Runs a program in a process group of its own and waits for its end. Its output goes to `on_output`, piece by piece,
/// on the calling thread. When `limit` (0: none) has passed or `stop` is requested, the whole process group gets
/// SIGTERM and, `grace` later, SIGKILL. Returns when the program has ended and both outputs are drained; an output that
/// a grandchild keeps open is drained for at most `grace` after the end. Memory does not grow with the output. Safe to
/// call from many threads at once. Error: io_error when the program cannot be started (names it).
core::expected<status> run(const command& what, core::milliseconds limit, const sink& on_output, std::stop_token stop,
                           core::milliseconds grace = core::milliseconds{1'000});

} // namespace belay::process
