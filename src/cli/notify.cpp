// SPDX-License-Identifier: Apache-2.0
#include "cli/notify.hpp"

#include "checks/runner.hpp"
#include "cli/commands.hpp"
#include "cli/selection.hpp"
#include "cli/surroundings.hpp"
#include "core/next.hpp"
#include "core/text.hpp"
#include "incus/instance.hpp"
#include "report/jsonl.hpp"

#include <fmt/format.h>

namespace belay::cli {

namespace {

void complain_of(const std::string& event, const std::string& instance, const std::string& why) {
    print_error(fmt::format("belay: {}: a hook of {} failed: {}\n", instance, event, core::printable(why)));
}

/// One that cannot be used does not keep the others from being run.
std::vector<core::check_spec> installed(const std::string& event, const std::string& instance) {
    std::vector<core::check_spec> usable;
    const auto library = installed_hooks(event);
    for (const auto& found : library.list()) {
        auto hook = installed_hook(found, "hooks.d/" + event);
        if (hook) {
            usable.push_back(*std::move(hook));
        } else {
            complain_of(event, instance, core::describe(hook.error()));
        }
    }
    return usable;
}

/// A command of the recipe, for the shell of the host.
core::check_spec from_recipe(const core::notice& notice) {
    core::check_spec hook;
    hook.name = notice.command;
    hook.file = "/bin/sh";
    hook.args = {"-c", notice.command};
    hook.where = core::place::host;
    return hook;
}

} // namespace

std::string event_of(core::outcome how) {
    switch (how) {
    case core::outcome::committed:
    case core::outcome::unchanged:
        return "committed";
    case core::outcome::rolled_back:
    case core::outcome::rolled_back_unhealthy:
        return "rolled-back";
    case core::outcome::stuck:
        return "stuck";
    case core::outcome::refused:
        return "refused";
    }
    return {};
}

void notify(const core::plan& plan, const core::report& report, ports::checks& hooks) {
    const auto event = event_of(report.how);
    auto all = installed(event, report.instance);
    for (const auto& notice : plan.notices) {
        if (notice.event == event) {
            all.push_back(from_recipe(notice));
        }
    }
    if (all.empty()) {
        return;
    }
    const auto document = report::report_document({&report, 1}, false);
    for (const auto& hook : all) {
        const auto said = hooks.run_hook(
            hook, {report.transaction, report.instance, report.project, event, 1, report.snapshot}, document, {});
        if (!said) {
            complain_of(event, report.instance, hook.name + ": " + core::describe(said.error()));
        } else if (said->how != core::health::pass && said->how != core::health::skip) {
            complain_of(event, report.instance, hook.name + ": " + said->summary);
        }
    }
}

void notify_of_refusal(const core::plan& plan, const core::report& report) {
    incus::instance nowhere({}, report.project, report.instance, {});
    checks::runner hooks(nowhere);
    notify(plan, report, hooks);
}

std::optional<core::outcome> told_before(const std::vector<core::record>& past) {
    core::state s;
    for (const auto& r : past) {
        core::fold(s, r.what);
    }
    if (s.end) {
        return s.end;
    }
    const auto step = core::next(s);
    const auto* left = std::get_if<core::leave>(&step);
    return left == nullptr ? std::nullopt : std::optional(left->how);
}

} // namespace belay::cli
