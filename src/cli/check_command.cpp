// SPDX-License-Identifier: Apache-2.0
// belay check: the health checks now, without a transaction.
#include "checks/runner.hpp"
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/selection.hpp"
#include "cli/signals.hpp"
#include "cli/site.hpp"
#include "cli/surroundings.hpp"
#include "cli/timings.hpp"
#include "cli/wish.hpp"
#include "core/durations.hpp"
#include "core/text.hpp"
#include "report/checks_text.hpp"
#include "run/baseline.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace belay::cli {

namespace {

/// What is the same for every instance.
struct setting {
    const check_command_options& options;
    std::string project;
    incus_site incus;
    std::vector<core::check_spec> specs;
    core::milliseconds retry_for{};
};

core::expected<setting> prepare(const check_command_options& options) {
    setting s{options, {}, {}, {}, {}};
    BELAY_TRY(auto, project, project_name(options.project));
    BELAY_TRY(auto, wish, merged_wish(options.recipe, options.settings));
    BELAY_TRY(auto, specs, select_checks(wish, installed_checks()));
    BELAY_TRY(auto, incus, find_incus());
    s.project = std::move(project);
    s.specs = std::move(specs);
    s.retry_for = wish.retry_for.value_or(core::limits{}.retry_for);
    s.incus = std::move(incus);
    return s;
}

void show_output(const core::check_spec& spec, std::string_view out, std::string_view err) {
    std::string lines;
    const auto block = [&](std::string_view name, std::string_view text) {
        core::terminal_filter filter;
        auto safe = filter.feed(text);
        safe += filter.finish();
        for (std::size_t at = 0; at < safe.size();) {
            const auto end = std::min(safe.find('\n', at), safe.size());
            lines += fmt::format("{} {}: {}\n", spec.name, name, safe.substr(at, end - at));
            at = end + 1;
        }
    };
    block("stdout", out);
    block("stderr", err);
    print_error(lines);
}

nlohmann::ordered_json as_json(const std::string& instance, const std::vector<core::reading>& readings) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& r : readings) {
        list.push_back({{"name", r.name},
                        {"where", core::to_word(r.where)},
                        {"required", r.required},
                        {"result", core::to_word(r.how)},
                        {"summary", r.summary},
                        {"good", r.good},
                        {"bad", r.bad},
                        {"seconds", r.seconds}});
    }
    return {{"instance", instance}, {"pass", core::baseline_acceptable(readings)}, {"checks", std::move(list)}};
}

} // namespace

int check_command(const check_command_options& options) {
    prepare_signals();
    const auto s = prepare(options);
    if (!s) {
        return complain(s.error());
    }
    signal_inbox inbox;
    const system_clock clock;
    std::optional<timings> timed;
    if (options.common.timings) {
        timed.emplace(to_standard_error());
    }
    auto document = nlohmann::ordered_json::array();
    int code = 0;
    for (const auto& name : options.instances) {
        incus::instance host(s->incus.socket, s->project, name, s->incus.program);
        host.observe(timed ? timed->observer() : incus::observer{});
        const auto now = host.examine(request_limit);
        if (!now || !now->facts.running) {
            const auto why = now ? core::error{core::reason::not_running,
                                               fmt::format("instance {0} is not running: `incus start {0}`", name)}
                                 : now.error();
            code = std::max(code, complain(why));
            document.push_back({{"instance", name}, {"pass", nullptr}, {"error", core::describe(why)}});
            continue;
        }
        checks::runner runner(host, options.common.verbose > 0 ? checks::runner::witness(show_output) : nullptr);
        const auto readings = run::ready_round(runner, s->specs, std::nullopt, {{}, name, s->project, "check", 1, {}},
                                               s->retry_for, inbox, clock)
                                  .readings;
        if (const auto why = inbox.interruption()) {
            return std::max(1, complain(*why));
        }
        code = std::max(code, core::baseline_acceptable(readings) ? 0 : 1);
        if (options.common.format == output_format::json) {
            document.push_back(as_json(name, readings));
        } else if (!options.common.quiet || !core::baseline_acceptable(readings)) {
            print(report::check_verdicts(name, readings, report::style_of(STDOUT_FILENO)));
        }
    }
    if (options.common.format == output_format::json) {
        const auto& shown = options.instances.size() == 1 ? document.at(0) : document;
        print(shown.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
    }
    return code;
}

} // namespace belay::cli
