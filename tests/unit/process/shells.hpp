// SPDX-License-Identifier: Apache-2.0
// The shells of this machine, of those that an instance may call sh.
#pragma once
#include "process/child.hpp"
#include "process/program.hpp"

#include <string>
#include <vector>

namespace belay::test {

/// Each with its arguments.
inline std::vector<std::vector<std::string>> shells() {
    using words = std::vector<std::string>;
    std::vector<words> here;
    for (const words& shell : {words{"dash"}, words{"bash", "--posix"}, words{"busybox", "ash"}}) {
        if (process::find_program(shell.front(), process::environment_of({}))) {
            here.push_back(shell);
        }
    }
    return here;
}

} // namespace belay::test
