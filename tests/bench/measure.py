# SPDX-License-Identifier: Apache-2.0
"""Measures programs, two ways in turn, and says what came of it as rows."""

import dataclasses
import math
import os
import signal
import statistics
import subprocess
import threading
import time


class Failed(Exception):
    """What was to be measured did not do what it should."""


@dataclasses.dataclass
class Finished:
    seconds: float
    output: bytes = b""
    peak_bytes: int = 0


def program(argv, output, expect=0, watch_memory=False, env=None):
    """Runs a program until it ends. Standard output and error go to the file `output`, input is empty. The first bytes of
    the output are given back. watch_memory: also the most memory that it took."""
    argv = [str(word) for word in argv]
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
               (os.POSIX_SPAWN_DUP2, 1, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ | (env or {}), file_actions=actions, setsigdef=[signal.SIGPIPE])
    memory = _Memory(pid) if watch_memory else None
    try:
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    seconds = time.perf_counter() - begin
    with open(output, "rb") as file:
        text = file.read(100_000)
    code = os.waitstatus_to_exitcode(status)
    if code != expect:
        raise Failed(f"{' '.join(argv)}: {code} instead of {expect}\n{text.decode(errors='replace')}")
    return Finished(seconds, text, memory.peak() if memory else 0)


def until_line(argv, words, expect=0):
    """Runs a program until it ends, like program(); the seconds are those until it printed a line with these words."""
    argv, words, text, seconds = [str(word) for word in argv], words.encode(), b"", None
    begin = time.perf_counter()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        for line in run.stdout:
            if seconds is None and words in line:
                seconds = time.perf_counter() - begin
            text += line
    if run.returncode != expect or seconds is None:
        raise Failed(f"{' '.join(argv)}: {run.returncode} instead of {expect}, or no line with {words}\n{text.decode(errors='replace')}")
    return Finished(seconds, text)


class _Memory:
    """The peak of a process, read again and again while it runs. What wait4 says is no less than the size of the process
    that started the program, which is this Python."""

    def __init__(self, pid):
        self._status, self._peak = f"/proc/{pid}/status", 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.02):
            try:
                with open(self._status) as file:
                    found = [int(line.split()[1]) for line in file if line.startswith("VmHWM")]
            except OSError:
                return
            self._peak = max([self._peak, *found])

    def peak(self):
        self._over.set()
        self._thread.join()
        if not self._peak:
            raise Failed("no memory was seen: the program ended too soon")
        return self._peak * 1024


def clocked(go):
    """How many seconds go() takes."""
    begin = time.perf_counter()
    go()
    return time.perf_counter() - begin


def interleaved(pairs, *ways):
    """Calls each way `pairs` times, A B, B A, …, after one time that does not count: what each gave, a list per way."""
    for way in ways:
        way()
    given = [[] for _ in ways]
    for number in range(pairs):
        order = range(len(ways)) if number % 2 == 0 else reversed(range(len(ways)))
        for which in order:
            given[which].append(ways[which]())
    return given


# --- rows --------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Row:
    """One line of the table. ours, theirs: seconds of the runs, where there are any."""

    name: str
    value: float
    limit: float
    unit: str = ""  # of value and limit: s, ms, MB, × for a count, or none for a ratio
    at_least: bool = False  # else: at most
    ours: list = dataclasses.field(default_factory=list)
    theirs: list = dataclasses.field(default_factory=list)

    @property
    def holds(self):
        if math.isnan(self.value):
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def bound(self):
        return f"{'≥' if self.at_least else '≤'} {number(self.limit, self.unit)}"


def ratio(name, limit, ours, theirs):
    """The time of belay divided by that of the other way."""
    return Row(name, statistics.median(ours) / statistics.median(theirs), limit, ours=ours, theirs=theirs)


def added(name, limit, ours, theirs):
    """The time that belay takes longer: the median over the pairs."""
    return Row(name, statistics.median(a - b for a, b in zip(ours, theirs, strict=True)), limit, "s", ours=ours, theirs=theirs)


def number(value, unit=""):
    """As the table shows it."""
    if unit == "×":
        return f"{value:g}"
    return f"{value:.{1 if unit in ('ms', 'MB') else 2}f} {unit}".rstrip()


def time_text(seconds):
    """A time with three digits."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.{1 if seconds < 0.1 else 0}f} ms"
