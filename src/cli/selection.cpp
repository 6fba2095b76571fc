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

/// Files of evidence that are no collector's.
constexpr std::array<std::string_view, 3> taken_names{"checks", "packages", "package-list"};

core::expected<core::check_spec> collector_of(const checks::entry& found) {
    const auto refused = [&](const std::string& why) {
        return core::failure(core::reason::usage,
                             fmt::format("the collector of evidence '{0}' cannot be used; mend it, or switch it off by "
                                         "an empty file evidence/{0} in /etc/belay",
                                         core::printable(found.name)),
                             why);
    };
    if (std::ranges::find(taken_names, found.name) != taken_names.end() || found.name.starts_with("command-")) {
        return refused("belay itself saves a file of that name");
    }
    if (!found.check) {
        return refused(core::describe(found.check.error()));
    }
    core::check_spec spec;
    std::error_code ignored;
    spec.name = found.name;
    spec.file = std::filesystem::absolute(found.check->file, ignored).string();
    spec.where = found.check->where;
    spec.timeout = found.check->timeout;
    spec.required = false;
    return spec;
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

core::expected<specs> select_collectors(const std::vector<std::string>& commands, const checks::library& library) {
    specs all;
    for (const auto& found : library.list()) {
        BELAY_TRY(auto, spec, collector_of(found));
        all.push_back(std::move(spec));
    }
    for (const auto& command : commands) {
        core::check_spec spec;
        spec.name = fmt::format("command-{}", 1 + &command - commands.data());
        spec.args = {command};
        spec.required = false;
        all.push_back(std::move(spec));
    }
    return all;
}

} // namespace belay::cli
