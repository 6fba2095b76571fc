// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server on a unix socket of its own, each connection on a thread. What it answers is a function's
// affair.
#pragma once
#include "fakes/temporary_directory.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
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

    explicit http_server(handler answer);

    ~http_server();

    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;

    std::string socket() const { return folder_.path() / "unix.socket"; }

    /// As a daemon that died: nobody listens, every connection is lost.
    void stop();

    /// And came back.
    void restart();

    std::vector<http_request> seen() const;

    int connections() const { return accepted_; }

private:
    void listen();

    void serve(int fd);

    static bool fill(int fd, std::string& waiting);

    static bool read(int fd, std::string& waiting, http_request& what);

    static bool write(int fd, const http_reply& reply);

    handler answer_;
    temporary_directory folder_;
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
