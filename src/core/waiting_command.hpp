// SPDX-License-Identifier: Apache-2.0
// A command that is begun before its turn, as far as that goes without it: as a shell in the instance that waits for a
// word and then becomes the command.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace belay::core {

/// The line that says that the command is next: the last one before it.
extern const std::string_view turn_mark;

/// What the shell must read to become the command: a whole line. Without it, it ends with exit status 1, so that nobody
/// takes that for the end of the command; also when its input ends.
extern const std::string_view turn_word;

/// `sh -c …` that runs `first`, a script, in a shell of its own without input and error output, prints `turn_mark`,
/// waits for `turn_word`, and becomes the command: same process, same arguments. One without a command waits as well,
/// since Incus now and then loses the output of a program that ends within milliseconds, and is never given the word.
std::vector<std::string> command_that_waits(const std::vector<std::string>& argv, std::string_view first);

/// Whether a command is the same behind a shell. `variables`: the names of what will be in its environment. Not one
/// whose name a shell takes for an option, and not with variables that shells drop or set themselves (POSIX, Shell
/// Command Language 2.5.3; dash, bash, busybox).
bool can_wait(const std::vector<std::string>& argv, const std::vector<std::string>& variables);

} // namespace belay::core
