// SPDX-License-Identifier: Apache-2.0
#include "fakes/http_server.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace belay::fakes {

http_server::http_server(handler answer) : answer_(std::move(answer)) {
    listen();
}

http_server::~http_server() {
    stop();
}

void http_server::stop() {
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

void http_server::restart() {
    ::unlink(socket().c_str());
    ending_ = false;
    listen();
}

std::vector<http_request> http_server::seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
}

void http_server::listen() {
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

void http_server::serve(int fd) {
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

bool http_server::fill(int fd, std::string& waiting) {
    char piece[65536];
    const auto size = ::recv(fd, piece, sizeof piece, 0);
    if (size > 0) {
        waiting.append(piece, static_cast<std::size_t>(size));
    }
    return size > 0;
}

bool http_server::read(int fd, std::string& waiting, http_request& what) {
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
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
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

bool http_server::write(int fd, const http_reply& reply) {
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

} // namespace belay::fakes
