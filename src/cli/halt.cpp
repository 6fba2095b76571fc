// SPDX-License-Identifier: Apache-2.0
#include "cli/halt.hpp"

#include "cli/surroundings.hpp"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace belay::cli {

namespace {

class halt final : public ports::listener {
public:
    explicit halt(std::vector<std::uint64_t> moments) : moments_(std::move(moments)) {}

    void on(const core::record& r) override {
        if (std::ranges::find(moments_, r.seq) != moments_.end() && !core::transient(r.what)) {
            ::kill(::getpid(), SIGSTOP);
        }
    }

    void recall(const core::record&) override {}

private:
    std::vector<std::uint64_t> moments_;
};

/// `7` or `7,12`; nothing when a part of it is no number.
std::vector<std::uint64_t> numbers_in(std::string_view text) {
    std::vector<std::uint64_t> numbers;
    while (!text.empty()) {
        const auto part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        std::uint64_t number{};
        const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), number);
        if (problem != std::errc{} || end != part.data() + part.size()) {
            return {};
        }
        numbers.push_back(number);
    }
    return numbers;
}

} // namespace

std::unique_ptr<ports::listener> make_halt() {
    auto moments = numbers_in(variable("BELAY_TEST_HALT_AFTER").value_or(""));
    return moments.empty() ? nullptr : std::make_unique<halt>(std::move(moments));
}

} // namespace belay::cli
