// SPDX-License-Identifier: Apache-2.0
// Values for the codec's tests: a record of every kind, with every field filled.
#pragma once
#include "core/event.hpp"

#include <string>
#include <vector>

namespace belay::testing {

using namespace std::chrono_literals;

inline constexpr core::wall_time noon = std::chrono::sys_days{std::chrono::year{2026} / 11 / 23} + 22h + 40min + 123ms;

inline core::plan full_plan(const std::string& text) {
    core::plan p;
    p.instance = text;
    p.project = text;
    p.command = {{text, "", "--", text}, {"TOKEN"}, 1000U, 0U, text, true};
    p.checks = {{text, text, {text, ""}, core::place::host, false, 1500ms}, {"listening", "", {}}};
    p.expect_lost = {text};
    p.uncovered = {text};
    p.accept_unhealthy = true;
    p.limit = {0ms, 1ms, 2ms, 3ms, 4ms, 5ms, 6ms, 7ms, 0ms, 9ms, 10ms, 11ms};
    p.restart = core::restart_policy::if_needed;
    p.targets = {"root", text};
    p.pauses = p.guards_schedule = p.confirms = p.saves_evidence = p.retains = p.undoes_kept = true;
    p.undoes = p.restores = text;
    p.takes_present = p.takes_over = true;
    p.discards = {text};
    p.mode = core::snapshot_mode::stopped;
    p.volumes = {text};
    p.pre = p.quiesce = p.resume = {{text, text, {text}, core::place::host, true, 1500ms}};
    p.notices = {{"committed", text}};
    p.collectors = {{text, text, {text}, core::place::guest, false, 1500ms}};
    p.min_free = 1ULL << 40U;
    p.keep_for = 7ms;
    p.keep = 2;
    p.keeps_failed = p.lists_packages = p.drops_unchanged = true;
    return p;
}

inline core::judged full_judged(const std::string& text) {
    return {text, core::place::host, false, core::health::not_yet, core::health::skip, text, {text}, {text, ""}, false,
            text};
}

inline core::package_diff full_packages(const std::string& text) {
    return {{{text, text, ""}, {"", "", text}}, {{text, ""}}, {{"", text}}};
}

inline core::report full_report(const std::string& text) {
    core::report r;
    r.transaction = "20261123t224000z-3f9c";
    r.instance = text;
    r.project = text;
    r.command = {text, ""};
    r.how = core::outcome::rolled_back_unhealthy;
    r.why = core::reason::check_failed;
    r.message = text;
    r.exit_code = 4;
    r.command_exit = 100;
    r.snapshot = text;
    r.started = noon;
    r.seconds = 0.1 + 0.2;
    r.phases = {{"snapshot", text, noon, 1.25, true, ""}, {"verify", "", noon + 1ms, 1e-9, false, text}};
    r.checks = {full_judged(text)};
    r.packages = full_packages(text);
    r.snapshot_expires = noon;
    r.failed_copy = text;
    r.evidence = {text};
    r.warnings = {text};
    r.manual = {text};
    r.downtime_seconds = 12.5;
    r.undoes = text;
    r.log = text;
    return r;
}

inline core::finished full_finished(const std::string& text) {
    core::finished e{{core::act::schedule_off, text}, 3, core::result::timed_out};
    e.why = {core::reason::daemon_lost, text, text, true};
    e.seconds = 3600.001;
    e.facts =
        core::instance_facts{text, text, text, text, text,
                             text, text, true, true, {{text, text, text, true, true, text, text, text, {text}, ""}, {}},
                             "",   text, text, text};
    e.checks = {{text, core::place::guest, true, core::health::fail, text, {text, "a"}, {"b", text}, 0.5}};
    e.judgements = {full_judged(text)};
    e.command = core::command_end{137, 1ULL << 63U};
    e.packages = full_packages(text);
    e.evidence = {text, ""};
    e.copy = text;
    e.expires = noon;
    return e;
}

/// Every alternative of the event, full and as empty as it can be.
inline std::vector<core::event> all_events(const std::string& text) {
    return {
        core::opened{full_plan(text),
                     4194304,
                     text,
                     {{text, core::place::host, true, core::health::pass, text, {text}, {text}, 0.5}}},
        core::opened{},
        core::started{{core::act::confirm, text}, 2, noon},
        core::started{},
        full_finished(text),
        core::finished{},
        core::finished{.what = {core::act::upgrade, ""}, .packages = core::package_diff{}},
        core::decided{core::verdict::refuse},
        core::decided{},
        core::interrupted{{core::reason::interrupted, text, text, true}},
        core::interrupted{},
        core::warned{text},
        core::warned{},
        core::resumed{4194304, text},
        core::resumed{},
        core::observed{true, core::lock_owner::other, true, true, {core::reason::no_daemon, text, text, true}, true},
        core::observed{},
        core::closed{full_report(text)},
        core::closed{},
        core::output{core::output::stream::err, text},
        core::output{},
        core::checked{{core::act::verify, text}, 7, {full_judged(text)}},
        core::checked{},
        core::soaking{{core::act::verify, text}, 9.5},
        core::soaking{},
    };
}

inline core::record record_of(core::event e, const std::string& text) {
    core::record r;
    r.seq = ~0ULL;
    r.time = noon;
    r.boottime = 12345.678901234;
    r.txn = text;
    r.instance = text;
    r.what = std::move(e);
    return r;
}

/// Texts that are valid UTF-8, however odd.
inline std::vector<std::string> odd_texts() {
    return {
        "plain",
        "",
        std::string("a\0b\0", 4),
        "quote \" backslash \\ slash / brace } comma ,\"sum\":\"00000000\"}",
        "line one\nline two\r\n\ttab \b\f\v\x01\x1f\x7f",
        "\xC3\xA4\xE2\x82\xAC\xF0\x9F\xA7\x97 \xE2\x80\xA8 \xEF\xBF\xBD \xEF\xBB\xBF",
        "null",
        "{}",
        R"([{"a":"[{\\"},{}],"b":[{)",
        R"(}]"}],"[{"\\)",
        "-1e999",
        std::string(100'000, 'x'),
    };
}

} // namespace belay::testing
