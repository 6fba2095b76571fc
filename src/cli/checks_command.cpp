// SPDX-License-Identifier: Apache-2.0
// belay checks: what is installed.
#include "cli/commands.hpp"
#include "cli/selection.hpp"
#include "cli/surroundings.hpp"
#include "core/durations.hpp"
#include "core/text.hpp"
#include "report/checks_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace belay::cli {

namespace {

bool is_default(const std::string& name) {
    return std::ranges::find(default_checks, name) != default_checks.end();
}

std::string as_json(const std::vector<checks::entry>& entries) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& entry : entries) {
        nlohmann::ordered_json one{{"name", entry.name}, {"default", is_default(entry.name)}};
        if (entry.check) {
            one["where"] = core::to_word(entry.check->where);
            one["timeout"] = core::format_duration(entry.check->timeout);
            one["summary"] = entry.check->summary;
            one["file"] = entry.check->file.string();
        } else {
            one["error"] = core::describe(entry.check.error());
        }
        list.push_back(std::move(one));
    }
    return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_text(const std::vector<checks::entry>& entries) {
    std::vector<report::listed_check> list;
    for (const auto& entry : entries) {
        if (entry.check) {
            list.push_back({entry.name, entry.check->where,
                            entry.check->summary + (is_default(entry.name) ? " (default)" : ""),
                            entry.check->file.string()});
        }
    }
    return report::checks_table(list, report::style_of(STDOUT_FILENO));
}

} // namespace

int checks_command(const checks_options& options) {
    const auto entries = checks::library(check_folders(), geteuid()).list();
    print(options.common.format == output_format::json ? as_json(entries) : as_text(entries));
    for (const auto& entry : entries) {
        if (!entry.check) {
            complain(entry.check.error());
        }
    }
    return 0;
}

} // namespace belay::cli
