#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the manual page with what the program prints as --help, and fails when one knows what the other does not.

Usage: manual.py BELAY MANPAGE

The page's headings "Options of belay", "Options of every command" and "Options of run and check" say to which commands
the options below them belong; its section COMMANDS has a tag "belay NAME" for each command. The formatter must have no
complaint about any page beside it, if there is one, and belay-checks.7 there has a heading for each check of belay's own.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

OPTION = re.compile(r"--?[A-Za-z][\w-]*")


def help_of(belay, *command):
    done = subprocess.run([belay, *command, "--help"], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def options_in(text):
    """The options of a help text, each with its default or None."""
    found = {}
    for line in text.splitlines():
        words = re.match(r"  (-\S+)(?: (\S+))?", line)
        if words:
            default = re.search(r"=([^=\s]+)$", words[2] or "")
            # "NAME=VALUE" is what the user writes; a default follows a type of its own.
            value = default[1] if default and default[1] != "VALUE" else None
            found |= {name: value for name in words[1].split(",")}
    return found


def commands_in(text):
    _, _, rest = text.partition("Subcommands:\n")
    return re.findall(r"^  (\S+)", rest.partition("\n\n")[0], re.MULTILINE)


def plain(line):
    """A line of the page without macros, fonts and escapes, near enough to find words in it."""
    line = re.sub(r'^\.(?:[BI]|[BIR]{2}|S[HS]) ', "", line)
    line = re.sub(r"\\f.", "", line).replace("\\-", "-").replace("\\~", " ").replace("\\ ", " ")
    return re.sub(r'"', "", line).replace(" , ", ", ")


class Page:
    def __init__(self, text):
        self.commands = []
        self.options = {}  # heading -> option -> the text of its entry
        self.mentioned = set()  # every option in bold, wherever it is
        heading, entry, tag = "", [], False
        for line in text.splitlines():
            if line.startswith('.\\"'):
                continue
            if line.startswith((".B", ".BR")):
                self.mentioned |= {word for word in re.findall(r"(?<![\w-])--[a-z][\w-]*", plain(line))}
            if line.startswith((".SH ", ".SS ")):
                heading, entry = plain(line), []
            elif line.startswith((".TP", ".TQ")):
                tag, entry = True, entry if line == ".TQ" else []
            elif tag:
                tag = False
                text_of_tag = plain(line)
                if heading == "COMMANDS" and text_of_tag.startswith("belay "):
                    self.commands.append(text_of_tag.split()[1])
                for name in OPTION.findall(text_of_tag) if text_of_tag.startswith("-") else []:
                    self.options.setdefault(heading, {})[name] = entry
            else:
                entry.append(plain(line))

    def of_command(self, command, every_command):
        """Option -> entry, of all headings that are about the command."""
        found = {}
        for heading, options in self.options.items():
            about = re.fullmatch(r"Options of (.*)", heading)
            if about and (about[1] == "every command" and every_command or command in about[1].split(" and ")):
                found |= options
        return found


def differences(belay, page):
    top = help_of(belay)
    commands = commands_in(top)
    if not commands:
        yield f"{belay} --help names no commands"
    for name in set(commands) - set(page.commands):
        yield f"command {name} is missing in the page"
    for name in set(page.commands) - set(commands):
        yield f"command {name} is in the page, and belay does not know it"
    known = set()
    for command in ["belay", *commands]:
        every = command != "belay"
        printed = options_in(help_of(belay, command) if every else top)
        documented = page.of_command(command, every)
        known |= set(printed)
        for name in sorted(set(printed) - set(documented)):
            yield f"{command}: {name} is missing in the page"
        for name in sorted(set(documented) - set(printed)):
            yield f"{command}: {name} is in the page, and --help does not know it"
        for name in sorted(set(documented) & set(printed)):
            text = " ".join(documented[name])
            value = printed[name]
            if value and not re.search(rf"(?i)default\b.*(?<![\w.]){re.escape(value)}(?![\w])", text):
                yield f"{command}: the page does not say that the default of {name} is {value}"
    foreign = {"--configure"}  # of other programs
    for name in sorted(page.mentioned - known - foreign):
        yield f"the page mentions {name}, which no --help knows"


def complaints_of_formatter(file):
    ways = [["groff", "-man", "-ww", "-z", "-Tutf8", file], ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", file]]
    for way in ways:
        if shutil.which(way[0]):
            done = subprocess.run(way, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60)
            if done.returncode != 0 or done.stderr:
                yield f"{way[0]} ended with {done.returncode}: {done.stderr.strip()}"


def checks_without_heading(belay, page):
    """Those that `belay checks` lists, without those of this user and this host."""
    done = subprocess.run([belay, "checks", "--format", "json"], capture_output=True, text=True, timeout=30, check=True,
                          env=os.environ | {"XDG_CONFIG_HOME": "/nonexistent"})
    shipped = [check["name"] for check in json.loads(done.stdout) if "/share/belay/checks/" in check.get("file", "")]
    headings = {plain(line.removeprefix(".SS ")) for line in page.read_text().splitlines() if line.startswith(".SS ")}
    if not shipped:
        yield "belay checks lists none of its own"
    yield from (f"{page.name} has no heading {name}" for name in shipped if name not in headings)


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    belay, file = sys.argv[1:]
    text = pathlib.Path(file).read_text()
    page = Page(text)
    found = list(differences(belay, page))
    version = subprocess.run([belay, "--version"], capture_output=True, text=True, timeout=30).stdout.strip()
    if f'"{version}"' not in text:
        found.append(f"the page is not about {version}")
    for beside in sorted(pathlib.Path(file).parent.iterdir()):
        found += complaints_of_formatter(beside)
    found += checks_without_heading(belay, pathlib.Path(file).parent / "belay-checks.7")
    print("\n".join(found) if found else f"the page knows what {version} knows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
