#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs belay into throw-away folders, and fails when a systemd unit does not fit the place where it is installed.

Usage: units.py CMAKE BUILD

BUILD is a build tree that is completely built. systemd-analyze must have no complaint about the units; without it the
rest is checked, and the exit status is 77 (skipped).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
UNITS = "lib/systemd/system"
TIMERS = ("belay-recover.timer", "belay@.timer")
SERVICES = {"belay-recover.service": ["recover", "-q"], "belay@.service": ["run", "-q", "-r", "%i", "%i"]}


def install(cmake, build, prefix, where, destdir=None):
    environment = {name: value for name, value in os.environ.items() if name != "DESTDIR"}
    if destdir:
        environment["DESTDIR"] = str(destdir)
    done = subprocess.run([cmake, "--install", build, "--prefix", prefix], cwd=where, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    if done.returncode != 0:
        raise SystemExit(f"cmake --install ended with {done.returncode}:\n{done.stdout}")


def command_of(service):
    """The words of its ExecStart=, as systemd reads what cmake/units.cmake has written."""
    lines = [line for line in service.read_text().splitlines() if line.startswith("ExecStart=")]
    words = lines[0].removeprefix("ExecStart=").split(" ") if len(lines) == 1 else lines
    return [unescaped(word) for word in words]


def unescaped(word):
    return word if word == "%i" else word.replace("%%", "%").replace("\\x20", " ").replace("\\\\", "\\")


def differences(folder, program):
    missing = [name for name in (*SERVICES, *TIMERS) if not (folder / name).is_file()]
    yield from (f"{name} is not in {folder}" for name in missing)
    for name in SERVICES.keys() - missing:
        wanted, found = [str(program), *SERVICES[name]], command_of(folder / name)
        if found != wanted:
            yield f"{folder / name} starts {found} instead of {wanted}"
        if re.search("@[A-Z_]+@", (folder / name).read_text()):
            yield f"{folder / name} has a word that was not replaced"


def complaints_of_systemd(folder):
    """Of these units alone: what else is on this machine neither counts nor helps."""
    environment = os.environ | {"SYSTEMD_UNIT_PATH": str(folder)}
    for name in (*SERVICES, *TIMERS):
        unit = folder / name.replace("@.", "@my-web.")  # a template is verified as one of its units
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit],
                              env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        if done.returncode != 0 or done.stdout:
            yield f"systemd-analyze verify {unit.name} ended with {done.returncode}: {done.stdout.strip()}"


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    cmake, build = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    can_verify = shutil.which("systemd-analyze") is not None
    found = []
    # In the build tree, because /tmp may be small or noexec.
    with tempfile.TemporaryDirectory(prefix="units.", dir=build) as name:
        top = pathlib.Path(name).resolve()

        # As README installs it; and relative, with characters that systemd would take for something else.
        for prefix in (str(top / "plain"), "its 100%h"):
            install(cmake, build, prefix, top)
            folder = top / prefix / UNITS
            found += differences(folder, top / prefix / "bin/belay")
            found += complaints_of_systemd(folder) if can_verify else []

        # The program of a package will be below the prefix, wherever its files are collected.
        install(cmake, build, "/usr", top, destdir=top / "collected")
        found += differences(top / "collected/usr" / UNITS, "/usr/bin/belay")

    if found:
        print("\n".join(found))
        return 1
    if not can_verify:
        print("SKIPPED: systemd-analyze is not installed (Debian: package systemd), so nothing has verified the units")
        return SKIPPED
    print("the units fit where they are installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
