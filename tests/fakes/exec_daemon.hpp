// SPDX-License-Identifier: Apache-2.0
// A fake Incus that runs programs: the exec of its API with WebSockets for the streams. What a program does is said by
// the test.
#pragma once
#include "fakes/http_server.hpp"

#include <condition_variable>
#include <nlohmann/json.hpp>
#include <poll.h>

namespace belay::fakes {

/// What the program does, and what becomes of its streams.
struct program_play {
    std::vector<std::string> out{}; ///< each a message
    std::vector<std::string> err{};
    std::string raw_out{}; ///< bytes on its output as they are, instead of messages
    int exit_status{0};
    std::string failure{};   ///< the operation fails with these words
    bool tells_status{true}; ///< the operation has an exit status
    bool runs_on{false};     ///< until it gets `dies_of`
    int dies_of{15};
    bool keeps_output{false}; ///< the streams stay open after its end
    bool reads_input{false};  ///< ends when its input has ended, and prints it
    std::string refusal{};    ///< the POST is refused with these words
    std::chrono::milliseconds accepts_after{0};
    bool gives_up{false};          ///< the first program: its input is refused
    bool loses_streams{false};     ///< of the first program, when all but its input are connected
    bool hangs_up{false};          ///< ends the connection on which it has accepted the program
    std::string status{"Running"}; ///< of the instance
};

class exec_daemon {
public:
    explicit exec_daemon(program_play play)
        : play_(std::move(play)), server_([this](const http_request& r) { return answer(r); }) {}

    /// Nothing is played to its end.
    ~exec_daemon() {
        const std::scoped_lock lock(mutex_);
        over_ = true;
        changed_.notify_all();
    }

    exec_daemon(const exec_daemon&) = delete;
    exec_daemon& operator=(const exec_daemon&) = delete;

    std::string socket() const { return server_.socket(); }

    /// As a daemon that is killed.
    void die() { server_.stop(); }

    /// Waits until the program runs.
    void await_start() { await_streams(4); }

    /// Waits until so many of its streams are connected.
    bool await_streams(int number) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return connected_ == number; });
    }

    /// Waits until the streams of the first program are closed.
    bool await_loss() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return lost_ == 3; });
    }

    /// Waits until the program has got all of its input.
    bool await_end_of_input() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return input_ended_; });
    }

    /// How many programs it was asked for.
    long posts() const { return std::ranges::count(seen(), std::string("POST"), &http_request::method); }

    nlohmann::json posted() const {
        const std::scoped_lock lock(mutex_);
        return posted_;
    }

    std::string input() const {
        const std::scoped_lock lock(mutex_);
        return input_;
    }

    std::vector<int> signals() const {
        const std::scoped_lock lock(mutex_);
        return signals_;
    }

    std::vector<http_request> seen() const { return server_.seen(); }

    static std::string frame(unsigned char first, const std::string& payload) {
        std::string text(1, static_cast<char>(first));
        if (payload.size() < 126) {
            text += static_cast<char>(payload.size());
        } else if (payload.size() < 65536) {
            text += static_cast<char>(126);
            text += static_cast<char>(payload.size() >> 8U);
            text += static_cast<char>(payload.size() & 0xFFU);
        } else {
            text += static_cast<char>(127);
            for (int shift = 56; shift >= 0; shift -= 8) {
                text += static_cast<char>(payload.size() >> static_cast<unsigned>(shift) & 0xFFU);
            }
        }
        return text + payload;
    }

