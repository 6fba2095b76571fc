// SPDX-License-Identifier: Apache-2.0
// Writes to a file descriptor that may be slow, stopped or gone. Never fails and never waits for ever: a transaction
// goes on without its terminal. SIGPIPE must be ignored by the program.
#pragma once
#include "core/plan.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace belay::report {

struct patience {
    core::milliseconds wait{1'000};   ///< how long a reader that takes nothing is waited for
    std::size_t backlog{1U << 20U};   ///< bytes kept for it after that; what does not fit is dropped
    core::milliseconds at_end{1'000}; ///< the same wait in finish()
};

/// For a terminal, and for a pipe: its reader may be a pager, or a program that is busy.
inline constexpr patience terminal_patience{};
inline constexpr patience pipe_patience{core::milliseconds{10'000}, 4U << 20U, core::milliseconds{60'000}};

class stream {
public:
    /// Does not own `fd`. On a terminal, a pipe or a FIFO it writes through a description of its own that does not
    /// block, so that the flags of the shared one stay as they are.
    explicit stream(int fd);
    stream(int fd, patience how);
    ~stream();
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    /// Writes a piece, whole or not at all. Waits for a slow reader as long as it takes something at least once within
    /// the patience; after that keeps what fits into the backlog and drops the rest.
    void write(std::string_view piece);

    /// Tries to write what is kept, without waiting.
    void pump();

    /// Writes what is kept, within the patience for the end.
    void finish();

    /// Whether the reader has gone away (EPIPE, EIO, or any other error): everything is dropped then.
    bool dead() const { return dead_; }

    /// Whether the reader has taken nothing for longer than the patience.
    bool stalled() const { return stalled_; }

    /// The bytes that were dropped since the last call, once the reader takes bytes again; 0 until then.
    std::uint64_t take_dropped();

    int fd() const { return fd_; }

private:
    enum class progress { done, some, none };

    progress try_write(std::string_view& bytes);
    bool wait(core::milliseconds limit) const;
    void drain(core::milliseconds limit);
    void compact();

    int fd_;
    int own_{-1};
    std::size_t chunk_;
    patience patience_;
    std::string backlog_;
    std::size_t sent_{0}; ///< bytes of the backlog that are written
    std::uint64_t dropped_{0};
    bool dead_{false};
    bool stalled_{false};
};

} // namespace belay::report
