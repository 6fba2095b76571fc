// SPDX-License-Identifier: Apache-2.0
#include "recipe/settings.hpp"

#include "checks/library.hpp"

#include <algorithm>

namespace belay::recipe {

namespace {

template <class T>
void merge(std::optional<T>& base, const std::optional<T>& over) {
    if (over) {
        base = over;
    }
}

void merge(std::vector<std::string>& base, const std::vector<std::string>& over) {
    for (const auto& one : over) {
        if (std::ranges::find(base, one) == base.end()) {
            base.push_back(one);
        }
    }
}

void merge(std::vector<std::pair<std::string, std::string>>& base,
           const std::vector<std::pair<std::string, std::string>>& over) {
    for (const auto& [name, value] : over) {
        std::erase_if(base, [&](const auto& known) { return known.first == name; });
        base.emplace_back(name, value);
    }
}

/// The name of the check in `NAME ARG…`.
std::string first_word(const std::string& text) {
    const auto begin = std::min(text.find_first_not_of(" \t"), text.size());
    return text.substr(begin, text.find_first_of(" \t", begin) - begin);
}

template <class T>
void take(const std::optional<T>& from, T& into) {
    into = from.value_or(into);
}

void add_notice(core::plan& plan, std::string_view event, const std::optional<std::string>& command) {
    if (command && !command->empty()) {
        plan.notices.push_back({std::string(event), *command});
    }
}

std::vector<core::check_spec> hook_of(const std::optional<std::string>& command, milliseconds limit) {
    if (!command || command->empty()) {
        return {};
    }
    auto spec = checks::command_check(*command);
    spec.name = *command;
    spec.timeout = limit;
    return {spec};
}

} // namespace

std::vector<std::string> key_names() {
    std::vector<std::string> names;
    each_key([&](const char* name, auto) { names.emplace_back(name); });
    return names;
}

settings merged(settings base, const settings& over) {
    for (const auto* added : {&over.checks, &over.wanted}) {
        for (const auto& check : *added) {
            std::erase(base.no_check, first_word(check));
        }
    }
    each_key([&](const char*, auto member) { merge(base.*member, over.*member); });
    return base;
}

void apply(const settings& from, core::plan& plan) {
    auto& limit = plan.limit;
    take(from.command, plan.command.argv);
    plan.command.user = from.user;
    plan.command.group = from.group;
    take(from.cwd, plan.command.cwd);
    take(from.timeout, limit.upgrade);
    take(from.retry_for, limit.retry_for);
    take(from.soak, limit.soak);
    take(from.accept_unhealthy, plan.accept_unhealthy);
    plan.expect_lost = from.expect_lost;
    take(from.confirm, limit.confirm);
    plan.confirms = limit.confirm > milliseconds{0};
    take(from.restart, plan.restart);
    take(from.restart_timeout, limit.restart);
    take(from.stop_timeout, limit.stop);
    take(from.daemon_wait, limit.daemon_wait);
    plan.volumes = from.volumes ? from.volumes->names : std::nullopt;
    take(from.snapshot_mode, plan.mode);
    plan.min_free = from.min_free;
    plan.uncovered = from.uncovered;
    plan.pre = hook_of(from.pre, limit.upgrade); // it may download what the command needs
    plan.quiesce = hook_of(from.quiesce, limit.hook);
    plan.resume = hook_of(from.resume, limit.hook);
    add_notice(plan, "committed", from.committed);
    add_notice(plan, "rolled-back", from.rolled_back);
    add_notice(plan, "stuck", from.stuck);
    add_notice(plan, "refused", from.refused);
    plan.retains = true;
    plan.keep_for = from.keep_for.value_or(default_keep_for);
    plan.keep = from.keep.value_or(default_keep);
    take(from.drop_if_unchanged, plan.drops_unchanged);
    take(from.evidence_limit, limit.evidence);
    plan.saves_evidence = limit.evidence > milliseconds{0};
    take(from.keep_failed, plan.keeps_failed);
}

} // namespace belay::recipe
