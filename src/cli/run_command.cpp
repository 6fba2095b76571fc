// SPDX-License-Identifier: Apache-2.0
// belay run: a transaction for each instance, one after another, stop at the first failure.
#include "checks/runner.hpp"
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/log.hpp"
#include "cli/selection.hpp"
#include "cli/signals.hpp"
#include "cli/surroundings.hpp"
#include "core/names.hpp"
#include "incus/instance.hpp"
#include "incus/socket.hpp"
#include "journal/locks.hpp"
#include "journal/store.hpp"
#include "report/dry_run.hpp"
#include "report/jsonl.hpp"
#include "report/terminal.hpp"
#include "report/text.hpp"
#include "run/preflight.hpp"
#include "run/transaction.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <random>
#include <unistd.h>

namespace belay::cli {

namespace {

constexpr core::milliseconds request_limit{30'000};

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
    std::string incus;
    std::string socket;
    std::vector<core::check_spec> checks;
    std::vector<std::pair<std::string, std::string>> env;
    std::filesystem::path state;
};

/// Every listener gets every event.
class audience : public ports::listener {
public:
    void add(ports::listener* one) {
        if (one != nullptr) {
            all_.push_back(one);
        }
    }

    void on(const core::record& r) override {
        for (auto* one : all_) {
            one->on(r);
        }
    }

private:
    std::vector<ports::listener*> all_;
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
    return plan;
}

/// Who watches: the view for people, or the stream for programs, and the log.
class spectators {
public:
    spectators(const run_options& options, const ports::clock& clock) : look_(report::style_of(STDOUT_FILENO)) {
        const auto& common = options.common;
        if (common.format == output_format::jsonl) {
            view_ = std::make_unique<report::jsonl>(STDOUT_FILENO);
        } else if (common.format == output_format::text && !common.quiet) {
            view_ = report::make_view(STDOUT_FILENO, look_, clock);
        }
        const bool silent_view = common.format != output_format::text || common.quiet;
        if (common.verbose > 0 || (silent_view && !common.quiet)) {
            log_ = make_log(level_of(common), sink());
        }
        audience_.add(view_.get());
        audience_.add(log_.get());
    }

    ports::listener& listener() { return audience_; }

    const report::style& look() const { return look_; }

private:
    static log_level level_of(const common_options& common) {
        if (common.verbose > 1) {
            return log_level::events;
        }
        return common.verbose == 1 ? log_level::phases : log_level::warnings;
    }

    /// Log lines go through the live view when they would write over it.
    line_sink sink() {
        auto* live = dynamic_cast<report::terminal*>(view_.get());
        if (live == nullptr || isatty(STDERR_FILENO) == 0) {
            return {};
        }
        return [live](std::string_view line) { live->say(line); };
    }

    report::style look_;
    std::unique_ptr<ports::listener> view_;
    std::unique_ptr<ports::listener> log_;
    audience audience_;
};

std::string new_transaction_id(const ports::clock& clock) {
    std::random_device random;
    return core::make_transaction_id(std::chrono::floor<std::chrono::seconds>(clock.wall()),
                                     static_cast<std::uint16_t>(random()));
}

/// The report of a run that was refused before there was a journal to write to.
core::report refusal(const core::plan& plan, const core::error& why, const ports::clock& clock) {
    core::report r;
    r.transaction = new_transaction_id(clock);
    r.instance = plan.instance;
    r.project = plan.project;
    r.command = plan.command.argv;
    r.how = core::outcome::refused;
    r.why = why.code;
    r.message = core::describe(why);
    r.exit_code = core::exit_code(r.how);
    r.started = clock.wall();
    return r;
}

/// What the watchers of such a run see: that it is over.
core::record only_event(const core::report& r, const ports::clock& clock) {
    return {core::record::version, 1, clock.wall(), clock.boottime(), r.transaction, r.instance, core::closed{r}};
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

/// Opens the journal of a new transaction; an ID that is taken is drawn again.
core::expected<std::pair<std::string, std::unique_ptr<journal::transaction_journal>>>
open_journal(const setting& s, const run_options& options, const ports::clock& clock) {
    BELAY_TRY(auto, store, journal::store::open(s.state, geteuid()));
    constexpr int draws = 10;
    for (int i = 0;; ++i) {
        const auto txn = new_transaction_id(clock);
        auto made = store.create_transaction(txn, options.log_limit);
        if (made) {
            return std::pair{txn, *std::move(made)};
        }
        if (!made.error().transient || i == draws) {
            return std::unexpected(made.error());
        }
    }
}

core::expected<core::report> run_one(const run_options& options, const setting& s, const core::plan& plan,
                                     ports::listener& listener, ports::inbox& inbox, const ports::clock& clock) {
    BELAY_TRY_VOID(check_nesting(plan.instance));
    BELAY_TRY(auto, opened, open_journal(s, options, clock));
    auto& [txn, journal] = opened;
    incus::instance host(s.socket, s.project, plan.instance, s.incus);
    checks::runner runner(host);
    journal::file_locks locks(s.state, journal::read_identity("/"));
    run::transaction transaction({host, runner, *journal, locks, listener, inbox, clock},
                                 {txn, plan, s.env, journal->files().log.string()});
    return transaction.run();
}

/// The settings that depend on the command line alone. Errors are usage.
core::expected<setting> settle(const run_options& options) {
    setting s;
    BELAY_TRY(auto, project, project_name(options.project));
    BELAY_TRY(auto, specs, select_checks(options.checks, checks::library(check_folders(), geteuid())));
    BELAY_TRY(auto, state, state_directory_of(options.common));
    s.project = std::move(project);
    s.checks = std::move(specs);
    s.state = std::move(state);
    s.env = environment_of(options);
    return s;
}

/// The settings that depend on the host. Errors refuse the run.
core::expected<void> find_incus(setting& s) {
    BELAY_TRY(auto, program, incus_program());
    BELAY_TRY(auto, socket, incus::find_socket(incus::real_surroundings()));
    s.incus = std::move(program);
    s.socket = std::move(socket);
    return {};
}

int print_plans(const run_options& options, setting s) {
    if (const auto found = find_incus(s); !found) {
        return complain(found.error());
    }
    const auto look = report::style_of(STDOUT_FILENO);
    int code = 0;
    for (const auto& name : options.instances) {
        const auto plan = plan_for(options, s, name);
        incus::instance host(s.socket, s.project, name, s.incus);
        auto now = host.examine(request_limit);
        if (!now) {
            code = std::max(code, complain(now.error()));
            continue;
        }
        print(report::dry_run_text(plan, now->facts, look));
        auto allowed = run::check_facts(now->facts, plan);
        if (allowed) {
            allowed = host.check_restorable(now->facts, request_limit);
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
        return print_plans(options, *std::move(s));
    }
    const system_clock clock;
    signal_inbox inbox;
    const auto found = find_incus(*s);
    std::vector<core::report> reports;
    int code = 0;
    {
        spectators watching(options, clock);
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
