// SPDX-License-Identifier: Apache-2.0
// Boost.Process starts the program, Asio waits for it: one io_context per call, driven by the calling thread alone.
//
// The end of the child is awaited on a pidfd of belay's own, with WNOWAIT. Boost's async_wait blocks the loop in 1.81,
// its other way needs a SIGCHLD handler for the whole process, and both reap at once: as long as the child is not
// reaped its process group cannot be another's, so that a signal to the group cannot hit a stranger.
#define BOOST_PROCESS_USE_STD_FS
#define BOOST_PROCESS_V2_DISABLE_NOTIFY_FORK
#include "process/child.hpp"
#include "process/program.hpp"
#include "process/terminal.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
// What the headers of 1.81 use without including it.
#include <boost/optional.hpp>
#include <boost/type_traits/decay.hpp>
#include <boost/type_traits/is_convertible.hpp>

#include <boost/process/v2/posix/default_launcher.hpp>
#include <boost/process/v2/posix/vfork_launcher.hpp>
#include <boost/process/v2/process.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <optional>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace belay::process {
namespace {

namespace asio = boost::asio;
namespace bp = boost::process::v2;
using boost::system::error_code;
using core::milliseconds;
using core::output;

constexpr std::size_t piece = 64 * 1024; ///< how much is read at once
constexpr auto kill_patience =
    std::chrono::seconds(5); ///< after SIGKILL: a process in the kernel's hands may never end

class unique_fd {
public:
    unique_fd() = default;

    explicit unique_fd(int fd) : fd_(fd) {}

    unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}

    unique_fd& operator=(unique_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }

    ~unique_fd() { reset(); }

    int get() const { return fd_; }

    int release() { return std::exchange(fd_, -1); }

    void reset() {
        if (fd_ >= 0) {
            ::close(release());
        }
    }

private:
    int fd_{-1};
};

struct pipe_ends {
    unique_fd read;
    unique_fd write;
};

core::error io_failure(const command& what, int number) {
    return {core::reason::io_error, "cannot start " + what.argv.front(), std::strerror(number)};
}

bool make_pipe(pipe_ends& ends) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) {
        return false;
    }
    ends = {unique_fd(fds[0]), unique_fd(fds[1])};
    return true;
}

/// Standard descriptors that are open, so that no pipe gets one of their numbers.
void open_standard_descriptors() {
    static std::once_flag once;
    std::call_once(once, [] {
        unique_fd null(::open("/dev/null", O_RDWR));
        while (null.get() >= 0 && null.get() <= STDERR_FILENO) {
            null.release(); // stays open on purpose
            null = unique_fd(::open("/dev/null", O_RDWR));
        }
    });
}

