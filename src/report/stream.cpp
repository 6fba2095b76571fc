// SPDX-License-Identifier: Apache-2.0
#include "report/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace belay::report {

namespace {

struct target {
    bool terminal{};
    bool fifo{};
};

target look_at(int fd) {
    struct stat about {};

    const bool known = fstat(fd, &about) == 0;
    return {isatty(fd) == 1, known && S_ISFIFO(about.st_mode)};
}

patience usual_patience(int fd) {
    return look_at(fd).terminal ? terminal_patience : pipe_patience;
}

/// O_NONBLOCK belongs to the open file description, which belay shares with its shell and its neighbours in a pipeline.
/// Opening the file behind the descriptor once more gives a description of our own.
int reopen(int fd, const target& what) {
    if (!what.terminal && !what.fifo) {
        return -1;
    }
    const auto path = fmt::format("/proc/self/fd/{}", fd);
    return open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/// As much as a blocking descriptor takes without blocking after poll(2) said that it is ready: PIPE_BUF for a pipe; a
/// terminal promises less. Files are always ready.
std::size_t chunk_size(const target& what, bool own) {
    if (own || (!what.terminal && !what.fifo)) {
        return 1U << 18U;
    }
    return what.fifo ? PIPE_BUF : 256;
}

} // namespace

stream::stream(int fd) : stream(fd, usual_patience(fd)) {}

stream::stream(int fd, patience how) : fd_(fd), chunk_(0), patience_(how) {
    const auto what = look_at(fd);
    own_ = reopen(fd, what);
    chunk_ = chunk_size(what, own_ >= 0);
}

stream::~stream() {
    finish();
    if (own_ >= 0) {
        close(own_);
    }
}

/// Writes until all is written or the descriptor is not ready.
stream::progress stream::try_write(std::string_view& bytes) {
    bool some = false;
    while (!bytes.empty() && !dead_) {
        if (own_ < 0 && !wait(core::milliseconds{0})) {
            break;
        }
        const auto size = std::min(bytes.size(), chunk_);
        const auto written = ::write(own_ >= 0 ? own_ : fd_, bytes.data(), size);
        if (written > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
            some = true;
        } else if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        } else if (written == 0 || errno != EINTR) {
            dead_ = true; // EPIPE, EIO: nobody is there. ENOSPC and the like: a view is not worth more tries
        }
    }
    if (some) {
        stalled_ = false;
    }
    return bytes.empty() ? progress::done : some ? progress::some : progress::none;
}

/// Whether the descriptor is ready, or is so within the limit. An error makes it ready: the write finds out which.
bool stream::wait(core::milliseconds limit) const {
    pollfd one{own_ >= 0 ? own_ : fd_, POLLOUT, 0};
    for (;;) {
        const int ready = poll(&one, 1, static_cast<int>(limit.count()));
        if (ready >= 0) {
            return ready > 0;
        }
        if (errno != EINTR) {
            return true;
        }
    }
}

void stream::drain(core::milliseconds limit) {
    for (;;) {
        auto rest = std::string_view(backlog_).substr(sent_);
        const auto how = try_write(rest);
        sent_ = backlog_.size() - rest.size();
        if (how == progress::done || dead_) {
            backlog_.clear();
            sent_ = 0;
            return;
        }
        if (stalled_ || limit.count() == 0) {
            return;
        }
        if (!wait(limit)) {
            stalled_ = true;
            return;
        }
    }
}

void stream::compact() {
    backlog_.erase(0, sent_);
    sent_ = 0;
}

void stream::write(std::string_view piece) {
    if (dead_ || piece.empty()) {
        return;
    }
    drain(patience_.wait);
    if (backlog_.empty()) {
        while (try_write(piece) != progress::done && !dead_ && !stalled_) {
            stalled_ = !wait(patience_.wait);
        }
    }
    if (piece.empty() || dead_) {
        return;
    }
    compact();
    // The rest of a piece whose beginning is written is kept in any case: nothing is torn.
    const bool begun = backlog_.empty();
    if (begun || backlog_.size() + piece.size() <= patience_.backlog) {
        backlog_ += piece;
    } else {
        dropped_ += piece.size();
    }
}

void stream::pump() {
    drain(core::milliseconds{0});
}

void stream::finish() {
    stalled_ = false;
    drain(patience_.at_end);
}

std::uint64_t stream::take_dropped() {
    return stalled_ || dead_ ? 0 : std::exchange(dropped_, 0);
}

} // namespace belay::report
