// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.hpp"

#include "core/durations.hpp"
#include "core/names.hpp"
#include "core/sizes.hpp"
#include "core/text.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>

namespace belay::cli {

namespace {

using core::milliseconds;

[[noreturn]] void refuse(const std::string& message) {
    throw CLI::ValidationError(message, CLI::ExitCodes::ValidationError);
}

/// The usage line of `run` must show the command, which CLI11 never sees.
class formatter : public CLI::Formatter {
public:
    std::string make_usage(const CLI::App* app, std::string name) const override {
        auto usage = CLI::Formatter::make_usage(app, std::move(name));
        if (app->get_name() == "run") {
            usage.insert(usage.find_last_not_of('\n') + 1, " -- COMMAND [ARG...]");
        }
        return usage;
    }
};

/// The options of all commands, before they are sorted out. One object, so that each option is declared once.
struct raw {
    run_options run;
    check_command_options check;
    history_options history;
    show_options show;
    confirm_options confirm;
    rollback_options rollback;
    recover_options recover;
    prune_options prune;
    checks_options checks;
    recipes_options recipes;
    doctor_options doctor;
};

CLI::Option* add_list(CLI::App* app, const std::string& name, std::vector<std::string>& into, const std::string& help,
                      const std::string& type) {
    // CLI11's vector options would take every word that follows: one value each time.
    return app->add_option(name, into, help)
        ->type_name(type)
        ->type_size(1)
        ->allow_extra_args(false)
        ->expected(1)
        ->take_all();
}

/// An option whose text one of core's rules reads. `into` may be an optional, which has no default.
template <class Into, class Parse>
CLI::Option* add_parsed(CLI::App* app, const std::string& name, Into& into, Parse parse, const std::string& help,
                        const std::string& type) {
    return app
        ->add_option_function<std::string>(
            name,
            [&into, name, parse](const std::string& text) {
                const auto parsed = parse(text);
                if (!parsed) {
                    refuse(name + ": " + parsed.error().message);
                }
                into = *parsed;
            },
            help)
        ->type_name(type);
}

template <class Duration>
CLI::Option* add_duration_option(CLI::App* app, const std::string& name, Duration& into, const std::string& help) {
    return add_parsed(app, name, into, core::parse_duration, help, "DURATION");
}

void add_duration(CLI::App* app, const std::string& name, milliseconds& into, const std::string& help) {
    add_duration_option(app, name, into, help)->default_str(core::format_duration(into));
}

/// A setting, which a recipe may have as well; `value` is what holds when neither says anything.
void add_duration(CLI::App* app, const std::string& name, std::optional<milliseconds>& into, milliseconds value,
                  const std::string& help) {
    add_duration_option(app, name, into, help)->default_str(core::format_duration(value));
}

/// A flag that only says something when it is there.
void add_truth(CLI::App* app, const std::string& name, std::optional<bool>& into, const std::string& help) {
    app->add_flag_callback(
        name, [&into] { into = true; }, help);
}

/// An option with a fixed set of words; the first one is the default.
template <class Enum, class Into>
CLI::Option* add_choice(CLI::App* app, const std::string& name, Into& into,
                        const std::vector<std::pair<std::string, Enum>>& words, const std::string& help) {
    std::string list;
    for (const auto& [word, value] : words) {
        list += (list.empty() ? "" : "|") + word;
    }
    return app
        ->add_option_function<std::string>(
            name,
            [&into, name, words, list](const std::string& text) {
                const auto found = std::ranges::find(words, text, &std::pair<std::string, Enum>::first);
                if (found == words.end()) {
                    refuse(name + ": '" + core::printable(text) + "' is not one of " + list);
                }
                into = found->second;
            },
            help)
        ->type_name(list)
        ->default_str(words.front().first);
}

void add_common(CLI::App* app, common_options& into, bool jsonl) {
    std::vector<std::pair<std::string, output_format>> formats{{"text", output_format::text},
                                                               {"json", output_format::json}};
    if (jsonl) {
        formats.emplace_back("jsonl", output_format::jsonl);
    }
    add_choice<output_format>(app, "--format", into.format, formats,
                              jsonl ? "Text, one json report at the end, or every event as a line of json"
                                    : "Text or json");
    app->add_option("--state-dir", into.state_dir, "Where journals and locks are kept (also $BELAY_STATE_DIR)")
        ->type_name("DIR");
    app->add_flag("-v,--verbose", into.verbose, "Log more to standard error; twice for every event");
    app->add_flag("-q,--quiet", into.quiet, "Print the last sentence only; log errors only");
}

void add_timings(CLI::App* app, common_options& into) {
    app->add_flag("--timings", into.timings,
                  "Print how long each request, program in the instance and sync took, to standard error");
}

CLI::Option* add_instances(CLI::App* app, std::optional<std::string>& project, std::vector<std::string>& instances) {
    app->add_option("--project", project, "The project of the instances (default: as the incus program has it)")
        ->type_name("PROJECT");
    return app->add_option("instance", instances, "Name of an instance")
        ->type_name("INSTANCE")
        ->required()
        ->type_size(1);
}

/// The recipe that the settings of the command line are merged over.
void add_recipe(CLI::App* app, std::optional<std::string>& into) {
    app->add_option("-r,--recipe", into,
                    "Take command, checks and policy from this recipe, or path; options win over it")
        ->type_name("RECIPE");
}

void add_check_selection(CLI::App* app, recipe::settings& into) {
    app->option_defaults()->group("Health checks");
    add_list(app, "--check", into.checks, "Add a check: 'NAME ARG...', or a path", "CHECK");
    add_list(app, "--wanted", into.wanted, "Add a check that only warns", "CHECK");
    add_list(app, "--check-cmd", into.check_cmd, "Add a shell command in the instance as a check", "CMD");
    add_list(app, "--no-check", into.no_check, "Leave out this check, a default one or one of the recipe", "NAME");
    add_truth(app, "--no-checks", into.no_checks, "Leave out all default checks");
}

std::pair<std::string, std::string> env_pair(const std::string& text) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
        refuse("--env: '" + core::printable(text.substr(0, equals)) + "' has no value: write NAME=VALUE");
    }
    return {text.substr(0, equals), text.substr(equals + 1)};
}

