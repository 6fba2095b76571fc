// SPDX-License-Identifier: Apache-2.0
// Going on with what another process left, or still works on.
#pragma once
#include "cli/site.hpp"

namespace belay::cli {

/// Goes on with a transaction to its end. Errors, and then nothing was done: locked, when another process works on it
/// or on its instance; io_error, when its journal is damaged or cannot be opened.
core::expected<core::report> resume_transaction(const incus_site& incus, const std::filesystem::path& state,
                                                const std::string& txn, ports::listener& listener, ports::inbox& inbox,
                                                const ports::clock& clock, journal::file_ops& files);

/// Waits for the end of a transaction that was decided, and goes on with it when no process works on it (any more).
/// Errors: those of resume_transaction but locked, and interrupted, when a signal ended the waiting.
core::expected<core::report> see_to_the_end(const incus_site& incus, const std::filesystem::path& state,
                                            const std::string& txn, ports::listener& listener, ports::inbox& inbox,
                                            const ports::clock& clock, journal::file_ops& files);

} // namespace belay::cli
