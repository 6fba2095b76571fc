// SPDX-License-Identifier: Apache-2.0
#include "fakes/exec_daemon.hpp"

#include <algorithm>
#include <sys/socket.h>
#include <utility>

namespace belay::fakes {

exec_daemon::exec_daemon(program_play play)
    : play_(std::move(play)), server_([this](const http_request& r) { return answer(r); }) {}

exec_daemon::~exec_daemon() {
    const std::scoped_lock lock(mutex_);
    over_ = true;
    changed_.notify_all();
}

bool exec_daemon::await_streams(int number) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return connected_ == number; });
}

bool exec_daemon::await_loss() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return lost_ == 3; });
}

bool exec_daemon::await_end_of_input() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return input_ended_; });
}

long exec_daemon::posts() const {
    return std::ranges::count(seen(), std::string("POST"), &http_request::method);
}

nlohmann::json exec_daemon::posted() const {
    const std::scoped_lock lock(mutex_);
    return posted_;
}

std::string exec_daemon::input() const {
    const std::scoped_lock lock(mutex_);
    return input_;
}

std::vector<int> exec_daemon::signals() const {
    const std::scoped_lock lock(mutex_);
    return signals_;
}

std::string exec_daemon::frame(unsigned char first, const std::string& payload) {
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

http_reply exec_daemon::answer(const http_request& r) {
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

std::string exec_daemon::error(const std::string& words) {
    return nlohmann::json{{"type", "error"}, {"error_code", 400}, {"error", words}}.dump();
}

std::string exec_daemon::operation() const {
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

void exec_daemon::await_end() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return over_ || (streams_over_ >= (play_.keeps_output ? 0 : 2) && has_ended()); });
}

bool exec_daemon::has_ended() const {
    if (connected_ < 4) {
        return false;
    }
    if (play_.runs_on) {
        return std::ranges::find(signals_, play_.dies_of) != signals_.end() || ended_;
    }
    if (!play_.last_word.empty()) {
        return input_.find(play_.last_word) != std::string::npos;
    }
    return !play_.reads_input || input_ended_;
}

void exec_daemon::serve(const std::string& which, int fd) {
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

bool exec_daemon::loses(int fd) {
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

void exec_daemon::send_stream(const std::string& which, int fd) {
    {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(10), [this] { return over_ || connected_ == 4; });
    }
    if (which == "s1" && !play_.raw_out.empty()) {
        send(fd, play_.raw_out);
    }
    const bool comes_last = which == "s2" && !play_.last_word.empty();
    const auto say_all = [&] {
        for (const auto& message : which == "s1" ? play_.out : play_.err) {
            send(fd, frame(binary, message));
        }
    };
    if (!comes_last) {
        say_all();
    }
    {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(20), [this] { return over_ || has_ended(); });
        if (which == "s1" && play_.reads_input) {
            send(fd, frame(binary, input_));
        }
    }
    if (comes_last) {
        say_all();
    }
    if (!play_.keeps_output) {
        send(fd, frame(text, ""));
    }
    const std::scoped_lock lock(mutex_);
    ++streams_over_;
    changed_.notify_all();
}

void exec_daemon::read_frames(const std::string& which, int fd) {
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

bool exec_daemon::take_frame(const std::string& which, std::string& waiting) {
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

void exec_daemon::take(const std::string& which, unsigned kind, const std::string& payload, bool masked) {
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

void exec_daemon::send(int fd, const std::string& bytes) {
    for (std::size_t sent = 0; sent < bytes.size();) {
        const auto size = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (size <= 0) {
            return;
        }
        sent += static_cast<std::size_t>(size);
    }
}

} // namespace belay::fakes
