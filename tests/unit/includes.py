#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads every #include below src and fails when one goes against the arrows between the rooms.

Usage: includes.py SRC
"""
import pathlib
import re
import sys

ARROWS = {
    "core": set(),
    "ports": {"core"},
    "codec": {"core"},
    "process": {"core"},
    "run": {"core", "ports"},
    "incus": {"core", "ports", "process"},
    "checks": {"core", "ports", "process"},
    "journal": {"core", "ports", "codec"},
    "report": {"core", "ports", "codec"},
    "recipe": {"core", "checks"},
    "cli": None,  # all
}

# Headers of a library that only some rooms may include.
RESERVED = {
    r"boost/(process|asio)": {"process"},
    r"CLI/": {"cli"},
    r"spdlog/": {"cli"},
    r"nlohmann/": {"codec", "incus", "journal", "report", "recipe", "cli"},
}

# core has no I/O and no clock.
IO_HEADERS = re.compile(r"^(unistd\.h|fcntl\.h|sys/.*|fstream|iostream|filesystem|thread|mutex|future|boost/.*|fmt/.*)$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CLOCK = re.compile(r"(system_clock|steady_clock|clock_gettime|std::getenv)")


def complaints(source: pathlib.Path):
    for file in sorted(source.rglob("*.[ch]pp")):
        room = file.relative_to(source).parts[0]
        if room not in ARROWS:
            yield f"{file}: '{room}' is not a room: add it to the map in src/CMakeLists.txt and here"
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if room == "core" and CLOCK.search(line):
                yield f"{file}:{number}: core sees no clock and no environment"
            found = INCLUDE.match(line)
            if not found:
                continue
            kind, header = found.groups()
            target = header.split("/")[0]
            allowed = ARROWS[room]
            if kind == '"' and allowed is not None and target != room and target not in allowed:
                yield f"{file}:{number}: {room} may not use {target}"
            if kind == "<" and room == "core" and IO_HEADERS.match(header):
                yield f"{file}:{number}: core does no I/O, yet includes <{header}>"
            for pattern, rooms in RESERVED.items():
                if re.match(pattern, header) and room not in rooms:
                    yield f"{file}:{number}: only {', '.join(sorted(rooms))} may include <{header}>"


def main() -> int:
    found = list(complaints(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "every include follows the arrows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
