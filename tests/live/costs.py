# SPDX-License-Identifier: Apache-2.0
"""What a transaction costs: the lines of --timings, and how many of each kind there may be."""

import collections
import re

# At most, on an instance with one disk on btrfs and without a list of packages, in a state directory that is there already;
# one request less where the host has pools of one driver only, as in the benchmark.
# Lower them when belay does with less.
SUCCESS = {"request": 15, "exec": 1, "sync": 8}   # run --no-checks --soak 0, the command succeeds; one less without older ones
FAILURE = {"request": 25, "exec": 3, "sync": 12}  # the same, the command fails and is undone

_LINE = re.compile(r"^(request|exec|sync) +([0-9.]+) ms at +([0-9.]+) ms  (.*)$", re.MULTILINE)

# Milliseconds; begin is counted from the start of belay's clock.
Timing = collections.namedtuple("Timing", "kind begin end what")


def parse(text):
    """The timings among the lines that belay printed."""
    return [Timing(kind, float(at), float(at) + float(took), what) for kind, took, at, what in _LINE.findall(text)]


def count(timings):
    """How many there are of each kind."""
    counted = collections.Counter(timing.kind for timing in timings)
    return {kind: counted[kind] for kind in ("request", "exec", "sync")}


def excess(timings, at_most):
    """The kinds of which there are too many: kind -> number."""
    return {kind: number for kind, number in count(timings).items() if number > at_most[kind]}
