// SPDX-License-Identifier: Apache-2.0
// The keys of every JSON object that belay writes, in their order. One list serves writer and reader.
//
// Rules: words for enumerations, RFC 3339 for times, `seconds` as a number for what was measured, `…_ms` as a whole
// number for what was asked for (exact, and no reader needs to know units). A new key of an existing object is `maybe`,
// so that what an older belay wrote can still be read; a key is never renamed.
#pragma once
#include "codec/fields.hpp"
#include "core/decision.hpp"
#include "core/event.hpp"
#include "core/text.hpp"

namespace belay::codec {

/// T or const T: a shape is walked over by both directions.
template <class Given, class T>
concept like = std::same_as<std::remove_const_t<Given>, T>;

void fields(auto& f, like<core::error> auto& x) {
    f.key("code", x.code);
    f.key("message", x.message);
    f.key("cause", x.cause);
    f.maybe("transient", x.transient);
}

void fields(auto& f, like<core::check_spec> auto& x) {
    f.key("name", x.name);
    f.key("file", x.file);
    f.key("args", x.args);
    f.key("where", x.where);
    f.key("required", x.required);
    f.key("timeout_ms", x.timeout);
}

void fields(auto& f, like<core::command_spec> auto& x) {
    f.key("argv", x.argv);
    f.key("env_names", x.env_names);
    f.maybe("user", x.user);
    f.maybe("group", x.group);
    f.maybe("cwd", x.cwd);
    f.key("interactive", x.interactive);
}

void fields(auto& f, like<core::limits> auto& x) {
    f.key("upgrade_ms", x.upgrade);
    f.key("retry_for_ms", x.retry_for);
    f.key("soak_ms", x.soak);
    f.key("stop_ms", x.stop);
    f.key("daemon_wait_ms", x.daemon_wait);
    f.key("rollback_retry_ms", x.rollback_retry);
    f.key("operation_ms", x.operation);
    f.maybe("confirm_ms", x.confirm);
    f.later("evidence_ms", x.evidence);
    f.later("restart_ms", x.restart);
    f.later("hook_ms", x.hook);
    f.later("busy_ms", x.busy);
}

void fields(auto& f, like<core::notice> auto& x) {
    f.key("event", x.event);
    f.key("command", x.command);
}

void fields(auto& f, like<core::plan> auto& x) {
    f.key("instance", x.instance);
    f.key("project", x.project);
    f.key("command", x.command);
    f.key("checks", x.checks);
    f.key("expect_lost", x.expect_lost);
    f.key("uncovered", x.uncovered);
    f.key("accept_unhealthy", x.accept_unhealthy);
    f.key("limits", x.limit);
    f.key("restart", x.restart);
    f.maybe("snapshot_mode", x.mode);
    f.maybe("volumes", x.volumes);
    f.maybe("pre", x.pre);
    f.maybe("quiesce", x.quiesce);
    f.maybe("resume", x.resume);
    f.maybe("notices", x.notices);
    f.maybe("collectors", x.collectors);
    f.maybe("min_free", x.min_free);
    f.maybe("keep_for_ms", x.keep_for);
    f.maybe("keep", x.keep);
    f.key("targets", x.targets);
    f.key("pauses", x.pauses);
    f.key("guards_schedule", x.guards_schedule);
    f.key("confirms", x.confirms);
    f.key("saves_evidence", x.saves_evidence);
    f.maybe("keeps_failed", x.keeps_failed);
    f.maybe("lists_packages", x.lists_packages);
    f.maybe("drops_unchanged", x.drops_unchanged);
    f.key("retains", x.retains);
    f.key("undoes_kept", x.undoes_kept);
    f.maybe("undoes", x.undoes);
    f.maybe("restores", x.restores);
    f.maybe("takes_present", x.takes_present);
    f.maybe("takes_over", x.takes_over);
    f.maybe("discards", x.discards);
}

void fields(auto& f, like<core::disk> auto& x) {
    f.key("device", x.device);
    f.key("path", x.path);
    f.key("source", x.source);
    f.key("covered", x.covered);
    f.key("read_only", x.read_only);
    f.maybe("pool", x.pool);
    f.maybe("volume", x.volume);
    f.maybe("driver", x.driver);
    f.maybe("users", x.users);
    f.maybe("schedule", x.schedule);
}

void fields(auto& f, like<core::instance_facts> auto& x) {
    f.key("uuid", x.uuid);
    f.maybe("generation", x.generation);
    f.key("server", x.server);
    f.key("type", x.type);
    f.key("pool", x.pool);
    f.key("driver", x.driver);
    f.key("last_used_at", x.last_used_at);
    f.key("running", x.running);
    f.key("ephemeral", x.ephemeral);
    f.key("disks", x.disks);
    f.maybe("schedule", x.schedule);
    f.maybe("effective_schedule", x.effective_schedule);
    f.maybe("location", x.location);
    f.maybe("description", x.description);
}

void fields(auto& f, like<core::package_upgrade> auto& x) {
    f.key("name", x.name);
    f.key("from", x.from);
    f.key("to", x.to);
}

void fields(auto& f, like<core::package_version> auto& x) {
    f.key("name", x.name);
    f.key("version", x.version);
}

void fields(auto& f, like<core::package_diff> auto& x) {
    f.key("upgraded", x.upgraded);
    f.key("added", x.added);
    f.key("removed", x.removed);
}

void fields(auto& f, like<core::command_end> auto& x) {
    f.key("exit_code", x.exit_code);
    f.key("output_bytes", x.output_bytes);
}

void fields(auto& f, like<core::reading> auto& x) {
    f.key("name", x.name);
    f.key("where", x.where);
    f.key("required", x.required);
    f.key("result", x.how);
    f.key("summary", x.summary);
    f.key("good", x.good);
    f.key("bad", x.bad);
    f.key("seconds", x.seconds);
}

void fields(auto& f, like<core::judged> auto& x) {
    f.key("name", x.name);
    f.key("where", x.where);
    f.key("required", x.required);
    f.key("baseline", x.baseline);
    f.key("final", x.final);
    f.key("summary", x.summary);
    f.key("new_bad", x.new_bad);
    f.key("lost_good", x.lost_good);
    f.key("acceptable", x.acceptable);
    f.maybe("baseline_summary", x.baseline_summary);
}

void fields(auto& f, like<core::phase> auto& x) {
    f.key("name", x.name);
    f.key("target", x.target);
    f.key("started", x.started);
    f.key("seconds", x.seconds);
    f.key("ok", x.ok);
    f.key("message", x.message);
}

void fields(auto& f, like<core::report> auto& x) {
    f.key("transaction", x.transaction);
    f.key("instance", x.instance);
    f.key("project", x.project);
    f.key("command", x.command);
    f.key("outcome", x.how);
    f.key("reason", x.why);
    f.key("message", x.message);
    f.key("exit_code", x.exit_code);
    f.key("command_exit", x.command_exit);
    f.or_null("snapshot", x.snapshot);
    f.maybe("snapshot_expires", x.snapshot_expires);
    f.key("started", x.started);
    f.key("seconds", x.seconds);
    f.key("phases", x.phases);
    f.key("checks", x.checks);
    f.key("packages", x.packages);
    f.key("evidence", x.evidence);
    f.maybe("failed_copy", x.failed_copy);
    f.key("downtime_seconds", x.downtime_seconds);
    f.or_null("log", x.log);
    f.key("warnings", x.warnings);
    f.key("manual", x.manual);
    f.maybe("undoes", x.undoes);
}

void fields(auto& f, like<core::decision> auto& x) {
    f.key("verdict", x.what);
    f.maybe("error", x.why);
}

// Events. The target of an act is in the envelope.

void fields(auto& f, like<core::opened> auto& x) {
    f.key("plan", x.how);
    f.key("pid", x.pid);
    f.key("boot_id", x.boot_id);
    f.maybe("baseline", x.baseline);
}

void fields(auto& f, like<core::started> auto& x) {
    f.key("act", x.what.what);
    f.key("attempt", x.attempt);
    f.maybe("until", x.until);
}

void fields(auto& f, like<core::finished> auto& x) {
    f.key("act", x.what.what);
    f.key("attempt", x.attempt);
    f.key("result", x.how);
    f.maybe("error", x.why);
    f.key("seconds", x.seconds);
    f.maybe("facts", x.facts);
    f.maybe("checks", x.checks);
    f.maybe("judgements", x.judgements);
    f.maybe("command", x.command);
    f.maybe("down_seconds", x.down_seconds);
    f.maybe("packages", x.packages);
    f.maybe("evidence", x.evidence);
    f.maybe("copy", x.copy);
    f.maybe("expires", x.expires);
    f.maybe("removed", x.removed);
}

void fields(auto& f, like<core::decided> auto& x) {
    f.key("verdict", x.what);
}

void fields(auto& f, like<core::interrupted> auto& x) {
    f.key("error", x.why);
}

void fields(auto& f, like<core::warned> auto& x) {
    f.key("message", x.message);
}

void fields(auto& f, like<core::resumed> auto& x) {
    f.key("pid", x.pid);
    f.key("boot_id", x.boot_id);
}

void fields(auto& f, like<core::observed> auto& x) {
    f.key("settled", x.settled);
    f.maybe("lock", x.lock);
    f.maybe("restored", x.restored);
    f.maybe("volumes", x.volumes);
    f.maybe("by_hand", x.by_hand);
    f.maybe("error", x.why);
}

void fields(auto& f, like<core::closed> auto& x) {
    f.key("report", x.summary);
}

void fields(auto& f, like<core::checked> auto& x) {
    f.key("act", x.what.what);
    f.key("attempt", x.attempt);
    f.key("judgements", x.judgements);
}

void fields(auto& f, like<core::soaking> auto& x) {
    f.key("act", x.what.what);
    f.key("seconds_left", x.seconds_left);
}

/// Reads a document that is one object; `what` names it in the error.
template <class T>
core::expected<T> whole_object(std::string_view text, const std::string& what) {
    const auto object = json::parse(text, nullptr, false);
    if (!object.is_object()) {
        return core::failure(core::reason::io_error, "no " + what + ": not a JSON object");
    }
    T value;
    std::string problem;
    reader fields_of(object, {}, problem);
    fields(fields_of, value);
    if (!problem.empty()) {
        return core::failure(core::reason::io_error, "a " + what + " that is not whole: " + core::printable(problem));
    }
    return value;
}

} // namespace belay::codec
