// SPDX-License-Identifier: Apache-2.0
// Frames of a WebSocket (RFC 6455, section 5), without I/O: the client's are made, the server's are read. As the daemon
// uses them in an exec: data is the bytes of a stream, and an empty text message is its end.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace belay::incus {

enum class opcode : std::uint8_t { more = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// A whole message of the client, masked.
std::string frame_of(opcode what, std::string_view payload);

class frame_reader {
public:
    enum class state { open, ended, closed, broken };

    using take = std::function<void(std::string_view)>;

    /// Reads what has come, in pieces of any size. `on_data` gets the payload as it comes; `on_ping` that of a ping, to
    /// be sent back. What comes behind the end of the stream is passed over.
    void read(std::string_view bytes, const take& on_data, const take& on_ping);

    /// ended: the other side will send no more; closed: it closed the connection; broken: it does not keep to the
    /// protocol.
    state now() const { return state_; }

private:
    void read_head(std::string_view& bytes);
    void read_payload(std::string_view& bytes, const take& on_data);
    void begin_frame(std::size_t length_bytes);
    void end_frame(const take& on_ping);

    bool is_control() const { return static_cast<std::uint8_t>(what_) >= static_cast<std::uint8_t>(opcode::close); }

    std::array<unsigned char, 10> head_{};
    std::size_t head_size_{0};
    bool in_payload_{false};
    bool last_{true};
    opcode what_{opcode::binary};    ///< of this frame
    opcode message_{opcode::binary}; ///< of the message that it is a part of
    std::uint64_t left_{0};          ///< of the payload of this frame
    std::uint64_t message_size_{0};
    std::string control_;
    state state_{state::open};
};

} // namespace belay::incus