void add_number(CLI::App* app, const std::string& name, std::optional<unsigned>& into, const std::string& help) {
    app->add_option_function<std::string>(
           name,
           [&into, name](const std::string& text) {
               unsigned number{};
               const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
               if (problem != std::errc{} || end != text.data() + text.size()) {
                   refuse(name + ": '" + core::printable(text) +
                          "' is not a number: names are known only inside the instance");
               }
               into = number;
           },
           help)
        ->type_name("ID");
}

CLI::Option* add_size(CLI::App* app, const std::string& name, std::optional<std::uint64_t>& into,
                      const std::string& help) {
    return add_parsed(app, name, into, core::parse_size, help, "SIZE");
}

void add_command_options(CLI::App* app, run_options& options) {
    auto& into = options.settings;
    app->option_defaults()->group("Command");
    app->add_option_function<std::vector<std::string>>(
           "--env",
           [&into](const std::vector<std::string>& texts) {
               for (const auto& text : texts) {
                   into.env.push_back(env_pair(text));
               }
           },
           "Set an environment variable of the command; its value is never written anywhere")
        ->type_name("NAME=VALUE")
        ->type_size(1)
        ->allow_extra_args(false)
        ->take_all();
    add_number(app, "--user", into.user, "Run the command as this user ID");
    add_number(app, "--group", into.group, "Run the command as this group ID");
    app->add_option("--cwd", into.cwd, "Run the command in this directory of the instance")->type_name("DIR");
    app->add_flag("-i,--interactive", options.interactive, "Give the command this terminal; nothing is logged");
    add_duration(app, "--timeout", into.timeout, core::limits{}.upgrade,
                 "Undo when the command has not ended after this time; 0 waits for ever");
    add_size(app, "--log-limit", into.log_limit, "How much output is kept in the log, head and tail; 0 keeps all")
        ->default_str("100MiB");
}

