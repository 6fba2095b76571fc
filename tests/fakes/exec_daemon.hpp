// SPDX-License-Identifier: Apache-2.0
// A fake Incus that runs programs: the exec of its API with WebSockets for the streams. What a program does is said by
// the test.
#pragma once
#include "fakes/http_server.hpp"

#include <condition_variable>
#include <nlohmann/json.hpp>

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
    std::string last_word{};  ///< if not empty: ends when it has read this, and what is in `err` comes then
    std::string refusal{};    ///< the POST is refused with these words
    std::chrono::milliseconds accepts_after{0};
    bool gives_up{false};          ///< the first program: its input is refused
    bool loses_streams{false};     ///< of the first program, when all but its input are connected
    bool hangs_up{false};          ///< ends the connection on which it has accepted the program
    std::string status{"Running"}; ///< of the instance
};

class exec_daemon {
public:
    explicit exec_daemon(program_play play);

    /// Nothing is played to its end.
    ~exec_daemon();

    exec_daemon(const exec_daemon&) = delete;
    exec_daemon& operator=(const exec_daemon&) = delete;

    std::string socket() const { return server_.socket(); }

    /// As a daemon that is killed.
    void die() { server_.stop(); }

    /// Waits until the program runs.
    void await_start() { await_streams(4); }

    /// Waits until so many of its streams are connected.
    bool await_streams(int number);

    /// Waits until the streams of the first program are closed.
    bool await_loss();

    /// Waits until the program has got all of its input.
    bool await_end_of_input();

    /// How many programs it was asked for.
    long posts() const;

    nlohmann::json posted() const;

    std::string input() const;

    std::vector<int> signals() const;

    std::vector<http_request> seen() const { return server_.seen(); }

    static std::string frame(unsigned char first, const std::string& payload);

private:
    static constexpr unsigned char text = 0x81;
    static constexpr unsigned char binary = 0x82;
    static constexpr unsigned char close = 0x88;
    static constexpr unsigned char ping = 0x89;

    http_reply answer(const http_request& r);

    static std::string error(const std::string& words);

    std::string operation() const;

    void await_end();

    bool has_ended() const;

    void serve(const std::string& which, int fd);

    bool loses(int fd);

    void send_stream(const std::string& which, int fd);

    /// Masked frames of the client, until it goes.
    void read_frames(const std::string& which, int fd);

    bool take_frame(const std::string& which, std::string& waiting);

    void take(const std::string& which, unsigned kind, const std::string& payload, bool masked);

    static void send(int fd, const std::string& bytes);

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
