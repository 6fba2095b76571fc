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

core::expected<specs> defaults(const recipe::settings& wish, const checks::library& library) {
    specs all;
    for (const std::string name : default_checks) {
        if (wish.no_checks.value_or(false) || library.masked(name)) {
            continue;
        }
        BELAY_TRY(auto, spec, library.resolve(name, true));
        all.push_back(std::move(spec));
    }
    return all;
}

/// Takes out what is not wanted: by the name of the check, or with its arguments.
core::expected<void> leave_out(specs& all, const std::vector<std::string>& names) {
    for (const auto& name : names) {
        const auto out = std::erase_if(
            all, [&](const auto& spec) { return spec.name == name || spec.name.starts_with(name + " "); });
        if (out == 0 && !is_default(name)) {
            return core::failure(
                core::reason::usage,
                fmt::format("--no-check: '{}' is neither one of the default checks ({}) nor one of the "
                            "recipe",
                            core::printable(name), fmt::join(default_checks, ", ")));
        }
    }
    return {};
}

/// Files of evidence that are no collector's.
constexpr std::array<std::string_view, 3> taken_names{"checks", "packages", "package-list"};

} // namespace

bool is_default(const std::string& name) {
    return std::ranges::find(default_checks, name) != default_checks.end();
}

core::expected<specs> select_checks(const recipe::settings& wish, const checks::library& library) {
    BELAY_TRY(auto, all, defaults(wish, library));
    for (const auto& text : wish.checks) {
        BELAY_TRY(auto, spec, library.resolve(text, true));
        put(all, std::move(spec));
    }
    for (const auto& command : wish.check_cmd) {
        put(all, checks::command_check(command));
    }
    for (const auto& text : wish.wanted) {
        BELAY_TRY(auto, spec, library.resolve(text, false));
        put(all, std::move(spec));
    }
    BELAY_TRY_VOID(leave_out(all, wish.no_check));
    return all;
}

core::expected<core::check_spec> installed_hook(const checks::entry& found, const std::string& folder) {
    if (!found.check) {
        return core::failure(core::reason::usage,
                             fmt::format("the hook {1}/{0} cannot be used; mend it, or switch it off by an empty file "
                                         "{1}/{0} in /etc/belay",
                                         core::printable(found.name), folder),
                             core::describe(found.check.error()));
    }
    auto spec = checks::spec_of(*found.check);
    spec.required = false;
    return spec;
}

core::expected<specs> select_collectors(const std::vector<std::string>& commands, const checks::library& library) {
    specs all;
    for (const auto& found : library.list()) {
        if (std::ranges::find(taken_names, found.name) != taken_names.end() || found.name.starts_with("command-")) {
            return core::failure(core::reason::usage,
                                 fmt::format("the hook evidence/{} needs another name: belay itself saves a "
                                             "file of that one",
                                             core::printable(found.name)));
        }
        BELAY_TRY(auto, spec, installed_hook(found, "evidence"));
        all.push_back(std::move(spec));
    }
    for (const auto& command : commands) {
        auto spec = checks::command_check(command);
        spec.name = fmt::format("command-{}", 1 + &command - commands.data());
        spec.required = false;
        all.push_back(std::move(spec));
    }
    return all;
}

core::expected<specs> select_hooks(const std::string& event, const checks::library& library) {
    specs all;
    for (const auto& found : library.list()) {
        BELAY_TRY(auto, spec, installed_hook(found, "hooks.d/" + event));
        all.push_back(std::move(spec));
    }
    return all;
}

} // namespace belay::cli
