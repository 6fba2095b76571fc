// SPDX-License-Identifier: Apache-2.0
#include "checks/output.hpp"

#include "core/text.hpp"

namespace belay::checks {

namespace {

constexpr std::size_t longest_summary = 300;
constexpr std::size_t longest_finding = 300;

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string clean(std::string_view text, std::size_t longest) {
    core::terminal_filter filter;
    auto safe = filter.feed(text.substr(0, longest));
    safe += filter.finish();
    return core::printable(safe);
}

template <class Take>
void each_line(std::string_view text, Take take) {
    while (!text.empty()) {
        const auto end = text.find('\n');
        if (const auto line = trimmed(text.substr(0, end)); !line.empty()) {
            take(line);
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

} // namespace

core::health health_of(int exit_status) {
    constexpr int not_yet = 75;
    constexpr int skip = 77;
    switch (exit_status) {
    case 0:
        return core::health::pass;
    case not_yet:
        return core::health::not_yet;
    case skip:
        return core::health::skip;
    default:
        return core::health::fail;
    }
}

void read_output(std::string_view out, std::string_view err, core::reading& into) {
    std::string_view summary;
    each_line(out, [&](std::string_view line) {
        if (line.starts_with("good:")) {
            into.good.insert(clean(trimmed(line.substr(5)), longest_finding));
        } else if (line.starts_with("bad:")) {
            into.bad.insert(clean(trimmed(line.substr(4)), longest_finding));
        } else {
            summary = line;
        }
    });
    if (summary.empty()) {
        each_line(err, [&](std::string_view line) { summary = line; });
    }
    into.summary = clean(summary, longest_summary);
}

} // namespace belay::checks
