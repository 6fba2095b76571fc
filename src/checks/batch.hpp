// SPDX-License-Identifier: Apache-2.0
// Several scripts for sh as one program in the instance: its text, and what is read of its output. Starts nothing.
#pragma once
#include "ports/checks.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace belay::checks {

/// A script that is run together with others.
struct batch_script {
    std::vector<std::string> options; ///< of its `#!` line
    std::string text;
    std::string name; ///< its $0
    std::vector<std::string> args;
    bool is_heard{true}; ///< its standard error is read; else it goes nowhere, which takes fewer processes
};

/// Must be set where the program runs; each script finds in it that value, with a dot and its own number behind it.
using ports::run_variable;

/// A script for core::script_for_shell that runs all of them side by side, each by a new shell with an empty standard
/// input, and prints what batch_reader reads. It needs `sh` alone, and no file of its own.
std::string batch_program(const std::vector<batch_script>& scripts);

/// Reads the standard output of batch_program. Each line of it says whose it is, and is written at once, so that those
/// of different scripts do not mix (pipe(7), PIPE_BUF):
///
///     3o good: tcp/80 any    script 3 printed this line
///     3o. 17                 that was all, 17 lines; or `3o. long`: it was too much for this way
///     3e …, 3e. 1            likewise on its standard error
///     3x 75                  it ended with this exit status
///
/// NUL bytes are lost. What does not add up was lost on the way, and is never taken for whole.
class batch_reader {
public:
    explicit batch_reader(std::size_t scripts) : parts_(scripts) {}

    /// The next bytes of the output.
    void read(std::string_view piece);

    /// Nothing more is to come of this script.
    bool ended(std::size_t script) const;

    /// All that it printed is here, and its exit status.
    bool whole(std::size_t script) const;

    int status(std::size_t script) const { return parts_[script].status.value_or(-1); }

    const std::string& out(std::size_t script) const { return parts_[script].out.text; }

    const std::string& err(std::size_t script) const { return parts_[script].err.text; }

private:
    struct stream {
        std::string text;
        std::size_t lines{0};
        bool ended{false};
        bool whole{false};
    };

    struct part {
        std::optional<int> status;
        stream out;
        stream err;
    };

    bool take_line(std::string_view line);

    std::vector<part> parts_;
    std::string rest_;     ///< of a line that is not all there
    std::size_t taken_{0}; ///< bytes
    bool confused_{false}; ///< what came cannot be understood
};

} // namespace belay::checks
