// SPDX-License-Identifier: Apache-2.0
#include "incus/transport.hpp"

#include "core/durations.hpp"

#include <algorithm>
#include <cerrno>
#include <curl/curl.h>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <strings.h>

namespace belay::incus {
namespace {

using clock = std::chrono::steady_clock;
using core::milliseconds;
using core::reason;

/// A unix socket needs no TLS (libcurl with OpenSSL 3 loads it all the same).
void start_curl() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_NOTHING); });
}

struct multi_deleter {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

struct easy_deleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

struct headers_deleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

using headers = std::unique_ptr<curl_slist, headers_deleter>;

void add(headers& list, const std::string& line) {
    if (auto* longer = curl_slist_append(list.get(), line.c_str()); longer != nullptr) {
        (void)list.release();
        list.reset(longer);
    }
}

/// What is known of an answer while it comes in.
struct incoming {
    response answer{};
    bool too_long{false};
};

std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* to) {
    auto& in = *static_cast<incoming*>(to);
    if (in.answer.body.size() + size > transport::longest_body) {
        in.too_long = true;
        return 0; // libcurl ends the transfer
    }
    in.answer.body.append(bytes, size);
    return size;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t size, void* to) {
    constexpr std::string_view name = "etag:";
    const std::string_view line(bytes, size);
    if (line.size() > name.size() && ::strncasecmp(bytes, name.data(), name.size()) == 0) {
        const auto value = line.substr(name.size());
        const auto first = value.find_first_not_of(" \t");
        const auto last = value.find_last_not_of(" \t\r\n");
        if (first != std::string_view::npos) {
            static_cast<incoming*>(to)->answer.etag = value.substr(first, last - first + 1);
        }
    }
    return size;
}

core::error away(std::string message, std::string cause = {}) {
    return {reason::no_daemon, std::move(message), std::move(cause), true};
}

/// One request under way, and the handle that the next one uses again.
struct transfer {
    std::unique_ptr<CURL, easy_deleter> easy{curl_easy_init()};
    headers lines{};
    std::string url{};
    std::string body{};
    incoming in{};
    std::optional<CURLcode> ended{};

    void prepare(const request& what, const std::string& socket);
};

void transfer::prepare(const request& what, const std::string& socket) {
    lines.reset();
    add(lines, "Content-Type: application/json");
    add(lines, "Expect:"); // else libcurl waits a second for permission to send a long body
    if (!what.if_match.empty()) {
        add(lines, "If-Match: " + what.if_match);
    }
    url = "http://incus" + what.path;
    body = what.body;
    in = {};
    ended.reset();
    CURL* handle = easy.get();
    curl_easy_reset(handle);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, this);
    curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROXY, ""); // http_proxy of the environment is not for a socket
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "belay");
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, lines.get());
    if (!body.empty()) {
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.c_str());
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, what.method.c_str());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &in);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &in);
}

} // namespace

class transport::connection {
public:
    explicit connection(std::string socket) : socket_(std::move(socket)) {
        start_curl();
        multi_.reset(curl_multi_init());
    }

    const std::string& socket() const { return socket_; }

    std::vector<core::expected<response>> send(const std::vector<request>& what, milliseconds limit,
                                               const std::stop_token& stop) {
        if (!enough(what.size())) {
            const auto failed = core::failure(reason::io_error, "libcurl could not be started: not enough memory");
            return std::vector<core::expected<response>>(what.size(), failed);
        }
        for (std::size_t i = 0; i < what.size(); ++i) {
            transfers_[i]->prepare(what[i], socket_);
            curl_multi_add_handle(multi_.get(), transfers_[i]->easy.get());
        }
        const auto why_not = drive(limit, stop);
        std::vector<core::expected<response>> results;
        for (std::size_t i = 0; i < what.size(); ++i) {
            auto& t = *transfers_[i];
            // Taking away a transfer that has not ended closes its connection: a late answer cannot be mistaken for
            // the next one.
            curl_multi_remove_handle(multi_.get(), t.easy.get());
            results.push_back(t.ended ? result_of(t) : std::unexpected(why_not));
        }
        return results;
    }

private:
    bool enough(std::size_t count) {
        while (transfers_.size() < count) {
            transfers_.push_back(std::make_unique<transfer>());
        }
        return multi_ && std::ranges::all_of(transfers_, [](const auto& t) { return t->easy != nullptr; });
    }

