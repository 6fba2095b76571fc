// SPDX-License-Identifier: Apache-2.0
#include "cli/app.hpp"

namespace belay::cli {

int run(int, char**) { return 2; }

} // namespace belay::cli