/// A SIGCHLD that is ignored, as careless parents leave it, makes the kernel throw exit statuses away.
void heed_sigchld() {
    struct sigaction action {};

    if (::sigaction(SIGCHLD, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
        action.sa_handler == SIG_IGN) {
        std::signal(SIGCHLD, SIG_DFL);
    }
}

/// A write to a pipe that nobody reads any more must not end belay: SIGPIPE is blocked in this thread, and taken away
/// again if it came.
class without_sigpipe {
public:
    without_sigpipe() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }

    ~without_sigpipe() {
        if (sigismember(&before_, SIGPIPE) == 0) {
            const timespec now{};
            while (::sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
            }
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

    without_sigpipe(const without_sigpipe&) = delete;
    without_sigpipe& operator=(const without_sigpipe&) = delete;

private:
    sigset_t pipe_{};
    sigset_t before_{};
};

core::expected<void> check(const command& what) {
    if (what.argv.empty() || what.argv.front().empty()) {
        return core::failure(core::reason::io_error, "cannot start a program without a name");
    }
    const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
    const bool bad_env = std::ranges::any_of(what.env, [&](const auto& set) {
        return set.first.empty() || set.first.find('=') != std::string::npos || has_nul(set.first) ||
               has_nul(set.second);
    });
    if (bad_env || std::ranges::any_of(what.argv, has_nul)) {
        return std::unexpected(io_failure(what, EINVAL));
    }
    return {};
}

std::vector<const char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<const char*> pointers;
    for (const auto& text : texts) {
        pointers.push_back(text.c_str());
    }
    pointers.push_back(nullptr);
    return pointers;
}

/// What happens in the child between fork and exec. Only async-signal-safe calls.
struct child_setup {
    std::array<int, 3> streams{-1, -1, -1}; ///< -1: belay's own
    bool foreground{false};
    bool interactive{false};

    template <class Launcher>
    error_code on_exec_setup(Launcher&, const bp::filesystem::path&, const char* const*) const {
        ::setpgid(0, 0);
        if (foreground) {
            take_foreground();
        }
        for (int target = 0; target < 3; ++target) {
            const int from = streams[static_cast<std::size_t>(target)];
            if (from >= 0 && ::dup2(from, target) < 0) {
                return {errno, boost::system::system_category()};
            }
        }
        // Belay opens everything with O_CLOEXEC; this is for what its libraries and its parent forgot.
        ::syscall(SYS_close_range, 3U, UINT_MAX, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
        reset_signals();
        return {};
    }

    /// The launcher calls exit() next: it would run belay's destructors and flush its buffers a second time.
    template <class... Any>
    void on_exec_error(Any&&...) const {
        ::_exit(127);
    }

private:
    void reset_signals() const {
        for (int number = 1; number < NSIG; ++number) {
            if (number != SIGKILL && number != SIGSTOP) {
                std::signal(number, SIG_DFL);
            }
        }
        if (interactive) {
            std::signal(SIGTSTP, SIG_IGN); // there is no shell around it that could continue it
        }
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
    }
};

/// A child that runs, or has ended and was not reaped yet: its number, and that of its group, stay taken.
class child {
public:
    child(pid_t pid, int handle) : pid_(pid), handle_(handle) {}

    child(child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), handle_(std::move(other.handle_)) {}

    child& operator=(child&&) = delete;

    /// When something threw in between, nothing may be left behind.
    ~child() {
        if (pid_ > 0) {
            signal_group(SIGKILL);
            reap(0);
        }
    }

    int handle() const { return handle_.get(); }

    void signal_group(int number) const { ::kill(-pid_, number); }

    /// How it ended; nothing while it runs. Does not reap.
    std::optional<status> poll() const {
        siginfo_t info{};
        if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
            return std::nullopt;
        }
        return status{info.si_code == CLD_EXITED ? ended::exited : ended::signalled, info.si_status};
    }

    /// With WNOHANG as flag a child that does not even die of SIGKILL is left alone.
    void reap(int flags) {
        while (::waitpid(pid_, nullptr, flags) < 0 && errno == EINTR) {
        }
        pid_ = -1;
    }

private:
    pid_t pid_;
    unique_fd handle_;
};

#if defined(__SANITIZE_THREAD__)
using launcher_type = bp::posix::default_launcher; // ThreadSanitizer makes a fork of every vfork: no memory is shared
#else
using launcher_type = bp::posix::vfork_launcher;
#endif

/// Starts the program. With vfork: the child of a plain fork would need locks that another thread of belay held at that
/// moment (with Boost 1.81 and a sanitizer's allocator it then never gets to exec), and copies belay's page tables. A
/// failed exec is seen at once, in the shared memory. One at a time, since the child borrows this thread's stack.
core::expected<child> launch(const command& what, const child_setup& setup) {
    static std::mutex one_at_a_time;
    const auto environment = environment_of(what);
    const auto env = pointers_to(environment);
    auto argv = pointers_to(what.argv);
    BELAY_TRY(const std::string, program, find_program(what.argv.front(), environment));

    asio::io_context unused; // the launcher wants one for a handle that is not needed
    launcher_type launcher;
    launcher.env = env.data();
    error_code failed;
    const std::lock_guard lock(one_at_a_time);
    auto started = launcher(unused.get_executor(), failed, bp::filesystem::path(program), argv.data(), setup);
    if (failed) {
        if (launcher.pid > 0) {
            ::waitpid(launcher.pid, nullptr, 0); // 1.81 leaves a zombie
        }
        return std::unexpected(io_failure(what, failed.value()));
    }
    const pid_t pid = started.detach().id();
    child running(pid, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
    if (running.handle() < 0) {
        return std::unexpected(io_failure(what, errno));
    }
    return running;
}

/// The parent's side of one child: drains, feeds and ends it. Everything runs on the thread that calls `wait`.
class session {
public:
    session(asio::io_context& loop, child& running, const sink& on_output, milliseconds grace)
        : loop_(loop), child_(running), on_output_(on_output), grace_(grace), handle_(loop), input_(loop),
          deadline_(loop), kill_(loop), drain_(loop), streams_{stream(loop), stream(loop)} {
        handle_.assign(running.handle());
        handle_.async_wait(asio::posix::descriptor_base::wait_read, [this](error_code) { on_exit(); });
    }

    /// The handle is the child's.
    ~session() { handle_.release(); }

    session(const session&) = delete;
    session& operator=(const session&) = delete;

    void feed(unique_fd to, std::string_view bytes) {
        input_.assign(to.release());
        asio::async_write(input_, asio::buffer(bytes), [this](error_code, std::size_t) { close(input_); });
    }

    void drain(unique_fd from, output::stream which) {
        auto& s = streams_[static_cast<std::size_t>(which)];
        s.which = which;
        s.buffer = std::make_unique_for_overwrite<char[]>(piece);
        s.from.assign(from.release());
        ++open_;
        read(s);
    }

    void limit(milliseconds duration) {
        deadline_.expires_after(duration);
        deadline_.async_wait([this](error_code failed) {
            if (!failed) {
                cut(ended::timed_out);
            }
        });
    }

    /// Ends the child before its time. After its end only the draining is left, and that stops.
    void cut(ended how) {
        if (exit_) {
            loop_.stop();
            return;
        }
        if (cut_) {
            return;
        }
        cut_ = how;
        child_.signal_group(SIGTERM);
        child_.signal_group(SIGCONT); // a stopped process does not hear SIGTERM
        after(kill_, grace_, [this] {
            child_.signal_group(SIGKILL);
            after(kill_, kill_patience, [this] { loop_.stop(); });
        });
    }

    status wait() {
        loop_.run();
        if (cut_) {
            child_.signal_group(SIGKILL); // what is left of the group
        }
        child_.reap(exit_ ? 0 : WNOHANG);
        auto result = exit_.value_or(status{});
        if (cut_) {
            result.how = *cut_;
        }
        return result;
    }

private:
    struct stream {
        explicit stream(asio::io_context& loop) : from(loop) {}

        asio::posix::stream_descriptor from;
        output::stream which{};
        std::unique_ptr<char[]> buffer{};
    };

    static void close(asio::posix::stream_descriptor& descriptor) {
        error_code ignored;
        descriptor.close(ignored);
    }

    template <class Then>
    static void after(asio::steady_timer& timer, std::chrono::nanoseconds duration, Then then) {
        timer.expires_after(duration);
        timer.async_wait([then](error_code failed) {
            if (!failed) {
                then();
            }
        });
    }

    void read(stream& s) {
        s.from.async_read_some(asio::buffer(s.buffer.get(), piece), [this, &s](error_code failed, std::size_t size) {
            if (size > 0 && on_output_) {
                on_output_(s.which, {s.buffer.get(), size});
            }
            if (!failed) {
                read(s);
                return;
            }
            close(s.from);
            --open_;
            finish_if_done();
        });
    }

    void on_exit() {
        exit_ = child_.poll();
        if (!exit_) {
            exit_ = status{ended::signalled, SIGKILL}; // somebody else reaped it; not a success in any case
        }
        close(input_);
        after(drain_, grace_, [this] { loop_.stop(); });
        finish_if_done();
    }

    void finish_if_done() {
        if (exit_ && open_ == 0) {
            loop_.stop();
        }
    }

    asio::io_context& loop_;
    child& child_;
    const sink& on_output_;
    milliseconds grace_;
    asio::posix::stream_descriptor handle_;
    asio::posix::stream_descriptor input_;
    asio::steady_timer deadline_;
    asio::steady_timer kill_;
    asio::steady_timer drain_;
    std::array<stream, 2> streams_;
    int open_{0};
    std::optional<status> exit_;
    std::optional<ended> cut_;
};

/// belay's and the child's ends of the standard streams.
struct plumbing {
    pipe_ends in;
    pipe_ends out;
    pipe_ends err;
};

bool lay(plumbing& pipes, const command& what) {
    if (what.interactive) {
        return true;
    }
    if (what.input.empty()) {
        pipes.in.read = unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
    return (what.input.empty() ? pipes.in.read.get() >= 0 : make_pipe(pipes.in)) && make_pipe(pipes.out) &&
           make_pipe(pipes.err);
}

} // namespace

core::expected<status> run(const command& what, milliseconds limit, const sink& on_output, std::stop_token stop,
                           milliseconds grace) {
    BELAY_TRY_VOID(check(what));
    if (stop.stop_requested()) {
        return status{ended::cancelled, 0};
    }
    open_standard_descriptors();
    heed_sigchld();
    plumbing pipes;
    if (!lay(pipes, what)) {
        return std::unexpected(io_failure(what, errno));
    }
    std::optional<lent_terminal> terminal;
    if (what.interactive) {
        terminal.emplace();
    }
    const without_sigpipe guard;
    BELAY_TRY(child, running,
              launch(what, {.streams = {pipes.in.read.get(), pipes.out.write.get(), pipes.err.write.get()},
                            .foreground = terminal && terminal->ours(),
                            .interactive = what.interactive}));
    pipes.in.read.reset();
    pipes.out.write.reset();
    pipes.err.write.reset();

    asio::io_context loop(1);
    session live(loop, running, on_output, grace);
    if (!what.interactive) {
        live.drain(std::move(pipes.out.read), output::stream::out);
        live.drain(std::move(pipes.err.read), output::stream::err);
        if (!what.input.empty()) {
            live.feed(std::move(pipes.in.write), what.input);
        }
    }
    if (limit > milliseconds::zero()) {
        live.limit(limit);
    }
    const std::stop_callback on_stop(stop, [&] { asio::post(loop, [&] { live.cut(ended::cancelled); }); });
    return live.wait();
}

} // namespace belay::process
