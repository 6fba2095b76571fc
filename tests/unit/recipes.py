#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates every recipe in a folder against the schema, and has belay read it; and compares the keys of the schema with
those of the manual page.

Usage: recipes.py BELAY SOURCE
"""
import json
import os
import pathlib
import re
import subprocess
import sys

import jsonschema


def without_comments(text):
    """The JSON of a recipe. Strings are passed over, so that "http://x" stays whole."""
    return re.sub(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', lambda m: m[0] if m[0][0] == '"' else " ", text, flags=re.DOTALL)


def mistakes_in_recipes(belay, folder, schema):
    validator = jsonschema.Draft202012Validator(schema)
    files = sorted(folder.iterdir())
    if not files:
        yield f"{folder} has no recipes"
    for file in files:
        recipe = json.loads(without_comments(file.read_text()))
        yield from (f"{file.name}: {e.json_path}: {e.message}" for e in validator.iter_errors(recipe))
        yield from (f"{file.name}: has no {key}" for key in ("$schema", "summary") if not recipe.get(key))
        if (file.parent / "../recipe.schema.json").name != pathlib.PurePath(recipe.get("$schema", "")).name:
            yield f"{file.name}: $schema is not that of recipes"
        # From a folder of root as it is installed: root uses no recipe that others may write to.
        done = subprocess.run([belay, "run", "-r", file, "--dry-run"], capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            yield f"{file.name}: belay says: {done.stderr.strip()}"
        elif json.loads(done.stdout).keys() - recipe.keys():
            yield f"{file.name}: belay reads keys that are not there: {json.loads(done.stdout).keys() - recipe.keys()}"
        elif recipe.keys() - json.loads(done.stdout).keys():
            yield f"{file.name}: belay does not read {recipe.keys() - json.loads(done.stdout).keys()}"


def keys_of_page(text):
    """The words in bold in the tags of the section KEYS."""
    section = text.partition(".SH KEYS")[2].partition("\n.SH ")[0]
    tags = re.findall(r"^\.TP\n\.BR? (.*)$", section, re.MULTILINE)
    return {word.strip('",').replace("\\-", "-") for tag in tags for word in tag.split() if word not in ('"', ',', '",')} - {""}


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    belay, source = sys.argv[1], pathlib.Path(sys.argv[2])
    schema = json.loads((source / "src/recipe/recipe.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    os.environ |= {"XDG_CONFIG_HOME": "/nonexistent"}
    found = list(mistakes_in_recipes(belay, source / "examples/recipes", schema))
    page = keys_of_page((source / "man/belay-recipe.5").read_text())
    found += [f"belay-recipe.5 does not have the key {key}" for key in sorted(schema["properties"].keys() - page)]
    found += [f"belay-recipe.5 has a key {key}, which the schema does not know" for key in sorted(page - schema["properties"].keys())]
    print("\n".join(found) if found else "every recipe is one, and the page knows every key")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