private:
    static constexpr unsigned char text = 0x81;
    static constexpr unsigned char binary = 0x82;
    static constexpr unsigned char close = 0x88;
    static constexpr unsigned char ping = 0x89;

    http_reply answer(const http_request& r) {
        if (r.method == "POST") {
            const std::scoped_lock lock(mutex_);
            posted_ = nlohmann::json::parse(r.body);
            path_ = r.path;
            connected_ = 0; // of this one
            if (!play_.refusal.empty()) {
                return {.status = 400, .body = error(play_.refusal)};
            }
            return {.status = 202,
                    .body = R"({"type":"async","operation":"/1.0/operations/op1","metadata":{"metadata":{"fds":)"
                            R"({"0":"s0","1":"s1","2":"s2","control":"sc"}}}})",
                    .delay = play_.accepts_after,
                    .last = play_.hangs_up};
        }
        if (r.path.starts_with("/1.0/operations/op1/websocket?secret=")) {
            const auto which = r.path.substr(r.path.find('=') + 1);
            if (const std::scoped_lock lock(mutex_); which == "s0" && std::exchange(play_.gives_up, false)) {
                connected_ = 0;
                return {.status = 400, .body = error("Only running operations can be connected")};
            }
            return {.status = 101, .then = [this, which](int fd) { serve(which, fd); }};
        }
        if (r.path == "/1.0/operations/op1/wait") {
            await_end();
            return play_.failure.empty() ? http_reply{.body = operation()}
                                         : http_reply{.status = 400, .body = error(play_.failure)};
        }
        if (r.method == "GET" && r.path.starts_with("/1.0/instances/")) {
            const nlohmann::json what{{"name", "web1"}, {"status", play_.status}, {"config", nlohmann::json::object()}};
            return {.body = nlohmann::json{{"type", "sync"}, {"metadata", what}}.dump(), .etag = "tag"};
        }
        return {.body = operation()};
    }

    static std::string error(const std::string& words) {
        return nlohmann::json{{"type", "error"}, {"error_code", 400}, {"error", words}}.dump();
    }

    std::string operation() const {
        nlohmann::json result = nlohmann::json::object();
        if (play_.tells_status) {
            result["return"] = play_.runs_on ? 128 + play_.dies_of : play_.exit_status;
        }
        const bool good = play_.failure.empty();
        return nlohmann::json{
            {"type", "sync"},
            {"metadata", {{"status_code", good ? 200 : 400}, {"err", play_.failure}, {"metadata", result}}}}
            .dump();
    }

    void await_end() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return over_ || (streams_over_ >= (play_.keeps_output ? 0 : 2) && has_ended()); });
    }

    bool has_ended() const {
        if (connected_ < 4) {
            return false;
        }
        if (play_.runs_on) {
            return std::ranges::find(signals_, play_.dies_of) != signals_.end() || ended_;
        }
        return !play_.reads_input || input_ended_;
    }

    void serve(const std::string& which, int fd) {
        {
            const std::scoped_lock lock(mutex_);
            ++connected_;
            changed_.notify_all();
        }
        send(fd, frame(ping, "keepalive"));
        if (loses(fd)) {
            return;
        }
        if (which == "s1" || which == "s2") {
            send_stream(which, fd);
        }
        read_frames(which, fd);
    }

    bool loses(int fd) {
        std::unique_lock lock(mutex_);
        if (!play_.loses_streams) {
            return false;
        }
        changed_.wait_for(lock, std::chrono::seconds(10), [this] { return over_ || connected_ == 3; });
        ::shutdown(fd, SHUT_RDWR);
        if (++lost_ == 3) {
            play_.loses_streams = false;
            connected_ = 0;
        }
        changed_.notify_all();
        return true;
    }

    void send_stream(const std::string& which, int fd) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, std::chrono::seconds(10), [this] { return over_ || connected_ == 4; });
        }
        if (which == "s1" && !play_.raw_out.empty()) {
            send(fd, play_.raw_out);
        }
        for (const auto& message : which == "s1" ? play_.out : play_.err) {
            send(fd, frame(binary, message));
        }
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, std::chrono::seconds(20), [this] { return over_ || has_ended(); });
            if (which == "s1" && play_.reads_input) {
                send(fd, frame(binary, input_));
            }
        }
        if (!play_.keeps_output) {
            send(fd, frame(text, ""));
        }
        const std::scoped_lock lock(mutex_);
        ++streams_over_;
        changed_.notify_all();
    }

    /// Masked frames of the client, until it goes.
    void read_frames(const std::string& which, int fd) {
        std::string waiting;
        for (;;) {
            char piece[65536];
            const auto size = ::recv(fd, piece, sizeof piece, 0);
            if (size <= 0) {
                const std::scoped_lock lock(mutex_);
                ended_ = ended_ || which == "sc"; // the daemon kills a program whose control is lost
                changed_.notify_all();
                return;
            }
            waiting.append(piece, static_cast<std::size_t>(size));
            while (take_frame(which, waiting)) {
            }
        }
    }

    bool take_frame(const std::string& which, std::string& waiting) {
        const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(waiting[at]); };
        if (waiting.size() < 2) {
            return false;
        }
        std::size_t length = byte(1) & 0x7FU;
        std::size_t head = 2;
        const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (waiting.size() < 2 + more + 4) {
            return false;
        }
        if (more > 0) {
            length = 0;
            for (std::size_t i = 0; i < more; ++i) {
                length = length << 8U | byte(2 + i);
            }
            head += more;
        }
        head += 4; // the mask
        if (waiting.size() < head + length) {
            return false;
        }
        auto payload = waiting.substr(head, length);
        for (std::size_t i = 0; i < length; ++i) {
            payload[i] = static_cast<char>(payload[i] ^ waiting[head - 4 + i % 4]);
        }
        take(which, byte(0) & 0x0FU, payload, (byte(1) & 0x80U) != 0);
        waiting.erase(0, head + length);
        return true;
    }

    void take(const std::string& which, unsigned kind, const std::string& payload, bool masked) {
        const std::scoped_lock lock(mutex_);
        if (!masked) {
            input_ += "(not masked)";
        }
        if (which == "s0" && kind == 2) {
            input_ += payload;
        } else if (which == "s0" && kind == 1 && payload.empty()) {
            input_ended_ = true;
        } else if (which == "sc" && kind == 1) {
            signals_.push_back(nlohmann::json::parse(payload).value("signal", 0));
        }
        changed_.notify_all();
    }

    static void send(int fd, const std::string& bytes) {
        for (std::size_t sent = 0; sent < bytes.size();) {
            const auto size = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (size <= 0) {
                return;
            }
            sent += static_cast<std::size_t>(size);
        }
    }

    program_play play_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    nlohmann::json posted_;
    std::string path_;
    std::string input_;
    std::vector<int> signals_;
    int connected_{0};
    int lost_{0};
    int streams_over_{0};
    bool input_ended_{false};
    bool ended_{false};
    bool over_{false};
    http_server server_; ///< the last member: its threads use the others
};

} // namespace belay::fakes
