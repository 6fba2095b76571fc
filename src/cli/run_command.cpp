// SPDX-License-Identifier: Apache-2.0
// belay run: a transaction for each instance, one after another, stop at the first failure.
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/notify.hpp"
#include "cli/selection.hpp"
#include "cli/signals.hpp"
#include "cli/site.hpp"
#include "cli/spectators.hpp"
#include "cli/surroundings.hpp"
#include "cli/wish.hpp"
#include "core/coverage.hpp"
#include "core/text.hpp"
#include "recipe/json.hpp"
#include "report/dry_run.hpp"
#include "report/jsonl.hpp"
#include "report/text.hpp"
#include "run/preflight.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <unistd.h>

namespace belay::cli {

namespace {

/// What the command gets unless --env says otherwise: a question that nobody answers ends an upgrade. DPKG_FORCE
/// answers dpkg's question about changed configuration files: the new one where it was not edited, the edited one else.
constexpr std::array<std::pair<const char*, const char*>, 3> preset_environment{
    {{"DEBIAN_FRONTEND", "noninteractive"}, {"NEEDRESTART_MODE", "a"}, {"DPKG_FORCE", "confdef,confold"}}};

/// And the kind of terminal that the output may be shown on, as `incus exec` passes it on.
std::vector<std::pair<std::string, std::string>> environment_of(const recipe::settings& wish, bool interactive) {
    auto env = wish.env;
    if (interactive) {
        return env; // a person answers, and the client knows the terminal
    }
    std::vector<std::pair<std::string, std::string>> presets(preset_environment.begin(), preset_environment.end());
    if (auto term = variable("TERM")) {
        presets.emplace_back("TERM", *std::move(term));
    }
    for (const auto& preset : presets) {
        if (std::ranges::find(env, preset.first, &std::pair<std::string, std::string>::first) == env.end()) {
            env.push_back(preset);
        }
    }
    return env;
}

/// What is the same for every instance of this run.
struct setting {
    recipe::settings wish;
    core::plan plan; ///< of any instance
    incus_site incus;
    std::vector<std::pair<std::string, std::string>> env;
    std::filesystem::path state;
};

core::plan plan_for(const setting& s, const std::string& instance) {
    auto plan = s.plan;
    plan.instance = instance;
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

core::expected<core::report> run_one(const setting& s, const core::plan& plan, spectators& watching,
                                     ports::inbox& inbox, const ports::clock& clock) {
    BELAY_TRY_VOID(check_nesting(plan.instance));
    workplace place(s.incus, s.state, plan.project, plan.instance);
    BELAY_TRY(auto, begun,
              begin_transaction(place.host, s.state, s.wish.log_limit.value_or(journal::default_log_limit), clock,
                                watching.files()));
    run::transaction transaction(place.world(*begun.journal, watching.listener(), inbox, clock),
                                 {begun.txn, plan, s.env, begun.journal->files().log.string()});
    auto ended = transaction.run();
    notify(plan, ended, place.hooks());
    return ended;
}

/// What a recipe and the command line must have together.
core::expected<void> check_wish(const recipe::settings& wish, const run_options& options) {
    const bool only_shown = options.dry_run && options.instances.empty();
    if (!wish.command && !only_shown) {
        return core::failure(core::reason::usage,
                             fmt::format("recipe {} has no command: write one after the instance and --, as in `belay "
                                         "run -r {} {} -- /opt/app/deploy`",
                                         core::printable(options.recipe.value_or("")),
                                         core::shell_quote(options.recipe.value_or("")),
                                         options.instances.empty() ? "web1" : options.instances.front()));
    }
    constexpr std::size_t longest_name = 63;
    for (const auto& name : options.instances) {
        const auto copy = core::failed_copy_name(name, core::make_transaction_id({}, 0));
        if (wish.keep_failed.value_or(false) && copy.size() > longest_name) {
            return core::failure(core::reason::usage,
                                 fmt::format("--keep-failed: the copy of {0} would be called {0}-failed-TRANSACTION, "
                                             "longer than the {1} characters that Incus allows",
                                             name, longest_name));
        }
    }
    return {};
}

/// The hooks of this host around those of the recipe or the command line, as brackets are: the host's first before the
/// snapshots, last after them.
core::expected<void> add_hooks(core::plan& plan) {
    const auto installed = [](const std::string& event) { return select_hooks(event, installed_hooks(event)); };
    BELAY_TRY(const auto, pre, installed("pre"));
    BELAY_TRY(const auto, quiesce, installed("quiesce"));
    BELAY_TRY(const auto, resume, installed("resume"));
    plan.pre.insert(plan.pre.begin(), pre.begin(), pre.end());
    plan.quiesce.insert(plan.quiesce.begin(), quiesce.begin(), quiesce.end());
    plan.resume.insert(plan.resume.end(), resume.begin(), resume.end());
    return {};
}

/// The settings that depend on the command line and its recipe alone. Errors are usage.
core::expected<setting> settle(const run_options& options) {
    setting s;
    BELAY_TRY(auto, wish, merged_wish(options.recipe, options.settings));
    BELAY_TRY_VOID(check_wish(wish, options));
    recipe::apply(wish, s.plan);
    BELAY_TRY(auto, project, project_name(options.project));
    BELAY_TRY(auto, specs, select_checks(wish, installed_checks()));
    if (s.plan.saves_evidence) {
        BELAY_TRY(auto, found, select_collectors(wish.evidence, installed_collectors()));
        s.plan.collectors = std::move(found);
    }
    BELAY_TRY_VOID(add_hooks(s.plan));
    BELAY_TRY(auto, state, state_directory_of(options.common));
    s.plan.project = std::move(project);
    s.plan.checks = std::move(specs);
    s.plan.lists_packages = true;
    s.plan.command.interactive = options.interactive;
    for (const auto& [name, value] : wish.env) {
        s.plan.command.env_names.push_back(name);
    }
    s.env = environment_of(wish, options.interactive);
    s.state = std::move(state);
    s.wish = std::move(wish);
    return s;
}

/// The recipe that recipe and command line amount to. Values of variables that the command line set are not shown.
std::string merged_recipe(const run_options& options, recipe::settings wish) {
    for (auto& [name, value] : wish.env) {
        const auto& given = options.settings.env;
        if (std::ranges::find(given, name, &std::pair<std::string, std::string>::first) != given.end()) {
            value = "(not shown)";
        }
    }
    return recipe::write(wish);
}

int print_plans(const run_options& options, const setting& s) {
    if (options.recipe || options.common.format != output_format::text) {
        print(merged_recipe(options, s.wish));
    }
    if (options.instances.empty() || options.common.format != output_format::text) {
        return 0;
    }
    const auto found = find_incus();
    if (!found) {
        return complain(found.error());
    }
    const auto look = report::style_of(STDOUT_FILENO);
    int code = 0;
    for (const auto& name : options.instances) {
        const auto plan = plan_for(s, name);
        incus::instance host(found->socket, plan.project, name, found->program);
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
    if (options.interactive && (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)) {
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
        s->incus.observer = watching.observer();
        for (const auto& name : options.instances) {
            const auto plan = plan_for(*s, name);
            auto done = found ? run_one(*s, plan, watching, inbox, clock)
                              : core::expected<core::report>(std::unexpected(found.error()));
            reports.push_back(done ? *std::move(done) : refusal(plan, done.error(), clock));
            if (!done) {
                watching.listener().on(only_event(reports.back(), clock));
                notify_of_refusal(plan, reports.back());
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
