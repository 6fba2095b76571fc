// SPDX-License-Identifier: Apache-2.0
// belay run: a transaction for each instance, one after another, stop at the first failure.
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/selection.hpp"
#include "cli/signals.hpp"
#include "cli/site.hpp"
#include "cli/spectators.hpp"
#include "cli/surroundings.hpp"
#include "core/coverage.hpp"
#include "report/dry_run.hpp"
#include "report/jsonl.hpp"
#include "report/text.hpp"
#include "run/preflight.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace belay::cli {

namespace {

/// What the command gets unless --env says otherwise: a question that nobody answers ends an upgrade. DPKG_FORCE
/// answers dpkg's question about changed configuration files: the new one where it was not edited, the edited one else.
const std::vector<std::pair<std::string, std::string>> preset_environment{
    {"DEBIAN_FRONTEND", "noninteractive"}, {"NEEDRESTART_MODE", "a"}, {"DPKG_FORCE", "confdef,confold"}};

std::vector<std::pair<std::string, std::string>> environment_of(const run_options& options) {
    auto env = options.env;
    if (options.command.interactive) {
        return env; // a person answers
    }
    for (const auto& preset : preset_environment) {
        if (std::ranges::find(env, preset.first, &std::pair<std::string, std::string>::first) == env.end()) {
            env.push_back(preset);
        }
    }
    return env;
}

/// What is the same for every instance of this run.
struct setting {
    std::string project;
    incus_site incus;
    std::vector<core::check_spec> checks;
    std::vector<core::check_spec> collectors;
    std::vector<std::pair<std::string, std::string>> env;
    std::filesystem::path state;
};

core::plan plan_for(const run_options& options, const setting& s, const std::string& instance) {
    core::plan plan;
    plan.instance = instance;
    plan.project = s.project;
    plan.command = options.command;
    plan.checks = s.checks;
    plan.expect_lost = options.expect_lost;
    plan.uncovered = options.uncovered;
    plan.accept_unhealthy = options.accept_unhealthy;
    plan.limit = options.limit;
    plan.restart = options.restart;
    plan.mode = options.mode;
    plan.volumes = options.volumes;
    plan.quiesce = options.quiesce;
    plan.resume = options.resume;
    plan.hooks = !options.quiesce.empty() || !options.resume.empty();
    plan.min_free = options.min_free;
    plan.saves_evidence = options.limit.evidence > core::milliseconds{0};
    plan.collectors = s.collectors;
    plan.keeps_failed = options.keep_failed;
    plan.lists_packages = true;
    plan.drops_unchanged = options.drop_if_unchanged;
    plan.retains = true;
    plan.keep_for = options.keep_for;
    plan.keep = options.keep;
    plan.confirms = options.limit.confirm > core::milliseconds{0};
    return plan;
}

/// A belay that was started by a hook or by the command of another one must not work on the same instance.
core::expected<void> check_nesting(const std::string& instance) {
    const auto txn = variable("BELAY_TXN");
    if (txn && variable("BELAY_INSTANCE") == instance) {
        return core::failure(
            core::reason::locked,
            fmt::format("this belay runs inside transaction {} of instance {}: wait for its end", *txn, instance));
    }
    return {};
}

core::expected<core::report> run_one(const run_options& options, const setting& s, const core::plan& plan,
                                     ports::listener& listener, ports::inbox& inbox, const ports::clock& clock) {
    BELAY_TRY_VOID(check_nesting(plan.instance));
    BELAY_TRY(auto, begun, begin_transaction(s.state, options.log_limit, clock));
    workplace place(s.incus, s.state, s.project, plan.instance, begun.txn);
    run::transaction transaction(place.world(*begun.journal, listener, inbox, clock),
                                 {begun.txn, plan, s.env, begun.journal->files().log.string()});
    return transaction.run();
}

/// The settings that depend on the command line alone. Errors are usage.
core::expected<setting> settle(const run_options& options) {
    setting s;
    BELAY_TRY(auto, project, project_name(options.project));
    BELAY_TRY(auto, specs, select_checks(options.checks, checks::library(check_folders(), geteuid())));
    if (options.limit.evidence > core::milliseconds{0}) {
        BELAY_TRY(auto, found, select_collectors(options.evidence, checks::library(evidence_folders(), geteuid())));
        s.collectors = std::move(found);
    }
    BELAY_TRY(auto, state, state_directory_of(options.common));
    s.project = std::move(project);
    s.checks = std::move(specs);
    s.state = std::move(state);
    s.env = environment_of(options);
    return s;
}

int print_plans(const run_options& options, const setting& s) {
    const auto found = find_incus();
    if (!found) {
        return complain(found.error());
    }
    const auto look = report::style_of(STDOUT_FILENO);
    int code = 0;
    for (const auto& name : options.instances) {
        const auto plan = plan_for(options, s, name);
        incus::instance host(found->socket, s.project, name, found->program);
        auto now = host.examine(request_limit);
        if (!now) {
            code = std::max(code, complain(now.error()));
            continue;
        }
        print(report::dry_run_text(plan, now->facts, look));
        auto allowed = run::check_facts(now->facts, plan);
        if (allowed) {
            auto settled = plan;
            core::settle(settled, now->facts);
            allowed = host.check_restorable(now->facts, settled, request_limit);
        }
        if (!allowed) {
            code = std::max(code, complain(allowed.error()));
        }
    }
    return code;
}

} // namespace

int run_command(const run_options& options) {
    if (options.command.interactive && (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)) {
        return complain({core::reason::usage, "--interactive needs a terminal on standard input and output"});
    }
    prepare_signals();
    auto s = settle(options);
    if (!s) {
        return complain(s.error());
    }
    if (options.dry_run) {
        return print_plans(options, *s);
    }
    const system_clock clock;
    signal_inbox inbox(options.common.format == output_format::text && !options.common.quiet);
    const auto found = find_incus();
    if (found) {
        s->incus = *found;
    }
    std::vector<core::report> reports;
    int code = 0;
    {
        spectators watching(options.common, clock);
        for (const auto& name : options.instances) {
            const auto plan = plan_for(options, *s, name);
            auto done = found ? run_one(options, *s, plan, watching.listener(), inbox, clock)
                              : core::expected<core::report>(std::unexpected(found.error()));
            reports.push_back(done ? *std::move(done) : refusal(plan, done.error(), clock));
            if (!done) {
                watching.listener().on(only_event(reports.back(), clock));
            }
            if (options.common.format == output_format::text && options.common.quiet) {
                print(report::closing_sentence(reports.back(), watching.look()));
            }
            code = std::max(code, reports.back().exit_code);
            if (code != 0) {
                break;
            }
        }
    }
    if (options.common.format == output_format::json) {
        print(report::report_document(reports, options.instances.size() > 1));
    }
    return code;
}

} // namespace belay::cli
