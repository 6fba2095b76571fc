# SPDX-License-Identifier: Apache-2.0
"""Rows: much output, and what belay takes when it has little to do."""

import datetime
import itertools
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import zlib

import measure
import transactions

GIBIBYTE = 1 << 30
HISTORY = 1000
MORE_PAIRS = 5  # for programs of milliseconds: so many times as many


# --- throughput --------------------------------------------------------------------------------------------


def throughput(stage, pairs):
    """A gibibyte from a program in the instance to a file: belay with its whole transaction, `incus exec` alone."""
    name = stage.tiny
    command = ("head", "-c", str(GIBIBYTE), "/dev/zero")

    def by_belay():
        os.sync()  # what the run before has written is not this one's to wait for
        done = measure.program([stage.belay, "run", *transactions.NO_CHECKS, "--log-limit", "0", "-q", "--state-dir",
                                stage.state, name, "--", *command], stage.output, watch_memory=True)
        [log] = stage.state.glob("transactions/*/upgrade.log")
        whole(log)
        stage.clean(name)
        return done

    def by_client():
        os.sync()
        file = stage.folder / "gibibyte"
        done = measure.program(["incus", "exec", name, "-T", "-n", "--", *command], file)
        whole(file)
        file.unlink()
        return done

    stage.clean(name)
    runs = measure.interleaved(max(1, pairs // 4), by_belay, by_client)
    ours, theirs = ([done.seconds for done in way] for way in runs)
    peak = max(done.peak_bytes for done in runs[0])
    return [measure.Row("throughput", statistics.median(theirs) / statistics.median(ours), 0.90, at_least=True, ours=ours,
                        theirs=theirs),
            measure.Row("throughput: memory", peak / 1e6, 30, "MB")], None


def whole(file):
    size = os.path.getsize(file)
    if size < GIBIBYTE:
        raise measure.Failed(f"{file} has only {size} bytes")


# --- version -----------------------------------------------------------------------------------------------


def version(stage, pairs):
    """Against a program that does nothing but load the same libraries. The output of both goes nowhere: what a file system
    takes for a line is not belay's time."""
    nothing = link_only(stage.belay, stage.folder)
    if not measure.program([stage.belay, "--version"], stage.output).output.startswith(b"belay "):
        raise measure.Failed("no version")
    path = stage.folder / "asked"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1000)
        listener.setblocking(False)
        env = {"INCUS_SOCKET": str(path)}
        ours, theirs = measure.interleaved(
            pairs * MORE_PAIRS, lambda: measure.program([stage.belay, "--version"], os.devnull, env=env).seconds,
            lambda: measure.program([nothing], os.devnull, env=env).seconds)
        asked = connections(listener)
    return [measure.ratio("version", 1.3, ours, theirs), measure.Row("version: daemon asked", asked, 0, "×")], None


def connections(listener):
    """How many have been made to the socket, without waiting."""
    for number in itertools.count():
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return number


def link_only(belay, folder):
    """A program that is linked with the libraries of belay, and ends at once."""
    source, made = folder / "nothing.cpp", folder / "nothing"
    source.write_text("int main() {}\n")
    libraries = libraries_of(belay)
    subprocess.run(["g++", "-O2", source, "-o", made, "-Wl,--no-as-needed", *libraries.values()], check=True)
    if missing := libraries.keys() - libraries_of(made).keys():
        raise measure.Failed(f"the program that only links lacks {missing}")
    return made


def libraries_of(program):
    """The libraries that a program names itself: name -> path."""
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", _printed("readelf", "-d", program))
    paths = dict(re.findall(r"(\S+) => (/\S+)", _printed("ldd", program)))
    return {name: paths[name] for name in needed if name in paths}  # the loader has no path


def _printed(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# --- history -----------------------------------------------------------------------------------------------


def history(stage, pairs):
    """One transaction that was kept and one that was rolled back, over and over."""
    name, many = stage.tiny, stage.folder / "many"
    stage.clean(name)
    for command, code in (("true", 0), ("false", 1)):
        measure.program([stage.belay, "run", *transactions.NO_CHECKS, "--state-dir", many, name, "--", command],
                        stage.output, expect=code)
    first = sorted((many / "transactions").iterdir())
    for number in range(HISTORY - len(first)):
        copy(first[number % len(first)], number)

    def go():
        done = measure.program([stage.belay, "history", "--state-dir", many], stage.output)
        shown = len(re.findall(rb"\d{8}t\d{6}z-[0-9a-f]{4}", stage.output.read_bytes()))
        if shown != HISTORY:
            raise measure.Failed(f"history shows {shown} of {HISTORY} transactions")
        return done.seconds

    [seconds] = measure.interleaved(pairs * MORE_PAIRS, go)
    stage.clean(name)
    return [measure.Row("history", statistics.median(seconds) * 1000, 50, "ms", ours=seconds)], None


def copy(transaction: pathlib.Path, number):
    """The same transaction once more, so many minutes earlier: the order of the IDs is that of the times, as in real ones."""
    old = transaction.name
    begun = datetime.datetime.strptime(old[:16], "%Y%m%dt%H%M%Sz")
    earlier = begun - datetime.timedelta(minutes=number + 1)
    new = f"{earlier:%Y%m%dt%H%M%Sz}-{number:04x}"
    minute = "%Y-%m-%dT%H:%M"
    shutil.copytree(transaction, transaction.parent / new)
    journal = transaction.parent / new / "journal.jsonl"
    text = journal.read_bytes().replace(old.encode(), new.encode())
    journal.write_bytes(sealed(text.replace(format(begun, minute).encode(), format(earlier, minute).encode())))


def sealed(journal):
    """The journal with the checksums that its lines now have."""
    lines, before = [], b"00000000"
    for line in journal.splitlines():
        content = line[:line.rindex(b',"sum":"')]
        before = b"%08x" % zlib.crc32(before + content)
        lines.append(content + b',"sum":"' + before + b'"}\n')
    return b"".join(lines)
