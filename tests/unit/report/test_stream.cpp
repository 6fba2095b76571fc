// SPDX-License-Identifier: Apache-2.0
#include "report/stream.hpp"

#include "captured.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

using namespace belay;
using core::milliseconds;

namespace {

constexpr report::patience short_patience{milliseconds{50}, 100'000, milliseconds{50}};

struct pipe_ends {
    int read{-1};
    int write{-1};

    pipe_ends() {
        std::array<int, 2> ends{};
        REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
        read = ends[0];
        write = ends[1];
        std::signal(SIGPIPE, SIG_IGN);
    }

    ~pipe_ends() {
        close_read();
        close(write);
    }

    void close_read() {
        if (read >= 0) {
            close(read);
            read = -1;
        }
    }

    /// What can be read now.
    std::string take() const {
        std::string all;
        std::array<char, 65536> buffer{};
        fcntl(read, F_SETFL, O_NONBLOCK);
        for (auto size = ::read(read, buffer.data(), buffer.size()); size > 0;
             size = ::read(read, buffer.data(), buffer.size())) {
            all.append(buffer.data(), static_cast<std::size_t>(size));
        }
        return all;
    }
};

} // namespace

TEST_CASE("what is written arrives", "[report]") {
    const test::captured file;
    {
        report::stream out(file.fd());
        out.write("one ");
        out.write(std::string(1'000'000, 'x'));
        out.write(" two");
    }
    CHECK(file.text() == "one " + std::string(1'000'000, 'x') + " two");
}

TEST_CASE("a reader that has gone makes the stream silent", "[report]") {
    pipe_ends ends;
    report::stream out(ends.write, short_patience);
    ends.close_read();
    out.write("into the void\n");
    CHECK(out.dead());
    out.write("and again\n");
    CHECK(out.take_dropped() == 0);
}

TEST_CASE("the shared descriptor keeps its flags", "[report]") {
    const pipe_ends ends;
    const report::stream out(ends.write, short_patience);
    CHECK((fcntl(ends.write, F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("a reader that takes nothing is waited for once, and no piece is torn", "[report]") {
    const pipe_ends ends;
    report::stream out(ends.write, short_patience);
    const std::string piece = std::string(9'999, 'a') + "\n";
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) {
        out.write(piece);
    }
    CHECK(std::chrono::steady_clock::now() - begin < milliseconds{2'500});
    CHECK(out.stalled());
    CHECK(out.take_dropped() == 0); // not before the reader is back

    std::string arrived;
    for (std::string now = ends.take(); !now.empty(); now = ends.take()) {
        arrived += now;
        out.pump();
    }
    CHECK(arrived.size() % piece.size() == 0);
    CHECK_FALSE(out.stalled());
    CHECK(out.take_dropped() == 100 * piece.size() - arrived.size());
    CHECK(arrived.size() >= 160'000); // the pipe and the backlog
}

TEST_CASE("a slow reader gets everything", "[report]") {
    const pipe_ends ends;
    std::string arrived;
    std::jthread reader([&] {
        std::array<char, 20'000> buffer{};
        for (auto size = ::read(ends.read, buffer.data(), buffer.size()); size > 0;
             size = ::read(ends.read, buffer.data(), buffer.size())) {
            arrived.append(buffer.data(), static_cast<std::size_t>(size));
            std::this_thread::sleep_for(milliseconds{1});
            if (arrived.ends_with("end")) {
                return;
            }
        }
    });
    {
        report::stream out(ends.write, report::patience{milliseconds{5'000}, 1'000, milliseconds{5'000}});
        for (int i = 0; i < 50; ++i) {
            out.write(std::string(20'000, 'b'));
        }
        out.write("end");
    }
    reader.join();
    CHECK(arrived.size() == 1'000'003);
}
