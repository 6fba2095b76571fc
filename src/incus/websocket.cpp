// SPDX-License-Identifier: Apache-2.0
#include "incus/websocket.hpp"

#include <algorithm>

namespace belay::incus {

namespace {

constexpr unsigned char last_frame = 0x80;
constexpr unsigned char masked = 0x80;
constexpr unsigned char length_16 = 126; ///< the length is in the next two bytes
constexpr unsigned char length_64 = 127; ///< in the next eight
constexpr std::size_t longest_control = 125;

void append(std::string& to, std::uint64_t number, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        to += static_cast<char>(number >> shift & 0xFF);
    }
}

} // namespace

std::string frame_of(opcode what, std::string_view payload) {
    std::string frame(1, static_cast<char>(last_frame | static_cast<unsigned char>(what)));
    if (payload.size() < length_16) {
        frame += static_cast<char>(masked | payload.size());
    } else if (payload.size() <= 0xFFFF) {
        frame += static_cast<char>(masked | length_16);
        append(frame, payload.size(), 2);
    } else {
        frame += static_cast<char>(masked | length_64);
        append(frame, payload.size(), 8);
    }
    // The key of the mask is zero, which leaves the payload as it is: masks protect the proxies of browsers from
    // hostile pages, and on a unix socket there are none.
    append(frame, 0, 4);
    frame += payload;
    return frame;
}

void frame_reader::read(std::string_view bytes, const take& on_data, const take& on_ping) {
    while (!bytes.empty() && state_ != state::closed && state_ != state::broken) {
        if (in_payload_) {
            read_payload(bytes, on_data);
        } else {
            read_head(bytes);
        }
        if (in_payload_ && left_ == 0) {
            end_frame(on_ping);
        }
    }
}

/// Byte by byte, since it may be cut anywhere.
void frame_reader::read_head(std::string_view& bytes) {
    head_[head_size_++] = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (head_size_ < 2) {
        return;
    }
    const std::size_t length_bytes = head_[1] == length_16 ? 2 : head_[1] == length_64 ? 8 : 0;
    if (head_size_ == 2 + length_bytes) {
        begin_frame(length_bytes);
    }
}

void frame_reader::begin_frame(std::size_t length_bytes) {
    constexpr unsigned char kind_bits = 0x0F;
    constexpr unsigned char reserved_bits = 0x70;
    last_ = (head_[0] & last_frame) != 0;
    what_ = static_cast<opcode>(head_[0] & kind_bits);
    left_ = length_bytes == 0 ? head_[1] : 0;
    for (std::size_t i = 0; i < length_bytes; ++i) {
        left_ = left_ << 8U | head_[2 + i];
    }
    const bool known = what_ <= opcode::binary || (is_control() && what_ <= opcode::pong);
    const bool short_enough = !is_control() || (last_ && left_ <= longest_control);
    // A server's frames are not masked.
    if ((head_[0] & reserved_bits) != 0 || (length_bytes == 0 && head_[1] > length_64) || !known || !short_enough) {
        state_ = state::broken;
        return;
    }
    if (what_ == opcode::text || what_ == opcode::binary) {
        message_ = what_;
        message_size_ = 0;
    }
    head_size_ = 0;
    in_payload_ = true;
    control_.clear();
}

void frame_reader::read_payload(std::string_view& bytes, const take& on_data) {
    const auto part = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
    bytes.remove_prefix(part.size());
    left_ -= part.size();
    if (is_control()) {
        control_ += part;
        return;
    }
    message_size_ += part.size();
    if (on_data && state_ == state::open && !part.empty()) {
        on_data(part);
    }
}

void frame_reader::end_frame(const take& on_ping) {
    in_payload_ = false;
    if (what_ == opcode::close) {
        state_ = state::closed;
    } else if (what_ == opcode::ping && on_ping) {
        on_ping(control_);
    } else if (!is_control() && last_ && message_ == opcode::text && message_size_ == 0) {
        state_ = state::ended;
    }
}

} // namespace belay::incus
