# SPDX-License-Identifier: Apache-2.0
"""Rows: a transaction against what a careful person types, and what it costs."""

import statistics

import costs

import measure
import timings

# $1 is the instance, the rest the command.
SCRIPT = """
set -u
name=$1; shift
incus snapshot create "$name" manual || exit 3
if incus exec "$name" -T -n -- "$@"; then exit 0; fi
incus stop "$name" && incus snapshot restore "$name" manual && incus start "$name"
exit 1
"""
NO_CHECKS = ("--no-checks", "--soak", "0")
CHECKS = ("--soak", "0")
TIMED_RUNS = 5  # of which the one with the median time is shown


def by_belay(stage, name, options, command, code, more=()):
    def go():
        done = measure.program([stage.belay, "run", *options, *more, "--state-dir", stage.state, name, "--", command],
                               stage.output, expect=code)
        stage.clean(name)
        return done
    return go


def by_script(stage, name, command, code):
    def go():
        done = measure.program(["sh", "-c", SCRIPT, "manual", name, command], stage.output, expect=code)
        stage.clean(name)
        return done
    return go


def compare(stage, pairs, name, options, command, code):
    """Seconds of belay and of the script, and where the time of belay goes (milliseconds)."""
    stage.clean(name)
    ways = by_belay(stage, name, options, command, code), by_script(stage, name, command, code)
    seconds = [[done.seconds for done in way] for way in measure.interleaved(pairs, *ways)]
    return *seconds, where_time_goes(by_belay(stage, name, options, command, code, ("--timings",)))


def where_time_goes(go):
    runs = sorted((go() for _ in range(TIMED_RUNS)), key=lambda done: done.seconds)
    done = runs[TIMED_RUNS // 2]
    wall = done.seconds * 1000
    return {"wall": wall} | timings.split(costs.parse(done.output.decode(errors="replace")), wall)


def success(stage, pairs):
    ours, theirs, where = compare(stage, pairs, stage.tiny, NO_CHECKS, "true", 0)
    return [measure.ratio("success", 1.05, ours, theirs)], where


def failure(stage, pairs):
    """Until the instance runs again: with that the script ends, and belay says so and looks at what it has started."""
    name = stage.tiny
    stage.clean(name)

    def ours():
        done = measure.until_line([stage.belay, "run", *NO_CHECKS, "--state-dir", stage.state, name, "--", "false"],
                                  f"{name}: start ok", expect=1)
        stage.clean(name)
        return done

    ways = ours, by_script(stage, name, "false", 1)
    seconds = [[done.seconds for done in way] for way in measure.interleaved(pairs, *ways)]
    where = where_time_goes(by_belay(stage, name, NO_CHECKS, "false", 1, ("--timings",)))
    return [measure.ratio("failure", 0.90, *seconds)], where


def checks_tiny(stage, pairs):
    ours, theirs, where = compare(stage, pairs, stage.tiny, CHECKS, "true", 0)
    return [measure.ratio("checks-tiny", 1.5, ours, theirs)], where


def checks_debian(stage, pairs):
    ours, theirs, where = compare(stage, pairs, stage.debian[0], CHECKS, "true", 0)
    return [measure.added("checks-debian", 0.30, ours, theirs)], where


def counts(stage, pairs):
    """Of a transaction without checks that succeeds."""
    stage.clean(stage.tiny)
    go = by_belay(stage, stage.tiny, NO_CHECKS, "true", 0, ("--timings",))
    [runs] = measure.interleaved(min(pairs, 3), go)
    counted = [costs.count(costs.parse(done.output.decode(errors="replace"))) for done in runs]
    return [measure.Row(f"counts: {kind}s", statistics.median(each[kind] for each in counted), limit, "×")
            for kind, limit in costs.SUCCESS.items()], None


# --- the daemon alone --------------------------------------------------------------------------------------


def operations(stage, pairs):
    """The daemon's own times on the tiny instance, through the REST API: name -> seconds."""
    daemon, name = stage.daemon, stage.tiny
    stage.clean(name)
    path = f"/1.0/instances/{name}"
    state = {"timeout": 60, "force": False}
    program = {"command": ["true"], "wait-for-websocket": False, "record-output": False, "interactive": False}
    steps = {"GET": lambda: daemon.get(path),
             "PATCH": lambda: daemon.ask("PATCH", path, {"config": {"user.bench": "x"}}),
             "snapshot": lambda: daemon.do("POST", f"{path}/snapshots", {"name": "bench"}),
             "exec": lambda: daemon.do("POST", f"{path}/exec", program),
             "stop": lambda: daemon.do("PUT", f"{path}/state", {"action": "stop"} | state),
             "restore": lambda: daemon.do("PUT", path, {"restore": "bench"}),
             "start": lambda: daemon.do("PUT", f"{path}/state", {"action": "start"} | state),
             "delete": lambda: daemon.do("DELETE", f"{path}/snapshots/bench")}
    times = {step: [] for step in steps}
    for _ in range(pairs):
        for step, go in steps.items():
            times[step].append(measure.clocked(go))
        daemon.ask("PATCH", path, {"config": {"user.bench": ""}})
    return {step: statistics.median(seconds) for step, seconds in times.items()}
