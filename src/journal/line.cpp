// SPDX-License-Identifier: Apache-2.0
#include "journal/line.hpp"

#include <boost/crc.hpp>
#include <fmt/format.h>

#include <cassert>

namespace belay::journal {

namespace {

constexpr std::string_view seal_begin = ",\"sum\":\"";
constexpr std::string_view seal_end = "\"}";

std::string checksum(std::string_view sum_before, std::string_view bytes) {
    boost::crc_32_type crc;
    crc.process_bytes(sum_before.data(), sum_before.size());
    crc.process_bytes(bytes.data(), bytes.size());
    return fmt::format("{:08x}", crc.checksum());
}

} // namespace

std::string seal(std::string_view json, std::string_view sum_before) {
    assert(json.ends_with('}'));
    json.remove_suffix(1);
    std::string line;
    line.reserve(json.size() + seal_size + 1);
    line += json;
    line += seal_begin;
    line += checksum(sum_before, json);
    line += seal_end;
    return line;
}

std::string_view sum_of(std::string_view line) {
    if (line.size() < seal_size) {
        return {};
    }
    const auto end = line.substr(line.size() - seal_size);
    if (!end.starts_with(seal_begin) || !end.ends_with(seal_end)) {
        return {};
    }
    return end.substr(seal_begin.size(), first_sum.size());
}

bool sealed_after(std::string_view line, std::string_view sum_before) {
    const auto sum = sum_of(line);
    return !sum.empty() && sum == checksum(sum_before, line.substr(0, line.size() - seal_size));
}

} // namespace belay::journal
