// SPDX-License-Identifier: Apache-2.0
#include "cli/selection.hpp"

#include "core/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::cli {

namespace {

using specs = std::vector<core::check_spec>;

/// A later one of the same name takes the place of an earlier one: no check runs twice.
void put(specs& all, core::check_spec spec) {
    const auto known = std::ranges::find(all, spec.name, &core::check_spec::name);
    if (known == all.end()) {
        all.push_back(std::move(spec));
    } else {
        *known = std::move(spec);
    }
}

core::expected<void> check_removals(const std::vector<std::string>& names) {
    for (const auto& name : names) {
        if (std::ranges::find(default_checks, name) == default_checks.end()) {
            return core::failure(core::reason::usage,
                                 fmt::format("--no-check: '{}' is not one of the default checks ({})",
                                             core::printable(name), fmt::join(default_checks, ", ")));
        }
    }
    return {};
}

core::expected<specs> defaults(const check_options& options, const checks::library& library) {
    specs all;
    for (const std::string name : default_checks) {
        if (options.no_defaults || std::ranges::find(options.remove, name) != options.remove.end() ||
            library.masked(name)) {
            continue;
        }
        BELAY_TRY(auto, spec, library.resolve(name, true));
        all.push_back(std::move(spec));
    }
    return all;
}

} // namespace

core::expected<specs> select_checks(const check_options& options, const checks::library& library) {
    BELAY_TRY_VOID(check_removals(options.remove));
    BELAY_TRY(auto, all, defaults(options, library));
    for (const auto& text : options.add) {
        BELAY_TRY(auto, spec, library.resolve(text, true));
        put(all, std::move(spec));
    }
    for (const auto& command : options.commands) {
        put(all, checks::command_check(command));
    }
    for (const auto& text : options.wanted) {
        BELAY_TRY(auto, spec, library.resolve(text, false));
        put(all, std::move(spec));
    }
    return all;
}

} // namespace belay::cli
