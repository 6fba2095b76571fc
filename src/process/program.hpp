// SPDX-License-Identifier: Apache-2.0
// What a child is started with: its environment, and the file that its name means. Starts nothing.
#pragma once
#include "process/child.hpp"

namespace belay::process {

/// The environment of the child, `NAME=value` each: belay's own, with what the command sets on top.
std::vector<std::string> environment_of(const command& what);

/// The file that a name means, found as execvp(3) does, in the PATH of the environment that the child gets. A name with
/// a slash is a path, and is not looked at. Error: io_error, when there is no such program in PATH.
core::expected<std::string> find_program(const std::string& name, const std::vector<std::string>& environment);

} // namespace belay::process
