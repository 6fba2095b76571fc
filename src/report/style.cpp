// SPDX-License-Identifier: Apache-2.0
#include "report/style.hpp"

#include "core/text.hpp"
#include "report/width.hpp"

#include <algorithm>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

namespace belay::report {

namespace {

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string{} : std::string(value);
}

std::string first_of(std::initializer_list<const char*> names) {
    for (const auto* name : names) {
        if (auto value = variable(name); !value.empty()) {
            return value;
        }
    }
    return {};
}

bool names_utf8(std::string locale) {
    std::ranges::transform(locale, locale.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
}

std::string_view colour_of(tone how) {
    switch (how) {
    case tone::plain:
        return "";
    case tone::good:
        return "\x1b[32m";
    case tone::bad:
        return "\x1b[31m";
    case tone::warn:
        return "\x1b[33m";
    case tone::quiet:
        return "\x1b[2m";
    }
    return "";
}

} // namespace

surroundings surroundings_of(int fd) {
    return {isatty(fd) == 1, variable("TERM"), variable("NO_COLOR"), first_of({"LC_ALL", "LC_CTYPE", "LANG"}),
            isatty(STDIN_FILENO) == 1};
}

std::optional<std::size_t> columns_of(int fd) {
    winsize size{};
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return std::nullopt;
    }
    return size.ws_col;
}

style style_for(const surroundings& around) {
    const bool capable = around.terminal && !around.term.empty() && around.term != "dumb";
    return {capable,
            capable && around.no_color.empty(),
            !around.terminal || names_utf8(around.locale),
            {},
            capable && around.keyboard};
}

style style_of(int fd) {
    auto look = style_for(surroundings_of(fd));
    look.width = columns_of(fd);
    return look;
}

std::string paint(std::string_view text, tone how, const style& look) {
    const auto colour = colour_of(how);
    if (!look.color || colour.empty()) {
        return std::string(text);
    }
    return std::string(colour) + std::string(text) + "\x1b[0m";
}

std::string mark(tone how, const style& look) {
    switch (how) {
    case tone::plain:
        return " ";
    case tone::good:
        return paint(look.utf8 ? "✓" : "+", how, look);
    case tone::bad:
        return paint(look.utf8 ? "✗" : "x", how, look);
    case tone::warn:
        return paint("!", how, look);
    case tone::quiet:
        return paint("-", how, look);
    }
    return " ";
}

std::string safe(std::string_view text, const style& look) {
    auto line = core::printable(text);
    return look.utf8 ? line : to_ascii(line);
}

tone tone_of(core::health how) {
    switch (how) {
    case core::health::pass:
        return tone::good;
    case core::health::fail:
        return tone::bad;
    case core::health::not_yet:
        return tone::warn;
    case core::health::skip:
    case core::health::none:
        return tone::quiet;
    }
    return tone::quiet;
}

} // namespace belay::report