    /// Drives the transfers to their ends, which may be errors of libcurl; or to the limit, or to a stop request. Gives
    /// the error of those that have not ended.
    core::error drive(milliseconds limit, const std::stop_token& stop) {
        const auto until = clock::now() + limit;
        const std::stop_callback wake(stop, [this] { curl_multi_wakeup(multi_.get()); });
        for (;;) {
            int running = 0;
            curl_multi_perform(multi_.get(), &running);
            note_ends();
            if (running == 0) {
                return away("nothing was heard of the Incus daemon");
            }
            if (stop.stop_requested()) {
                return {reason::interrupted, "interrupted while waiting for the Incus daemon"};
            }
            const auto remaining = std::chrono::ceil<milliseconds>(until - clock::now());
            if (remaining <= milliseconds::zero()) {
                return away(fmt::format("the Incus daemon at {} did not answer within {}", socket_,
                                        core::format_duration(limit)));
            }
            const auto nap = std::min<milliseconds>(remaining, std::chrono::hours(1));
            curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(nap.count()), nullptr);
        }
    }

    void note_ends() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
            if (message->msg == CURLMSG_DONE) {
                transfer* t = nullptr;
                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
                t->ended = message->data.result;
            }
        }
    }

    core::expected<response> result_of(transfer& t) const {
        if (*t.ended != CURLE_OK) {
            return std::unexpected(failure_of(t));
        }
        curl_easy_getinfo(t.easy.get(), CURLINFO_RESPONSE_CODE, &t.in.answer.status);
        return std::move(t.in.answer);
    }

    core::error failure_of(const transfer& t) const {
        if (t.in.too_long) {
            return {reason::no_daemon, fmt::format("the answer from {} is longer than {} MiB: is that an Incus daemon?",
                                                   socket_, transport::longest_body >> 20U)};
        }
        const CURLcode code = *t.ended;
        if (code != CURLE_COULDNT_CONNECT) {
            return away("the connection to the Incus daemon was lost", curl_easy_strerror(code));
        }
        long number = 0;
        curl_easy_getinfo(t.easy.get(), CURLINFO_OS_ERRNO, &number);
        if (number == EACCES || number == EPERM) {
            return {reason::no_permission,
                    fmt::format("no permission for the Incus daemon at {}: run as root, or join the group incus-admin "
                                "and log in again",
                                socket_)};
        }
        return away(fmt::format("no Incus daemon answers at {}: is it running (`systemctl status incus`)?", socket_),
                    number == 0 ? curl_easy_strerror(code) : std::generic_category().message(static_cast<int>(number)));
    }

    std::string socket_;
    std::unique_ptr<CURLM, multi_deleter> multi_;
    std::vector<std::unique_ptr<transfer>> transfers_; ///< after multi_: they must go first
};

transport::transport(std::string socket) : connection_(std::make_unique<connection>(std::move(socket))) {}

transport::~transport() = default;
transport::transport(transport&&) noexcept = default;
transport& transport::operator=(transport&&) noexcept = default;

core::expected<response> transport::send(const request& what, milliseconds limit, std::stop_token stop) {
    return std::move(connection_->send({what}, limit, stop).front());
}

std::vector<core::expected<response>> transport::send_all(const std::vector<request>& what, milliseconds limit,
                                                          std::stop_token stop) {
    return connection_->send(what, limit, stop);
}

const std::string& transport::socket() const {
    return connection_->socket();
}

std::string escape(std::string_view name) {
    std::string safe;
    for (const char c : name) {
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                c == '-' || c == '.' || c == '_' || c == '~';
        if (unreserved) {
            safe += c;
        } else {
            safe += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return safe;
}

} // namespace belay::incus
