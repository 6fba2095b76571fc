// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server on a unix socket of its own, each connection on a thread. What it answers is a function's
// affair.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace belay::fakes {

struct http_request {
    std::string method;
    std::string path;                           ///< with its query
    std::map<std::string, std::string> headers; ///< names in lower case
    std::string body;
};

struct http_reply {
    int status{200};
    std::string body{};
    std::string etag{};
    std::chrono::milliseconds delay{0};
    bool cut{false};                 ///< the connection ends in the middle of the body
    bool last{false};                ///< the connection ends after it
    std::function<void(int)> then{}; ///< what the connection is for after the answer; it ends with that
};

class http_server {
public:
    using handler = std::function<http_reply(const http_request&)>;

    explicit http_server(handler answer) : answer_(std::move(answer)) {
        char folder[] = "/tmp/belay-http-XXXXXX";
        if (::mkdtemp(folder) == nullptr) {
            throw std::runtime_error("mkdtemp");
        }
        folder_ = folder;
        listen();
    }

    ~http_server() {
        stop();
        std::filesystem::remove_all(folder_);
    }

    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;

    std::string socket() const { return folder_ + "/unix.socket"; }

    /// As a daemon that died: nobody listens, every connection is lost.
    void stop() {
        ending_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        if (accepting_.joinable()) {
            accepting_.join();
        }
        {
            const std::lock_guard lock(mutex_);
            for (const int fd : open_) {
                ::shutdown(fd, SHUT_RDWR);
            }
        }
        connections_.clear();
        ::close(std::exchange(listener_, -1));
    }

    /// And came back.
    void restart() {
        ::unlink(socket().c_str());
        ending_ = false;
        listen();
    }

    std::vector<http_request> seen() const {
        const std::lock_guard lock(mutex_);
        return seen_;
    }

    int connections() const { return accepted_; }

private:
    void listen() {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, 16) != 0) {
            throw std::runtime_error("bind " + socket());
        }
        accepting_ = std::jthread([this] {
            for (int fd = -1; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
                ++accepted_;
                const std::lock_guard lock(mutex_);
                open_.push_back(fd);
                connections_.emplace_back([this, fd] { serve(fd); });
            }
        });
    }

    void serve(int fd) {
        std::string waiting;
        http_request what;
        while (!ending_ && read(fd, waiting, what)) {
            {
                const std::lock_guard lock(mutex_);
                seen_.push_back(what);
            }
            const auto reply = answer_(what);
            for (auto slept = std::chrono::milliseconds(0); slept < reply.delay && !ending_;
                 slept += std::chrono::milliseconds(5)) {
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
            if (ending_ || !write(fd, reply) || reply.cut || reply.last) {
                break;
            }
            if (reply.then) {
                reply.then(fd);
                break;
            }
        }
        const std::lock_guard lock(mutex_);
        open_.remove(fd);
        ::close(fd);
    }

    static bool fill(int fd, std::string& waiting) {
        char piece[65536];
        const auto size = ::recv(fd, piece, sizeof piece, 0);
        if (size > 0) {
            waiting.append(piece, static_cast<std::size_t>(size));
        }
        return size > 0;
    }

    static bool read(int fd, std::string& waiting, http_request& what) {
        std::size_t end{};
        while ((end = waiting.find("\r\n\r\n")) == std::string::npos) {
            if (!fill(fd, waiting)) {
                return false;
            }
        }
        what = {};
        const auto first = waiting.find("\r\n");
        const auto line = waiting.substr(0, first);
        const auto space = line.find(' ');
        what.method = line.substr(0, space);
        what.path = line.substr(space + 1, line.rfind(' ') - space - 1);
        for (auto at = first + 2; at < end;) {
            const auto stop = waiting.find("\r\n", at);
            const auto colon = waiting.find(':', at);
            auto name = waiting.substr(at, colon - at);
            std::ranges::transform(name, name.begin(),
                                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            what.headers[name] = waiting.substr(colon + 2, stop - colon - 2);
            at = stop + 2;
        }
        waiting.erase(0, end + 4);
        const auto length = what.headers.contains("content-length") ? std::stoul(what.headers["content-length"]) : 0;
        while (waiting.size() < length) {
            if (!fill(fd, waiting)) {
                return false;
            }
        }
        what.body = waiting.substr(0, length);
        waiting.erase(0, length);
        return true;
    }

    static bool write(int fd, const http_reply& reply) {
        std::string bytes = "HTTP/1.1 " + std::to_string(reply.status) + " X\r\nContent-Type: application/json\r\n";
        bytes += reply.etag.empty() ? "" : "Etag: " + reply.etag + "\r\n";
        bytes += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n";
        bytes += reply.cut ? reply.body.substr(0, reply.body.size() / 2) : reply.body;
        for (std::size_t sent = 0; sent < bytes.size();) {
            const auto size = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (size <= 0) {
                return false;
            }
            sent += static_cast<std::size_t>(size);
        }
        return true;
    }

    handler answer_;
    std::string folder_;
    int listener_{-1};
    std::atomic<bool> ending_{false};
    std::atomic<int> accepted_{0};
    mutable std::mutex mutex_;
    std::vector<http_request> seen_;
    std::list<int> open_;
    std::list<std::jthread> connections_;
    std::jthread accepting_;
};

} // namespace belay::fakes
