# SPDX-License-Identifier: Apache-2.0
"""Row: how long a service is away in a rollback, as a client outside sees it."""

import socket

import live
import software

import measure
import transactions


def answers(address):
    """One question to the web server, with 20 ms to answer."""
    try:
        with socket.create_connection((address, 80), timeout=0.02) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def away(stage, undo):
    """Seconds from the last good answer before to the first one after, while undo() is done."""
    name, address = stage.debian
    stage.clean(name)
    live.wait_until(lambda: answers(address), 30, "the web server answers")
    live.wait_until(lambda: live.systemd_is_up(name), 60, "systemd is running")
    with software.Client(lambda: answers(address), every_seconds=0.01) as client:
        undo()
        live.wait_until(lambda: answers(address), 30, "the web server answers again")
    stage.clean(name)
    if not client.outages:
        raise measure.Failed("the client saw no outage")
    return max(seconds for _, seconds in client.outages)


def by_belay(stage):
    name, _ = stage.debian
    measure.program([stage.belay, "run", *transactions.NO_CHECKS, "--state-dir", stage.state, name, "--", "false"],
                    stage.output, expect=1)


def by_daemon(stage):
    """Stop, restore and start, one after another, by the REST API."""
    daemon, path = stage.daemon, f"/1.0/instances/{stage.debian[0]}"
    daemon.do("POST", f"{path}/snapshots", {"name": "manual"})
    daemon.do("PUT", f"{path}/state", {"action": "stop", "timeout": 60, "force": False})
    daemon.do("PUT", path, {"restore": "manual"})
    daemon.do("PUT", f"{path}/state", {"action": "start", "timeout": 60})


def downtime(stage, pairs):
    ours, theirs = measure.interleaved(pairs, lambda: away(stage, lambda: by_belay(stage)),
                                       lambda: away(stage, lambda: by_daemon(stage)))
    return [measure.ratio("downtime", 1.10, ours, theirs)], None
