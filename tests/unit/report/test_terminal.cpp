// SPDX-License-Identifier: Apache-2.0
// The live view on a pseudo-terminal.
#include "report/terminal.hpp"

#include "fakes/event_stream.hpp"
#include "fakes/no_threads.hpp"
#include "screen.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <unistd.h>

using namespace belay;
using core::act;
using core::milliseconds;

namespace {

class steady final : public ports::clock {
public:
    milliseconds monotonic() const override {
        return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch());
    }

    core::wall_time wall() const override { return {}; }

    double boottime() const override { return 0; }
};

/// A pseudo-terminal; a thread reads what is written to it.
class pseudo_terminal {
public:
    explicit pseudo_terminal(unsigned short columns) {
        const winsize size{30, columns, 0, 0};
        REQUIRE(openpty(&master_, &slave_, nullptr, nullptr, &size) == 0);
        fcntl(master_, F_SETFD, FD_CLOEXEC);
    }

    ~pseudo_terminal() {
        hang_up();
        close(slave_);
    }

    int fd() const { return slave_; }

    void hang_up() {
        if (master_ >= 0) {
            close(master_);
            master_ = -1;
        }
    }

    /// Reads until the text has come; false when it has not within ten seconds.
    bool read_until(std::string_view text) {
        const auto end = std::chrono::steady_clock::now() + milliseconds{10'000};
        while (bytes_.find(text) == std::string::npos && std::chrono::steady_clock::now() < end) {
            read_now(10);
        }
        return bytes_.find(text) != std::string::npos;
    }

    bool read_now(int wait) {
        pollfd one{master_, POLLIN, 0};
        if (poll(&one, 1, wait) <= 0) {
            return false;
        }
        std::array<char, 65536> buffer{};
        const auto size = ::read(master_, buffer.data(), buffer.size());
        if (size > 0) {
            bytes_.append(buffer.data(), static_cast<std::size_t>(size));
        }
        return size > 0;
    }

    const std::string& bytes() const { return bytes_; }

    /// What a terminal shows after all that.
    std::string shown(std::size_t columns) const {
        test::screen screen(columns);
        screen.write(bytes_);
        return screen.text();
    }

private:
    int master_{-1};
    int slave_{-1};
    std::string bytes_;
};

constexpr report::style mono{true, false, true, {}};

} // namespace

TEST_CASE("a transaction on a pseudo-terminal of 80 and of 200 columns", "[report]") {
    for (const unsigned short columns : std::array<unsigned short, 2>{80, 200}) {
        pseudo_terminal pty(columns);
        const steady clock;
        {
            report::terminal view(pty.fd(), mono, clock);
            fakes::event_stream events([&](const auto& r) { view.on(r); });
            events.bad_check();
        }
        while (pty.read_now(50)) {
        }
        const auto text = pty.shown(columns);
        INFO(text);
        CHECK(text.find("✗ verify           60.1s\n    ✗ listening  fail, 1 port; lost tcp/53 any\n") !=
              std::string::npos);
        CHECK(text.find("✗ web1 is back in its old state, running and as healthy as before.\n") != std::string::npos);
        CHECK(text.find("  output    /var/lib/belay/") != std::string::npos);
    }
}

TEST_CASE("without a thread the view is drawn when something happens", "[report]") {
    pseudo_terminal pty(80);
    const steady clock;
    {
        const fakes::no_threads none;
        report::terminal view(pty.fd(), mono, clock);
        fakes::event_stream events([&](const auto& r) { view.on(r); });
        events.bad_check();
    }
    while (pty.read_now(50)) {
    }
    CHECK(pty.shown(80).find("✗ web1 is back in its old state, running and as healthy as before.\n") !=
          std::string::npos);
}

TEST_CASE("the time goes on by itself, about ten times a second and no more than twenty", "[report]") {
    pseudo_terminal pty(80);
    const steady clock;
    report::terminal view(pty.fd(), mono, clock);
    fakes::event_stream events([&](const auto& r) { view.on(r); });
    events.up_to_upgrade();
    events.begin(act::upgrade);
    const auto begin = clock.monotonic();
    CHECK(pty.read_until("upgrade             2s  web1"));
    const auto frames = std::count(pty.bytes().begin(), pty.bytes().end(), '\r');
    CHECK(frames >= 8);
    CHECK(frames <= (clock.monotonic() - begin) / milliseconds{50} + 20); // the lines of the phases end in CR LF
}

TEST_CASE("a terminal that goes away does not disturb", "[report]") {
    std::signal(SIGHUP, SIG_IGN);
    pseudo_terminal pty(80);
    const steady clock;
    report::terminal view(pty.fd(), mono, clock);
    fakes::event_stream events([&](const auto& r) { view.on(r); });
    events.up_to_upgrade();
    events.begin(act::upgrade);
    pty.hang_up();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 10'000; ++i) {
        events.print("a line of output that nobody sees, again and again and again\n");
    }
    events.upgrade_fails();
    events.go_back();
    CHECK(std::chrono::steady_clock::now() - begin < milliseconds{4'000});
}

TEST_CASE("a terminal that takes nothing holds the transaction up once", "[report]") {
    pseudo_terminal pty(80); // nobody reads
    const steady clock;
    report::terminal view(pty.fd(), mono, clock);
    fakes::event_stream events([&](const auto& r) { view.on(r); });
    events.up_to_upgrade();
    events.begin(act::upgrade);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 50'000; ++i) {
        events.print("a line of output that nobody sees, again and again and again\n");
    }
    CHECK(std::chrono::steady_clock::now() - begin < milliseconds{10'000});
    CHECK(pty.read_until("web1")); // makes room; the view notices at its next frame
    events.print("the reader is back\n");
    CHECK(pty.read_until("the reader is back"));
    CHECK(pty.bytes().find("bytes are missing here") != std::string::npos);
}

TEST_CASE("a hundred thousand lines are quick", "[report]") {
    pseudo_terminal pty(80);
    const steady clock;
    std::atomic<bool> done{false};
    std::jthread reader([&] {
        while (pty.read_now(20) || !done) {
        }
    });
    const auto begin = std::chrono::steady_clock::now();
    {
        report::terminal view(pty.fd(), mono, clock);
        fakes::event_stream events([&](const auto& r) { view.on(r); });
        events.up_to_upgrade();
        events.begin(act::upgrade);
        const core::record piece{1, 0, {}, 0, events.txn, "web1", core::output{core::output::stream::out, "a line\n"}};
        for (int i = 0; i < 100'000; ++i) {
            events.pass(piece);
        }
        events.upgrade_fails();
        events.go_back();
    }
    done = true;
    reader.join();
    CHECK(std::chrono::steady_clock::now() - begin < milliseconds{20'000});
    const auto& bytes = pty.bytes();
    std::size_t lines = 0;
    for (auto at = bytes.find("  a line\r\n"); at != std::string::npos; at = bytes.find("  a line\r\n", at + 1)) {
        ++lines;
    }
    CHECK(lines == 100'000);
}
