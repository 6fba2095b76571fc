// SPDX-License-Identifier: Apache-2.0
#include "fakes/no_threads.hpp"

#include <atomic>
#include <cerrno>
#include <dlfcn.h>
#include <pthread.h>

namespace {

std::atomic<int> refusals{0};

} // namespace

/// In the place of the C library's: a program's own definition comes first.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                              void* argument) {
    if (refusals > 0) {
        return EAGAIN;
    }
    static const auto real = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
    return real(thread, attributes, run, argument);
}

namespace belay::fakes {

no_threads::no_threads() {
    ++refusals;
}

no_threads::~no_threads() {
    --refusals;
}

} // namespace belay::fakes
