// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace belay::fakes {

/// While one lives no thread can be started in this process, as if a limit of the system were reached.
class no_threads {
public:
    no_threads();
    ~no_threads();
    no_threads(const no_threads&) = delete;
    no_threads& operator=(const no_threads&) = delete;
};

} // namespace belay::fakes
