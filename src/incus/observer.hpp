// SPDX-License-Identifier: Apache-2.0
// Whoever wants to know where the time goes.
#pragma once
#include <chrono>
#include <functional>
#include <string>

namespace belay::incus {

/// What took time: a request, or a program in the instance with all the requests that it needs.
struct observed_time {
    bool program{false};
    std::string what; ///< "GET /1.0/instances/web1?project=default", or the program and its arguments
    std::chrono::steady_clock::time_point begin;
    std::chrono::steady_clock::time_point end;
};

/// Called on the thread that waited; several may at once.
using observer = std::function<void(const observed_time&)>;

} // namespace belay::incus
