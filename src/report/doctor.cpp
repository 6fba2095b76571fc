// SPDX-License-Identifier: Apache-2.0
#include "report/doctor.hpp"

#include "report/width.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace belay::report {

namespace {

tone tone_of(core::weight how) {
    switch (how) {
    case core::weight::fine:
        return tone::good;
    case core::weight::note:
        return tone::warn;
    case core::weight::fault:
        return tone::bad;
    }
    return tone::plain;
}

std::string last_sentence(std::span<const core::finding> all, const style& look) {
    const auto faults = std::ranges::count(all, core::weight::fault, &core::finding::how);
    if (faults == 0) {
        return fmt::format("{} This host is able to run belay.\n", mark(tone::good, look));
    }
    return fmt::format("{} {} {}: what mends {} stands below each.\n", mark(tone::bad, look), faults,
                       faults == 1 ? "finding" : "findings", faults == 1 ? "it" : "them");
}

} // namespace

std::string diagnosis(std::span<const core::finding> all, bool only_faults, const style& look) {
    std::size_t longest = 0;
    for (const auto& one : all) {
        longest = std::max(longest, one.word.size());
    }
    std::string text;
    for (const auto& one : all) {
        if (only_faults && one.how != core::weight::fault) {
            continue;
        }
        text += fmt::format("{} {}  {}\n", mark(tone_of(one.how), look), pad(one.word, longest), safe(one.what, look));
        for (const auto& command : one.mend) {
            text += fmt::format("    {}\n", safe(command, look));
        }
    }
    return only_faults && text.empty() ? text : text + last_sentence(all, look);
}

std::string diagnosis_document(std::span<const core::finding> all) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& one : all) {
        list.push_back({{"level", core::word_of(one.how)}, {"word", one.word}, {"what", one.what}, {"mend", one.mend}});
    }
    return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

} // namespace belay::report