/// `all`, `none`, or names with commas between them.
recipe::volume_choice volumes_in(const std::string& text) {
    if (text == "all") {
        return {};
    }
    std::vector<std::string> names;
    if (text == "none") {
        return {names};
    }
    for (std::size_t from = 0; from <= text.size();) {
        const auto end = std::min(text.find(',', from), text.size());
        if (end == from) {
            refuse("--volumes: '" + core::printable(text) + "' has an empty name: write all, none, or POOL/VOLUME,...");
        }
        names.push_back(text.substr(from, end - from));
        from = end + 1;
    }
    return {names};
}

void add_snapshot_options(CLI::App* app, recipe::settings& into) {
    app->option_defaults()->group("Snapshot");
    app->add_option_function<std::string>(
           "--volumes", [&into](const std::string& text) { into.volumes = volumes_in(text); },
           "Custom volumes that are snapshotted and restored with the instance: all, none, or POOL/VOLUME,...")
        ->type_name("all|none|LIST")
        ->default_str("all");
    add_choice<core::snapshot_mode>(app, "--snapshot-mode", into.snapshot_mode,
                                    {{"live", core::snapshot_mode::live},
                                     {"paused", core::snapshot_mode::paused},
                                     {"stopped", core::snapshot_mode::stopped}},
                                    "What the instance does meanwhile (default: paused with volumes, else live)")
        ->default_str("");
    app->add_option("--pre", into.pre, "Shell command in the instance before anything is touched; refuses if it fails")
        ->type_name("CMD");
    app->add_option("--quiesce", into.quiesce, "Shell command in the instance before the snapshots")->type_name("CMD");
    app->add_option("--resume", into.resume, "The same after them, whatever became of them")->type_name("CMD");
    add_size(app, "--min-free", into.min_free,
             "What must be free in every storage pool concerned (default: a tenth of the pool, at most 1GiB)");
    add_list(app, "--uncovered", into.uncovered, "Accept that the disk mounted here is not covered by the snapshot",
             "PATH");
}

/// What stays when it is over.
void add_keepsakes(CLI::App* app, recipe::settings& into) {
    app->option_defaults()->group("What is kept");
    add_duration(app, "--keep-for", into.keep_for, recipe::default_keep_for,
                 "How long the snapshot of a kept upgrade lives; 0: for ever");
    app->add_option("--keep", into.keep, "How many of those an instance has at most; 0: any number")
        ->check(CLI::Range(0, recipe::most_kept))
        ->type_name("N")
        ->default_str(std::to_string(recipe::default_keep));
    add_truth(app, "--drop-if-unchanged", into.drop_if_unchanged,
              "Keep no snapshot when the command succeeded and changed no package");
    add_duration(
        app, "--evidence-limit", into.evidence_limit, core::limits{}.evidence,
        "How long it may take to save what tells why the upgrade failed, before it is undone; 0 saves nothing");
    add_list(app, "--evidence", into.evidence, "Save what this shell command in the instance prints as well", "CMD");
    add_truth(app, "--keep-failed", into.keep_failed,
              "Before it is undone, copy the broken state to a stopped instance NAME-failed-TXN");
}

void add_policy(CLI::App* app, run_options& options) {
    auto& into = options.settings;
    const core::limits limit;
    app->option_defaults()->group("Health checks");
    add_duration(app, "--retry-for", into.retry_for, limit.retry_for, "How long the checks may take to pass");
    add_duration(app, "--soak", into.soak, limit.soak, "How long they must then stay good");
    add_truth(app, "--accept-unhealthy", into.accept_unhealthy,
              "Go on although a check fails before the upgrade; it then only reports");
    add_duration_option(app, "--confirm", into.confirm,
                        "Then wait so long, by the time of day, for `belay confirm`; without it the upgrade is undone");
    add_list(app, "--expect-lost", into.expect_lost,
             "A finding that the upgrade may lose: 'unit cron.service', globs too", "FINDING");
    app->option_defaults()->group("Policy");
    add_choice<core::restart_policy>(app, "--restart", into.restart,
                                     {{"never", core::restart_policy::never},
                                      {"if-needed", core::restart_policy::if_needed},
                                      {"always", core::restart_policy::always}},
                                     "Restart the instance after the command, before the checks");
    add_duration(app, "--stop-timeout", into.stop_timeout, limit.stop,
                 "How long a graceful stop may take before it is forced; 0 forces");
    add_duration(app, "--daemon-wait", into.daemon_wait, limit.daemon_wait,
                 "How long an Incus daemon that is away is waited for");
    add_duration(app, "--restart-timeout", into.restart_timeout, limit.restart,
                 "How long the instance may take to boot then");
    add_snapshot_options(app, into);
    add_keepsakes(app, into);
    app->option_defaults()->group("Policy");
    app->add_flag("--dry-run", options.dry_run, "Print what would be done, and touch nothing");
    app->option_defaults()->group("Options");
}

