// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.hpp"
#include "cli/surroundings.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace belay;
using namespace std::chrono_literals;
using words = std::vector<std::string>;

namespace {

template <class Options>
Options read_as(const words& args) {
    const auto parsed = cli::parse_arguments(args);
    if (const auto* early = std::get_if<cli::finished_early>(&parsed)) {
        FAIL(early->err);
    }
    return std::get<Options>(std::get<cli::request>(parsed));
}

cli::run_options run_of(const words& args) {
    return read_as<cli::run_options>(args);
}

/// What is printed on standard error when the command line is wrong.
std::string usage_error(const words& args) {
    const auto parsed = cli::parse_arguments(args);
    const auto* early = std::get_if<cli::finished_early>(&parsed);
    REQUIRE(early);
    CHECK(early->exit_code == 2);
    CHECK(early->out.empty());
    return early->err;
}

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("what follows the first dashes is the command, verbatim") {
    const auto run = run_of({"run", "web1", "--", "sh", "-c", "", "--", "--soak", "-v"});
    CHECK(run.instances == words{"web1"});
    CHECK(run.settings.command == words{"sh", "-c", "", "--", "--soak", "-v"});
    CHECK_FALSE(run.settings.soak);
}

TEST_CASE("what is not on the command line says nothing, so that a recipe may say it") {
    const auto run = run_of({"run", "web1", "--", "true"});
    recipe::settings only_command;
    only_command.command = words{"true"};
    CHECK(run.settings == only_command);
    CHECK(run.common.format == cli::output_format::text);
    CHECK_FALSE(run.interactive);
}

TEST_CASE("with a recipe the command may be left out, and for a dry run the instance too") {
    CHECK(run_of({"run", "-r", "apt", "web1"}).recipe == "apt");
    CHECK_FALSE(run_of({"run", "-r", "apt", "web1"}).settings.command);
    CHECK(run_of({"run", "web1", "--recipe", "apt", "--", "true"}).settings.command == words{"true"});
    CHECK(run_of({"run", "-r", "apt", "--dry-run"}).instances.empty());
    CHECK(read_as<cli::check_command_options>({"check", "-r", "nginx", "web1"}).recipe == "nginx");
    CHECK(says(usage_error({"run", "-r", "apt"}), "no instance"));
    CHECK(says(usage_error({"run", "--dry-run", "--", "true"}), "no instance"));
    CHECK(says(usage_error({"run", "-r", "apt", "web1", "--"}), "no command"));
}

TEST_CASE("options that may be repeated take one value each time") {
    const auto run =
        run_of({"run",         "--check", "tcp 53",        "web1",   "--check=http", "web2",  "--wanted",   "disk",
                "--check-cmd", "a b",     "--expect-lost", "unit *", "--uncovered",  "/data", "--no-check", "services",
                "--env",       "A=b=c",   "--env",         "E=",     "web3",         "--",    "true"});
    CHECK(run.instances == words{"web1", "web2", "web3"});
    CHECK(run.settings.checks == words{"tcp 53", "http"});
    CHECK(run.settings.wanted == words{"disk"});
    CHECK(run.settings.check_cmd == words{"a b"});
    CHECK(run.settings.no_check == words{"services"});
    CHECK(run.settings.expect_lost == words{"unit *"});
    CHECK(run.settings.uncovered == words{"/data"});
    CHECK(run.settings.env == std::vector<std::pair<std::string, std::string>>{{"A", "b=c"}, {"E", ""}});
}

TEST_CASE("every other option of run arrives") {
    const auto run = run_of({"run",         "--project",
                             "lab",         "--timeout",
                             "15m",         "--retry-for",
                             "5s",          "--soak",
                             "1.5s",        "--stop-timeout",
                             "0",           "--restart",
                             "if-needed",   "--accept-unhealthy",
                             "--no-checks", "--user",
                             "1000",        "--group",
                             "7",           "--cwd",
                             "/srv",        "--log-limit",
                             "64KiB",       "--dry-run",
                             "--format",    "jsonl",
                             "--state-dir", "/s",
                             "-vv",         "web1",
                             "--",          "true"});
    CHECK(run.project == "lab");
    CHECK(run.settings.timeout == 15min);
    CHECK(run.settings.retry_for == 5s);
    CHECK(run.settings.soak == 1500ms);
    CHECK(run.settings.stop_timeout == 0s);
    CHECK(run.settings.restart == core::restart_policy::if_needed);
    CHECK(run.settings.accept_unhealthy == true);
    CHECK(run.settings.no_checks == true);
    CHECK(run.settings.user == 1000U);
    CHECK(run.settings.group == 7U);
    CHECK(run.settings.cwd == "/srv");
    CHECK(run.settings.log_limit == 65'536);
    CHECK(run.dry_run);
    CHECK(run.common.format == cli::output_format::jsonl);
    CHECK(run.common.state_dir == "/s");
    CHECK(run.common.verbose == 2);
}

TEST_CASE("a wrong command line names the mistake and touches nothing") {
    CHECK(says(usage_error({"run", "web1"}), "no command"));
    CHECK(says(usage_error({"run", "web1", "--"}), "no command"));
    CHECK(says(usage_error({"run", "web1", "--", ""}), "empty"));
    CHECK(says(usage_error({"run", "--", "true"}), "instance"));
    CHECK(says(usage_error({"run", "prod:web1", "--", "true"}), "remote"));
    CHECK(says(usage_error({"run", "web1", "web1", "--", "true"}), "twice"));
    CHECK(says(usage_error({"run", "--soak", "10", "web1", "--", "true"}), "'10' is not a duration"));
    CHECK(says(usage_error({"run", "--restart", "maybe", "web1", "--", "true"}), "never|if-needed|always"));
    CHECK(says(usage_error({"run", "--user", "bob", "web1", "--", "true"}), "'bob' is not a number"));
    CHECK(says(usage_error({"run", "--user", "-1", "web1", "--", "true"}), "--user"));
    CHECK(says(usage_error({"run", "--env", "NAME", "web1", "--", "true"}), "'NAME' has no value"));
    CHECK(says(usage_error({"run", "--chekc", "x", "web1", "--", "true"}), "--chekc"));
    CHECK(says(usage_error({"run", "-i", "--format", "json", "web1", "--", "true"}), "--interactive"));
    CHECK(says(usage_error({"run", "-i", "web1", "web2", "--", "true"}), "one instance"));
    CHECK(says(usage_error({"frob"}), "no command 'frob'"));
    CHECK(says(usage_error({}), "subcommand"));
    CHECK(says(usage_error({"history", "--", "x"}), "no command after --"));
    CHECK(says(usage_error({"check", "--format", "jsonl", "web1"}), "text|json"));
}

TEST_CASE("a confirmation and the wait for a daemon are asked for by durations") {
    const auto run = run_of({"run", "--confirm", "10m", "--daemon-wait", "0", "web1", "--", "true"});
    CHECK(run.settings.confirm == 10min);
    CHECK(run.settings.daemon_wait == 0s);
    CHECK(run_of({"run", "--confirm", "0", "web1", "--", "true"}).settings.confirm == 0s);
    CHECK(says(usage_error({"run", "--confirm", "web1", "--", "true"}), "--confirm: 'web1' is not a duration"));
    CHECK(says(usage_error({"run", "--confirm=", "web1", "--", "true"}), "--confirm"));
    CHECK(says(usage_error({"run", "--confirm", "-5m", "web1", "--", "true"}), "--confirm"));
    CHECK(says(usage_error({"run", "--daemon-wait", "2", "web1", "--", "true"}), "'2' is not a duration"));
}

TEST_CASE("confirm takes a transaction or an instance") {
    const auto confirm = read_as<cli::confirm_options>({"confirm", "web1"});
    CHECK(confirm.what == "web1");
    CHECK_FALSE(confirm.project);
    CHECK(confirm.common.format == cli::output_format::text);
    const auto full = read_as<cli::confirm_options>(
        {"confirm", "--project", "lab", "--format", "json", "--state-dir", "/s", "-q", "20261123t224000z-3f9c"});
    CHECK(full.what == "20261123t224000z-3f9c");
    CHECK(full.project == "lab");
    CHECK(full.common.format == cli::output_format::json);
    CHECK(full.common.state_dir == "/s");
    CHECK(full.common.quiet);
    CHECK(says(usage_error({"confirm"}), "transaction is required"));
    CHECK(says(usage_error({"confirm", "web1", "web2"}), "web2"));
    CHECK(says(usage_error({"confirm", "--format", "jsonl", "web1"}), "text|json"));
    CHECK(says(usage_error({"confirm", "--yes", "web1"}), "--yes"));
    CHECK(says(usage_error({"confirm", "web1", "--", "true"}), "belay confirm takes no command after --"));
}

TEST_CASE("rollback takes what it undoes, and limits of its own") {
    const auto rollback = read_as<cli::rollback_options>({"rollback", "web1"});
    CHECK(rollback.what == "web1");
    CHECK_FALSE(rollback.yes);
    CHECK_FALSE(rollback.discard_newer);
    CHECK_FALSE(rollback.snapshot);
    CHECK_FALSE(rollback.retry_for); // as in the upgrade
    CHECK_FALSE(rollback.stop);
    CHECK_FALSE(rollback.daemon_wait);
    const auto full = read_as<cli::rollback_options>(
        {"rollback", "-y", "--discard-newer", "--snapshot", "belay-20261123t224000z-3f9c", "--retry-for", "0",
         "--stop-timeout", "1.5s", "--daemon-wait", "5m", "--project", "lab", "--format", "jsonl", "web1"});
    CHECK(full.yes);
    CHECK(full.discard_newer);
    CHECK(full.snapshot == "belay-20261123t224000z-3f9c");
    CHECK(full.retry_for == 0s);
    CHECK(full.stop == 1500ms);
    CHECK(full.daemon_wait == 5min);
    CHECK(full.project == "lab");
    CHECK(full.common.format == cli::output_format::jsonl);
    CHECK(read_as<cli::rollback_options>({"rollback", "--yes", "web1"}).yes);
    CHECK(says(usage_error({"rollback"}), "transaction is required"));
    CHECK(says(usage_error({"rollback", "web1", "web2"}), "web2"));
    CHECK(
        says(usage_error({"rollback", "--stop-timeout", "soon", "web1"}), "--stop-timeout: 'soon' is not a duration"));
    CHECK(says(usage_error({"rollback", "--soak", "1s", "web1"}), "--soak"));
    CHECK(says(usage_error({"rollback", "web1", "--", "true"}), "belay rollback takes no command after --"));
}

TEST_CASE("recover takes nothing but options") {
    const auto recover = read_as<cli::recover_options>({"recover"});
    CHECK(recover.daemon_wait == 2min);
    CHECK(recover.common.format == cli::output_format::text);
    const auto full = read_as<cli::recover_options>({"recover", "--daemon-wait", "0", "--format", "jsonl", "-q"});
    CHECK(full.daemon_wait == 0s);
    CHECK(full.common.format == cli::output_format::jsonl);
    CHECK(full.common.quiet);
    CHECK(says(usage_error({"recover", "web1"}), "web1"));
    CHECK(says(usage_error({"recover", "--daemon-wait", "ever"}), "'ever' is not a duration"));
    CHECK(says(usage_error({"recover", "--", "true"}), "belay recover takes no command after --"));
}

TEST_CASE("a secret in --env is not in the message about it") {
    CHECK_FALSE(says(usage_error({"run", "--env", "=s3cret", "web1", "--", "true"}), "s3cret"));
}

TEST_CASE("help and version are no errors") {
    for (const auto& args : {words{"--help"}, words{"run", "--help"}, words{"--version"}}) {
        const auto parsed = cli::parse_arguments(args);
        const auto* early = std::get_if<cli::finished_early>(&parsed);
        REQUIRE(early);
        CHECK(early->exit_code == 0);
        CHECK_FALSE(early->out.empty());
        CHECK(early->err.empty());
    }
}

TEST_CASE("the project that `incus project switch` has chosen is read from its configuration") {
    CHECK(cli::project_in_config(
              "default-remote: local\nremotes:\n  images:\n    addr: https://x\n    project: no\n  local:\n    "
              "addr: unix://\n    project: lab\n    public: false\naliases: {}\n") == "lab");
    CHECK(cli::project_in_config("remotes:\n    local:\n        addr: unix://\n        project: \"user-1000\"\n") ==
          "user-1000");
    CHECK_FALSE(cli::project_in_config("remotes:\n  prod:\n    project: lab\n  local:\n    addr: unix://\n"));
    CHECK_FALSE(cli::project_in_config("aliases:\n  local:\n    project: lab\n"));
    CHECK_FALSE(cli::project_in_config("{}\n"));
}

TEST_CASE("doctor takes the common options and nothing else") {
    const auto doctor = read_as<cli::doctor_options>({"doctor", "--format", "json", "--state-dir", "/s", "-q"});
    CHECK(doctor.common.format == cli::output_format::json);
    CHECK(doctor.common.state_dir == "/s");
    CHECK(doctor.common.quiet);
    CHECK(says(usage_error({"doctor", "web1"}), "web1"));
    CHECK(says(usage_error({"doctor", "--format", "jsonl"}), "jsonl"));
}

TEST_CASE("prune is for all instances unless some are named, and asks each for its number") {
    const auto plain = read_as<cli::prune_options>({"prune"});
    CHECK(plain.instances.empty());
    CHECK_FALSE(plain.keep);
    CHECK_FALSE(plain.project);
    CHECK_FALSE(plain.dry_run);
    const auto all =
        read_as<cli::prune_options>({"prune", "web1", "--keep", "3", "--dry-run", "web2", "--project", "lab"});
    CHECK(all.instances == words{"web1", "web2"});
    CHECK(all.keep == 3);
    CHECK(all.project == "lab");
    CHECK(all.dry_run);
    CHECK(says(usage_error({"prune", "--keep", "-1"}), "--keep"));
    CHECK(says(usage_error({"prune", "web1", "web1"}), "named twice"));
}
