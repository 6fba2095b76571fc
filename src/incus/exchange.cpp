// SPDX-License-Identifier: Apache-2.0
// The bytes of an answer are read by the parser of Boost.Beast, which does no I/O; the sockets are plain ones.
#include "incus/exchange.hpp"

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace belay::incus {

namespace http = boost::beast::http;
using core::reason;
using std::chrono::milliseconds;
using clock = std::chrono::steady_clock;

// --- wire ------------------------------------------------------------------------------------------------------------

wire::wire(wire&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

wire& wire::operator=(wire&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

wire::~wire() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

wire wire::open(const std::string& socket, int& number) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.size() >= sizeof address.sun_path) {
        number = ENAMETOOLONG;
        return {};
    }
    std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
    wire made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // On a unix socket this is done at once or not at all.
    if (!made || ::connect(made.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        number = errno;
        return {};
    }
    return made;
}

bool wire::quiet() const {
    char byte{};
    return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

bool wire::hung_up() const {
    pollfd one{fd_, POLLRDHUP, 0};
    return ::poll(&one, 1, 0) > 0;
}

wire::moved wire::receive(char* to, std::size_t size, std::size_t& got, int& number) {
    ssize_t taken{};
    do {
        taken = ::recv(fd_, to, size, MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    got = taken > 0 ? static_cast<std::size_t>(taken) : 0;
    if (taken > 0) {
        return moved::some;
    }
    if (taken < 0 && errno == EAGAIN) {
        return moved::none_now;
    }
    number = taken < 0 ? errno : 0;
    return moved::ended;
}

wire::moved wire::send(std::string_view& bytes, int& number) {
    ssize_t taken{};
    do {
        taken = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (taken < 0 && errno == EINTR);
    if (taken >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(taken));
        return moved::some;
    }
    number = errno;
    return errno == EAGAIN ? moved::none_now : moved::ended;
}

// --- exchange --------------------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t piece_size = 64U * 1024U;
constexpr std::uint32_t longest_head = 64U * 1024U;

std::string text_of(const request& what) {
    auto text = fmt::format("{} {} HTTP/1.1\r\nHost: incus\r\nUser-Agent: belay\r\n", what.method, what.path);
    if (what.upgrades) {
        // The key, an example of RFC 6455, protects from caches between client and server. On a unix socket there are
        // none; and that the daemon has understood is said by its status 101.
        text += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    } else if (what.method != "GET") {
        text += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", what.body.size());
    }
    if (!what.if_match.empty()) {
        text += fmt::format("If-Match: {}\r\n", what.if_match);
    }
    return text + "\r\n" + what.body;
}

} // namespace

/// An answer while it comes in.
class exchange::reader {
public:
    reader() {
        parser_.body_limit(longest_body);
        parser_.header_limit(longest_head);
        parser_.eager(true);
    }

    boost::beast::error_code take(std::string_view bytes) {
        heard_ = true;
        rest_ += bytes;
        boost::beast::error_code failed;
        rest_.erase(0, parser_.put(boost::asio::buffer(rest_), failed));
        return failed == http::error::need_more ? boost::beast::error_code{} : failed;
    }

    /// The connection has ended. False when that is no end of an answer.
    bool take_end() {
        boost::beast::error_code failed;
        if (heard_) {
            parser_.put_eof(failed);
        }
        return heard_ && !failed && parser_.is_done();
    }

    bool done() const { return parser_.is_done(); }

    bool heard() const { return heard_; }

    bool can_go_on() const {
        return parser_.get().result() == http::status::switching_protocols || parser_.keep_alive();
    }

    response answer() {
        auto& message = parser_.get();
        const auto etag = message[http::field::etag];
        return {static_cast<long>(message.result_int()), std::string(etag.data(), etag.size()),
                std::move(message.body())};
    }

    std::string& rest() { return rest_; }

private:
    http::response_parser<http::string_body> parser_;
    std::string rest_; ///< what the parser has not taken
    bool heard_{false};
};

exchange::exchange(wire over, const request& what)
    : wire_(std::move(over)), request_(text_of(what)), reader_(std::make_unique<reader>()), begun_(clock::now()) {}

exchange::~exchange() = default;
exchange::exchange(exchange&&) noexcept = default;
exchange& exchange::operator=(exchange&&) noexcept = default;

bool exchange::heard() const {
    return reader_->heard();
}

pollfd exchange::interest() const {
    const bool sends = sent_ < request_.size();
    return {ended() ? -1 : wire_.fd(), static_cast<short>(sends ? POLLIN | POLLOUT : POLLIN), 0};
}

void exchange::advance() {
    send();
    if (!ended()) {
        receive_some();
    }
}

void exchange::send() {
    if (!ended()) {
        send_some();
    }
}

void exchange::send_some() {
    std::string_view left = std::string_view(request_).substr(sent_);
    int number = 0;
    while (!left.empty()) {
        const auto moved = wire_.send(left, number);
        sent_ = request_.size() - left.size();
        if (moved == wire::moved::ended) {
            finish(end::lost, number);
        }
        if (moved != wire::moved::some) {
            return;
        }
    }
}

void exchange::receive_some() {
    auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
    std::size_t size = 0;
    int number = 0;
    for (;;) {
        const auto moved = wire_.receive(piece.get(), piece_size, size, number);
        if (moved == wire::moved::none_now) {
            return;
        }
        if (moved == wire::moved::ended) {
            return finish(reader_->take_end() ? end::answered : end::lost, number);
        }
        if (const auto failed = reader_->take({piece.get(), size}); failed) {
            return finish(failed == http::error::body_limit ? end::too_long : end::unreadable);
        }
        if (reader_->done()) {
            return finish(end::answered);
        }
    }
}

void exchange::finish(end how, int number) {
    ended_ = how;
    number_ = number;
    ended_at_ = clock::now();
}

core::expected<response> exchange::result() {
    switch (*ended_) {
    case end::answered:
        return reader_->answer();
    case end::too_long:
        return core::failure(reason::no_daemon, fmt::format("an answer is longer than {} MiB: is that an Incus daemon?",
                                                            longest_body >> 20U));
    case end::unreadable:
        return core::failure(reason::no_daemon, "an answer is no HTTP: is that an Incus daemon?");
    case end::lost:
        break;
    }
    return std::unexpected(
        core::error{reason::no_daemon, "the connection to the Incus daemon was lost",
                    number_ == 0 ? std::string("it was closed") : std::generic_category().message(number_), true});
}

wire exchange::take_wire() {
    const bool free = ended_ == end::answered && reader_->can_go_on();
    return free ? std::move(wire_) : wire{};
}

std::string exchange::take_rest() {
    return std::move(reader_->rest());
}

// --- waiting ---------------------------------------------------------------------------------------------------------

waiter::waiter(const std::stop_token& stop) : stop_(stop), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    on_stop_.emplace(stop_, std::function<void()>([this] { wake(); }));
}

waiter::~waiter() {
    on_stop_.reset();
    if (event_ >= 0) {
        ::close(event_);
    }
}

void waiter::wake() const {
    const std::uint64_t one = 1;
    (void)!::write(event_, &one, sizeof one);
}

waiter::why waiter::wait_for(std::vector<pollfd>& which, std::optional<time_point> until) {
    constexpr milliseconds longest{3'600'000};
    constexpr milliseconds without_event{100}; // no descriptor was left for it
    if (stop_.stop_requested()) {
        return why::stopped;
    }
    which.push_back({event_, POLLIN, 0});
    auto nap = event_ >= 0 ? longest : without_event;
    if (until) {
        nap = std::clamp(std::chrono::ceil<milliseconds>(*until - clock::now()), milliseconds{0}, nap);
    }
    const int ready = ::poll(which.data(), which.size(), static_cast<int>(nap.count()));
    which.pop_back();
    if (stop_.stop_requested()) {
        return why::stopped;
    }
    return ready <= 0 && until && clock::now() >= *until ? why::timed_out : why::ready;
}

/// Everything is sent before anything is read: the daemon works on the last request while the first answer is read.
waiter::why drive_one(const std::vector<exchange*>& all, waiter& patience, std::optional<time_point> until) {
    for (auto* one : all) {
        one->send();
    }
    for (;;) {
        std::vector<pollfd> which;
        for (auto* one : all) {
            one->advance();
            if (!one->ended()) {
                which.push_back(one->interest());
            }
        }
        if (which.size() < all.size()) {
            return waiter::why::ready;
        }
        if (const auto how = patience.wait_for(which, until); how != waiter::why::ready) {
            return how;
        }
    }
}

waiter::why drive(const std::vector<exchange*>& all, waiter& patience, std::optional<time_point> until) {
    for (auto left = all; !left.empty(); std::erase_if(left, [](const exchange* one) { return one->ended(); })) {
        if (const auto how = drive_one(left, patience, until); how != waiter::why::ready) {
            return how;
        }
    }
    return waiter::why::ready;
}

} // namespace belay::incus
