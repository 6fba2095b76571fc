# SPDX-License-Identifier: Apache-2.0
"""Recipes on real instances: what they say is done, the command line wins, and a mistake touches nothing."""

import json
import pathlib
import tempfile

import live

RECIPE = """// of the test
{
  "$schema": "../recipe.schema.json",
  "summary": "A site of the test",
  "command": "echo from the recipe >/site; echo \\"$WHO\\" >/who",
  "env": {"WHO": "recipe"},
  "checks": ["file-contains /etc/passwd root", "./has-site"],
  "wanted": ["process nothing"],
  "no_check": ["services", "packages"],
  "quiesce": "touch /quiesced",
  "resume": "rm /quiesced",
  "soak": "0", "retry_for": "1s"
}
"""
CHECK = """#!/bin/sh
# belay: summary=There is a site, or never was one
[ -e /site ] || { echo 'no site yet'; exit 77; }
echo "the site says $(cat /site)"
[ "$(cat /site)" != broken ]
"""


class Recipes(live.TestCase):
    def setUp(self):
        home = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="belay-recipes-")))
        self.folder = home / "belay" / "recipes"
        self.folder.mkdir(parents=True)
        self.env = {"XDG_CONFIG_HOME": str(home)}
        self.put("site.json", RECIPE)
        self.put("has-site", CHECK, 0o755)

    def put(self, name, text, mode=0o644):
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(mode)

    def belay(self, *args, **options):
        return live.belay(*args, env=self.env, **options)

    def test_a_recipe_is_a_command_with_its_policy(self):
        name = self.instance()
        with self.subTest("its command, its checks, its hooks"):
            code, report = live.report("run", "-r", "site", name, env=self.env)
            self.assertEqual((code, report["outcome"]), (0, "committed"), report["message"])
            self.assertEqual(live.sh(name, "cat /site /who; ls /"), "from the recipe\nrecipe\n" + live.sh(name, "ls /"))
            self.assertNotIn("quiesced", live.sh(name, "ls /"))
            self.assertEqual([c["name"] for c in report["checks"]],
                             ["listening", "file-contains /etc/passwd root", "has-site", "process nothing"])
            self.assertEqual([(p["name"], p["ok"]) for p in report["phases"] if p["name"] in ("quiesce", "resume")],
                             [("quiesce", True), ("resume", True)])
        with self.subTest("the command line wins, and adds"):
            code, report = live.report("run", "-r", "site", "--env", "WHO=me", "--no-check", "process", "--check", "packages",
                                       "--soak", "1s", name, "--", "sh", "-c", "echo $WHO >/who", env=self.env)
            self.assertEqual(code, 0, report["message"])
            self.assertEqual(live.sh(name, "cat /site /who"), "from the recipe\nme\n")
            self.assertEqual([c["name"] for c in report["checks"]],
                             ["listening", "packages", "file-contains /etc/passwd root", "has-site"])
        with self.subTest("what breaks it is undone, and what was seen before stands beside it"):
            code, report = live.report("run", "-r", "site", name, "--", "sh", "-c", "echo broken >/site", env=self.env)
            self.assertEqual((code, report["reason"]), (1, "check-failed"))
            self.assertIn("check has-site: fails (the site says broken; before: the site says from the recipe)", report["message"])
            self.assertEqual(live.sh(name, "cat /site"), "from the recipe\n")
        with self.subTest("its checks alone"):
            done = self.belay("check", "-r", "site", "--format", "json", name)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual({c["name"]: c["result"] for c in json.loads(done.stdout)["checks"]}["has-site"], "pass")

    def test_the_merged_recipe_is_a_recipe_again(self):
        done = self.belay("run", "-r", "site", "--dry-run", "--soak", "5s", "--env", "TOKEN=s3cret", "--check", "tcp 22")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("s3cret", done.stdout)
        merged = json.loads(done.stdout)
        self.assertEqual((merged["soak"], merged["retry_for"], merged["checks"][-1]), ("5s", "1s", "tcp 22"))
        self.put("again.json", done.stdout)
        self.assertEqual(json.loads(self.belay("run", "-r", "again", "--dry-run").stdout), merged)
        with self.subTest("also of a command line alone, and with the plan of an instance"):
            name = self.instance()
            done = self.belay("run", "--dry-run", "--format", "json", "--keep", "5", name, "--", "true")
            self.assertEqual(json.loads(done.stdout), {"command": ["true"], "keep": 5})
            done = self.belay("run", "--dry-run", "-r", "site", name)
            self.assertIn('"summary": "A site of the test"', done.stdout)
            self.assertIn(f"nothing was changed on {name}", done.stdout)
            self.assertIn("touch /quiesced", done.stdout)
            self.assertNotIn("site", live.sh(name, "ls /"))

    def test_a_mistake_names_file_and_line_and_touches_nothing(self):
        name = self.instance()
        for text, said in {'{\n"sock": "1s"}': "bad.json:2: there is no key 'sock' in recipes, did you mean 'soak'?",
                           '{\n"soak": 5}': "bad.json:2: 'soak' wants a duration",
                           '{"command": ["true"], "checks": ["tpc 5"]}': "there is no check 'tpc', did you mean 'tcp'?",
                           '{"summary": "no command"}': "recipe bad has no command",
                           "{": "bad.json:1: this is no JSON"}.items():
            with self.subTest(text):
                self.put("bad.json", text)
                done = self.belay("run", "-r", "bad", name)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(said, done.stderr)
        self.assertIn("there is no recipe 'siet', did you mean 'site'?", self.belay("run", "-r", "siet", name).stderr)
        self.assertEqual(live.belay("history", name).stdout.count(name), 0)

    def test_those_that_are_installed_are_listed(self):
        listed = {r["name"]: r for r in json.loads(self.belay("recipes", "--format", "json").stdout)}
        self.assertLessEqual({"apk", "apt", "apt-full", "deploy", "dnf", "mariadb", "nginx", "postgresql", "powerdns", "site"},
                             listed.keys())
        self.assertEqual(listed["site"]["summary"], "A site of the test")
        self.assertRegex(self.belay("recipes").stdout, r"(?m)^site +A site of the test +/.*/site.json$")
