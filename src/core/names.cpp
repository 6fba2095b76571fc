// SPDX-License-Identifier: Apache-2.0
#include "core/names.hpp"

#include "core/text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace belay::core {

namespace {

constexpr std::string_view snapshot_prefix = "belay-";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr std::size_t longest_name = 63;

} // namespace

expected<void> check_instance_name(std::string_view name) {
    const std::string shown = "'" + printable(name) + "'";
    if (name.empty()) {
        return failure(reason::usage, "the name of an instance is empty: give the name as `incus list` shows it");
    }
    if (name.find(':') != std::string_view::npos) {
        return failure(reason::usage, shown +
                                          " names a remote: belay works on the instances of this host's own daemon, "
                                          "give the name without 'REMOTE:', on the server itself");
    }
    const bool characters = std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
    const bool number = std::ranges::all_of(name, is_digit);
    if (!characters || number || name.size() > longest_name || name.front() == '-' || name.back() == '-') {
        return failure(reason::usage, shown + " cannot be the name of an instance: 1 to 63 letters, digits and dashes, "
                                              "no dash at either end, no mere number; `incus list` shows the names");
    }
    return {};
}

expected<void> check_project_name(std::string_view name) {
    const auto forbidden = [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '/' || c == '\'' || c == '"' || c == '\\' ||
               c == '*' || c == ':';
    };
    if (name.empty() || name == "." || name == ".." || std::ranges::any_of(name, forbidden) ||
        name.size() > longest_name) {
        return failure(reason::usage, "'" + printable(name) +
                                          "' cannot be the name of a project; `incus project list` shows the names");
    }
    return {};
}

std::string make_transaction_id(std::chrono::sys_seconds now, std::uint16_t random) {
    const auto day = std::chrono::floor<std::chrono::days>(now);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{now - day};
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d%02u%02ut%02d%02d%02dz-%04x", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()), static_cast<unsigned>(random));
    return text.data();
}

bool is_transaction_id(std::string_view text) {
    constexpr std::string_view shape = "ddddddddtddddddz-xxxx";
    if (text.size() != shape.size()) {
        return false;
    }
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const char c = text[i];
        const bool fits = shape[i] == 'd'   ? is_digit(c)
                          : shape[i] == 'x' ? is_digit(c) || (c >= 'a' && c <= 'f')
                                            : c == shape[i];
        if (!fits) {
            return false;
        }
    }
    return true;
}

std::string snapshot_name(const std::string& txn) {
    return std::string(snapshot_prefix) + txn;
}

std::optional<std::string> transaction_in(std::string_view snapshot) {
    if (!snapshot.starts_with(snapshot_prefix)) {
        return std::nullopt;
    }
    const auto txn = snapshot.substr(snapshot_prefix.size());
    return is_transaction_id(txn) ? std::optional(std::string(txn)) : std::nullopt;
}

} // namespace belay::core