void add_target(CLI::App* app, std::optional<std::string>& project, std::string& what) {
    app->add_option("transaction", what, "A transaction, or an instance")->type_name("TXN|INSTANCE")->required();
    app->add_option("--project", project, "The project of the instance (default: as the incus program has it)")
        ->type_name("PROJECT");
}

void add_rollback_options(CLI::App* app, rollback_options& into) {
    app->add_flag("-y,--yes", into.yes, "Do not ask; needed without a terminal");
    app->add_flag("--discard-newer", into.discard_newer, "Also take back the upgrades that were kept since");
    app->add_option("--snapshot", into.snapshot, "From this snapshot of an interrupted upgrade whose journal is gone")
        ->type_name("NAME");
    add_duration_option(app, "--retry-for", into.retry_for,
                        "How long the checks may take to pass (else as in the upgrade)");
    add_duration_option(app, "--stop-timeout", into.stop,
                        "How long a graceful stop may take (else as in the upgrade); 0 forces");
    add_duration_option(app, "--daemon-wait", into.daemon_wait,
                        "How long an Incus daemon that is away is waited for (else as in the upgrade)");
}

void add_prune_options(CLI::App* app, prune_options& into) {
    app->add_option("--project", into.project, "Only instances of this project (default: of all)")
        ->type_name("PROJECT");
    app->add_option("instance", into.instances, "Only these instances (default: all that belay has upgraded)")
        ->type_name("INSTANCE")
        ->type_size(1);
    add_common(app, into.common, false);
    app->add_option("--keep", into.keep,
                    "How many kept upgrades of an instance keep their snapshots; 0: any number (default: as its newest "
                    "upgrade asked for)")
        ->check(CLI::Range(0, 1'000))
        ->type_name("N");
    app->add_flag("--dry-run", into.dry_run, "Say what would be deleted, and delete nothing");
    app->footer(
        "Exit codes: 0 done (also when a locked instance was skipped), 2 usage, 3 something could not be looked "
        "at or deleted.");
}

void check_instances(const std::vector<std::string>& instances) {
    for (const auto& name : instances) {
        if (const auto valid = core::check_instance_name(name); !valid) {
            refuse(valid.error().message);
        }
    }
    for (auto at = instances.begin(); at != instances.end(); ++at) {
        if (std::find(instances.begin(), at, *at) != at) {
            refuse("instance " + *at + " is named twice");
        }
    }
}

/// What a recipe may still change is looked at when that was read (see run_command.cpp).
void finish_run(run_options& run, const std::vector<std::string>& command, bool has_command) {
    check_instances(run.instances);
    if (run.instances.empty() && !(run.dry_run && run.recipe)) {
        refuse("there is no instance: `belay run INSTANCE -- COMMAND`");
    }
    if (has_command || !run.recipe) {
        const auto example = run.instances.empty() ? std::string("web1") : run.instances.front();
        if (command.empty()) {
            refuse("there is no command to run: write it after the instance and --, as in `belay run " + example +
                   " -- apt-get -y dist-upgrade`, or take a recipe: `belay recipes`");
        }
        if (command.front().empty()) {
            refuse("the command is empty: its first word is the program to run");
        }
        run.settings.command = command;
    }
    if (run.interactive && run.common.format != output_format::text) {
        refuse("--interactive needs the terminal, and --format json and jsonl need standard output: choose one");
    }
    if (run.interactive && run.instances.size() > 1) {
        refuse("--interactive works on one instance at a time");
    }
}

void add_run(CLI::App* run, raw& into) {
    run->option_defaults()->group("Options");
    add_instances(run, into.run.project, into.run.instances)->required(false);
    add_recipe(run, into.run.recipe);
    add_common(run, into.run.common, true);
    add_timings(run, into.run.common);
    add_command_options(run, into.run);
    add_check_selection(run, into.run.settings);
    add_policy(run, into.run);
    run->footer("Exit codes: 0 kept, 1 undone, 2 usage, 3 refused (untouched), 4 undone but not as healthy as before, "
                "5 stuck.");
}

void add_check(CLI::App* check, raw& into) {
    add_instances(check, into.check.project, into.check.instances);
    add_recipe(check, into.check.recipe);
    add_common(check, into.check.common, false);
    add_timings(check, into.check.common);
    add_check_selection(check, into.check.settings);
    add_duration(check, "--retry-for", into.check.settings.retry_for, core::limits{}.retry_for,
                 "How long a check that is not ready is asked again");
}

void add_history(CLI::App* history, raw& into) {
    history->add_option("instance", into.history.instance, "Only this instance")->type_name("INSTANCE");
    add_common(history, into.history.common, false);
}

void add_show(CLI::App* show, raw& into) {
    show->add_option("what", into.show.what, "A transaction, or the newest of an instance")->type_name("TXN|INSTANCE");
    add_common(show, into.show.common, false);
}

void add_confirm(CLI::App* confirm, raw& into) {
    add_target(confirm, into.confirm.project, into.confirm.what);
    add_common(confirm, into.confirm.common, false);
    confirm->footer("Exit codes: 0 kept, 1 too late, 2 usage, 3 it does not wait for a confirmation.");
}

void add_rollback(CLI::App* rollback, raw& into) {
    add_target(rollback, into.rollback.project, into.rollback.what);
    add_common(rollback, into.rollback.common, true);
    add_timings(rollback, into.rollback.common);
    add_rollback_options(rollback, into.rollback);
    rollback->footer("Exit codes: 0 undone and healthy, 2 usage, 3 refused (untouched), 4 undone but not as healthy as "
                     "before, 5 stuck.");
}

void add_recover(CLI::App* recover, raw& into) {
    add_common(recover, into.recover.common, true);
    add_timings(recover, into.recover.common);
    add_duration(recover, "--daemon-wait", into.recover.daemon_wait,
                 "How long an Incus daemon that is away is waited for");
    recover->footer("Exit codes: 0 all have ended well (or nothing to do), 4 one is not as healthy as before, 5 one "
                    "could not be ended.");
}

void add_prune(CLI::App* prune, raw& into) {
    add_prune_options(prune, into.prune);
}

void add_checks(CLI::App* checks, raw& into) {
    add_common(checks, into.checks.common, false);
    checks->add_option("--new", into.checks.new_check, "Write a template of a check to this new file")
        ->type_name("NAME");
}

void add_recipes(CLI::App* recipes, raw& into) {
    add_common(recipes, into.recipes.common, false);
}

void add_doctor(CLI::App* doctor, raw& into) {
    add_common(doctor, into.doctor.common, false);
    doctor->footer("Exit codes: 0 without findings, 1 with findings, 2 usage. Notes are no findings.");
}

struct subcommand {
    const char* name;
    const char* what;
    void (*add_options)(CLI::App*, raw&);
};

constexpr std::array subcommands{
    subcommand{"run", "A transaction for each instance, one after another: snapshot, command, checks; keep or undo",
               add_run},
    subcommand{"check", "Run the health checks now and print what they say", add_check},
    subcommand{"history", "One line per transaction, newest last", add_history},
    subcommand{"show", "One transaction whole (the newest): first why it failed and the last lines", add_show},
    subcommand{"confirm", "Keep the upgrade that waits for a confirmation", add_confirm},
    subcommand{"rollback", "Undo an upgrade that waits for a confirmation, or the newest one that was kept",
               add_rollback},
    subcommand{"recover", "End every interrupted transaction of this host", add_recover},
    subcommand{"prune", "Delete belay's own old snapshots, as every kept upgrade does at its end", add_prune},
    subcommand{"checks", "The health checks that are installed", add_checks},
    subcommand{"recipes", "The recipes that are installed", add_recipes},
    subcommand{"doctor", "Is this host able to run belay? Every finding with what mends it", add_doctor},
};

/// The options of a command are made only when its name is among the words: making all of them takes as long as
/// everything else of a start.
void add_commands(CLI::App& app, raw& into, const std::vector<std::string>& words) {
    for (const auto& [name, what, add_options] : subcommands) {
        auto* made = app.add_subcommand(name, what);
        if (std::ranges::find(words, name) != words.end()) {
            add_options(made, into);
        }
    }
}

request chosen(const CLI::App& app, raw& all, const std::vector<std::string>& command, bool has_command) {
    const auto name = app.get_subcommands().front()->get_name();
    if (name == "run") {
        finish_run(all.run, command, has_command);
        return std::move(all.run);
    }
    if (has_command) {
        refuse("belay " + name + " takes no command after --");
    }
    if (name == "check") {
        check_instances(all.check.instances);
        return std::move(all.check);
    }
    if (name == "history") {
        return std::move(all.history);
    }
    if (name == "show") {
        return std::move(all.show);
    }
    if (name == "confirm") {
        return std::move(all.confirm);
    }
    if (name == "rollback") {
        return std::move(all.rollback);
    }
    if (name == "recover") {
        return std::move(all.recover);
    }
    if (name == "recipes") {
        return std::move(all.recipes);
    }
    if (name == "doctor") {
        return std::move(all.doctor);
    }
    if (name == "prune") {
        check_instances(all.prune.instances);
        return std::move(all.prune);
    }
    return std::move(all.checks);
}

constexpr const char* version_line = "belay " BELAY_VERSION "\n";

/// CLI11 would only say that a command is missing.
void check_command_name(CLI::App& app, const std::vector<std::string>& args) {
    if (args.empty() || args.front().starts_with('-')) {
        return;
    }
    std::string known;
    for (const auto* command : app.get_subcommands({})) {
        if (command->get_name() == args.front()) {
            return;
        }
        known += (known.empty() ? "" : ", ") + command->get_name();
    }
    refuse("there is no command '" + core::printable(args.front()) + "': the commands are " + known);
}

} // namespace

std::variant<request, finished_early> parse_arguments(const std::vector<std::string>& args) {
    const auto dashes = std::ranges::find(args, "--");
    const bool has_command = dashes != args.end();
    std::vector<std::string> own(args.begin(), dashes);
    const std::vector<std::string> command(has_command ? dashes + 1 : dashes, args.end());

    // The one question that needs no grammar.
    if (args == std::vector<std::string>{"--version"}) {
        return finished_early{0, version_line, {}};
    }
    CLI::App app(
        "belay: transactional upgrades for Incus instances. A snapshot, any command, health checks: the result is "
        "kept, or the instance is put back.",
        "belay");
    app.set_version_flag("--version", version_line);
    app.formatter(std::make_shared<formatter>());
    app.require_subcommand(1);
    app.footer("The manual is belay(1).");
    raw all;
    add_commands(app, all, own);
    try {
        check_command_name(app, own);
        std::ranges::reverse(own); // CLI11 takes them from the back
        app.parse(own);
        return chosen(app, all, command, has_command);
    } catch (const CLI::CallForVersion& version) {
        return finished_early{0, version.what(), {}};
    } catch (const CLI::ParseError& problem) {
        std::ostringstream out;
        std::ostringstream err;
        if (app.exit(problem, out, err) == 0) {
            return finished_early{0, out.str(), {}};
        }
        return finished_early{
            core::usage_exit_code,
            {},
            fmt::format("belay: {}\nRun `belay {}--help` for the options.\n", core::printable(problem.what()),
                        app.get_subcommands().empty() ? "" : app.get_subcommands().front()->get_name() + " ")};
    }
}

} // namespace belay::cli
