// SPDX-License-Identifier: Apache-2.0
#include "cli/halt.hpp"

#include "cli/surroundings.hpp"

#include <charconv>
#include <csignal>
#include <unistd.h>

namespace belay::cli {

namespace {

class halt final : public ports::listener {
public:
    explicit halt(std::uint64_t seq) : seq_(seq) {}

    void on(const core::record& r) override {
        if (r.seq == seq_ && !core::transient(r.what)) {
            ::kill(::getpid(), SIGSTOP);
        }
    }

    void recall(const core::record&) override {}

private:
    std::uint64_t seq_;
};

} // namespace

std::unique_ptr<ports::listener> make_halt() {
    const auto text = variable("BELAY_TEST_HALT_AFTER");
    std::uint64_t seq{};
    if (!text || std::from_chars(text->data(), text->data() + text->size(), seq).ec != std::errc{}) {
        return nullptr;
    }
    return std::make_unique<halt>(seq);
}

} // namespace belay::cli
