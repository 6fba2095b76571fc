// SPDX-License-Identifier: Apache-2.0
// What is begun in the instance before its turn, as far as that goes without it: a shell that waits for a word and then
// becomes the command, and one that waits for a script of belay's own.
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

/// The line that proof_script prints when a program that it has begun has succeeded.
extern const std::string_view proof_line;

/// Begins a program, behind script_for_shell().
extern const std::string_view proof_script;

/// What a bystander must read to end without a word.
extern const std::string_view dismissal;

/// Who says, behind the end of a command, that programs can still be run in the instance.
enum class bystander {
    none,
    /// A shell that lives beside the command, and not as its child. At the end of their input, which Incus closes when
    /// the command has ended (cmd/incusd/instance_exec.go, finisher), it runs proof_script, prints on the command's
    /// error output and ends; when `dismissal` comes before that it just ends. The command has no input. There is none
    /// where the first process of the instance is not known to reap what others leave.
    shell
};

/// `sh -c …` that runs `first`, a script, in a shell of its own without input and error output, prints `turn_mark`,
/// waits for `turn_word`, and becomes the command: same process, same arguments. One without a command waits as well,
/// since Incus now and then loses the output of a program that ends within milliseconds, and is never given the word.
std::vector<std::string> command_that_waits(const std::vector<std::string>& argv, std::string_view first,
                                            bystander beside = bystander::none);

/// Whether a command is the same behind a shell. `variables`: the names of what will be in its environment. Not one
/// whose name a shell takes for an option, and not with variables that shells drop or set themselves (POSIX, Shell
/// Command Language 2.5.3; dash, bash, busybox).
bool can_wait(const std::vector<std::string>& argv, const std::vector<std::string>& variables);

/// Whether a bystander with these variables, those of its command alone, would see what any other program of the daemon
/// sees.
bool can_stand_by(const std::vector<std::string>& variables);

/// Takes the proof of a bystander out of the error output that it shares with its command.
class proof_filter {
public:
    /// What is no proof of this piece and of what was held back before it.
    std::string feed(std::string_view piece);

    /// Whether a proof was the last that came.
    bool proves() const { return held_ == proof_line; }

    /// The end: what was held back and is no proof.
    std::string finish();

private:
    std::string held_; ///< as much of a proof as came last
};

/// `sh -s …`: does nothing before its input comes, and ends with that.
std::vector<std::string> waiting_shell();

/// The input of waiting_shell() for a script. Nothing of it is run unless all of it has come. What it starts must not
/// read the shell's own input.
///
/// The shell may be older than what is in the instance now, and a program that is begun by its name need not be: `true`
/// is built into shells, and busybox has all of its programs in itself (FEATURE_SH_STANDALONE). So a script finds
/// `find_file NAME`, which sets $file to the file in $PATH that a new process would be, or to nothing.
std::string script_for_shell(std::string_view text);

} // namespace belay::core
