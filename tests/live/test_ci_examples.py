# SPDX-License-Identifier: Apache-2.0
"""The examples of examples/ci: their form, and what their scripts do with real instances, run as the runners do it."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

import live

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "examples"
GITHUB, GITLAB = EXAMPLES / "ci" / "github-actions.yml", EXAMPLES / "ci" / "gitlab-ci.yml"
DEPLOY = "#!/bin/sh\necho deploying $1\necho $1 >/etc/version\n"


def loaded(file):
    import yaml

    return yaml.safe_load(file.read_text())


def nothing(_process):
    pass


class Runner:
    """What both systems do: scripts with bash in a folder, and files that are kept."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.output, self.code = pathlib.Path(folder), environment, "", 0

    def start(self, *words):
        return subprocess.Popen(words, cwd=self.folder, env=self.environment, text=True, errors="replace",
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)

    def script(self, number, text, *shell, meanwhile=nothing):
        file = self.folder.parent / f"script-{number}.sh"
        file.write_text(text)
        process = self.start(*shell, str(file))
        try:
            meanwhile(process)
            output, _ = process.communicate(timeout=120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.output += output
        if not self.code:
            self.code = process.returncode

    def kept(self, path):
        folder = self.folder / path
        return {str(file.relative_to(folder)): file.read_text(errors="replace") for file in folder.iterdir()}


def github(environment, folder, version, instances, meanwhile):
    job = loaded(GITHUB)["jobs"]["deploy"]
    summary = pathlib.Path(folder).parent / "summary"
    runner = Runner(folder, environment | job["env"] | {"INSTANCES": instances, "VERSION": version,
                                                        "GITHUB_STEP_SUMMARY": str(summary)})
    for number, step in enumerate(job["steps"]):
        if "run" in step and (not runner.code or step.get("if") == "always()"):
            runner.script(number, step["run"], "bash", "-e", meanwhile=meanwhile)
            meanwhile = nothing
    runner.summary = summary.read_text() if summary.exists() else ""
    [keep] = [step["with"]["path"] for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    return runner, runner.kept(keep)


def gitlab(environment, folder, version, instances, meanwhile):
    job = loaded(GITLAB)["deploy"]
    runner = Runner(folder, environment | job["variables"] | {"INSTANCES": instances, "VERSION": version})
    for number, part in enumerate(("script", "after_script")):
        runner.script(number, "set -eo pipefail\n" + "\n".join(job[part]), "bash", meanwhile=meanwhile)
        meanwhile = nothing
    runner.summary = runner.output
    [keep] = job["artifacts"]["paths"]
    return runner, runner.kept(keep)


SYSTEMS = {"github": github, "gitlab": gitlab}


class Form(unittest.TestCase):
    def test_github_finds_what_it_requires(self):
        workflow = loaded(GITHUB)
        workflow["on"] = workflow.pop(True)  # "on" is a truth value in YAML 1.1
        self.assertEqual(workflow.keys(), {"name", "on", "permissions", "concurrency", "jobs"})
        self.assertLessEqual(workflow["on"].keys(), {"push", "workflow_dispatch"})
        self.assertIs(workflow["concurrency"]["cancel-in-progress"], False)
        [job] = workflow["jobs"].values()
        self.assertLessEqual(job.keys(), {"runs-on", "environment", "timeout-minutes", "env", "steps"})
        self.assertIn("self-hosted", job["runs-on"])
        for step in job["steps"]:
            self.assertLessEqual(step.keys(), {"name", "if", "run", "uses", "with"})
            self.assertEqual(len(step.keys() & {"run", "uses"}), 1, step)
            self.assertNotIn("${{", step.get("run", ""), "a value would be shell text")
            self.assertRegex(step.get("uses", "a/b@v1"), r"^[\w-]+/[\w-]+@v\d+$")
        self.assertEqual([step["if"] for step in job["steps"][1:]], ["always()"] * 2)

    def test_gitlab_finds_what_it_requires(self):
        pipeline = loaded(GITLAB)
        [(name, job)] = pipeline.items()
        self.assertEqual(name, "deploy")
        self.assertLessEqual(job.keys(), {"stage", "tags", "rules", "environment", "resource_group", "interruptible", "timeout",
                                          "variables", "script", "after_script", "artifacts"})
        self.assertIn(job["stage"], ("build", "test", "deploy"))  # those that are there without `stages`
        for part in ("script", "after_script"):
            self.assertTrue(job[part] and all(isinstance(line, str) for line in job[part]), job[part])
        self.assertTrue(all(isinstance(value, str) for value in job["variables"].values()))
        self.assertEqual(job["artifacts"]["when"], "always")

    def test_every_exit_code_has_its_meaning(self):
        for file in (GITHUB, GITLAB):
            for code in "01234*":
                self.assertRegex(file.read_text(), rf"(?m)^ +{re.escape(code)}\) meaning='")


class Deployment(live.TestCase):
    def setUp(self):
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ci.")))
        (self.top / "bin").mkdir()
        (self.top / "bin" / "belay").symlink_to(os.environ["BELAY"])
        # The same recipe in less time.
        recipes = self.top / "config" / "belay" / "recipes"
        recipes.mkdir(parents=True)
        text = (EXAMPLES / "recipes" / "deploy.json").read_text()
        for key, value in (("soak", "0"), ("retry_for", "1s")):
            text, count = re.subn(rf'"{key}": "[^"]*"', f'"{key}": "{value}"', text)
            self.assertEqual(count, 1)
        (recipes / "deploy.json").write_text(text)

    def deployable(self, deploy=DEPLOY):
        name = self.instance()
        live.sh(name, "mkdir -p /opt/app; echo old >/etc/version")
        program = live.rootfs(name) / "opt/app/deploy"
        program.write_text(deploy)
        program.chmod(0o755)
        return name

    def run_job(self, system, *instances, version="v2", meanwhile=nothing):
        environment = os.environ | {"PATH": f"{self.top / 'bin'}:{os.environ['PATH']}", "BELAY_STATE_DIR": live.state_dir(),
                                    "XDG_CONFIG_HOME": str(self.top / "config")}
        folder = self.top / f"work {system}"
        folder.mkdir(exist_ok=True)
        return SYSTEMS[system](environment, folder, version, " ".join(instances), meanwhile)

    def version(self, name):
        return live.sh(name, "cat /etc/version").strip()

    def test_the_recipe_as_it_is(self):
        name = self.deployable()
        recipe = EXAMPLES / "recipes" / "deploy.json"
        done = live.belay("run", "--dry-run", "-r", str(recipe), name, "--", "true")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("snapshot kept 3d, at most 3\n", done.stdout)
        done = live.belay("run", "-r", str(recipe), name)
        self.assertEqual(done.returncode, 2, "the command comes from the command line")

    def test_a_deployment_that_succeeds(self):
        for system in SYSTEMS:
            with self.subTest(system=system):
                names = [self.deployable() for _ in range(2)]
                job, kept = self.run_job(system, *names, version="v 2 $(id)")
                self.assertEqual(job.code, 0, job.output)
                self.assertEqual([self.version(name) for name in names], ["v 2 $(id)"] * 2)
                self.assertEqual([r["outcome"] for r in json.loads(kept["report.json"])], ["committed"] * 2)
                for name in names:
                    self.assertEqual(kept[f"{name}.log"], "deploying v 2 $(id)\n")
                    self.assertRegex(job.summary, rf"(?m)^ *{name}: committed \(ok\)")
                self.assertNotIn("::error", job.output)

    def test_a_deployment_that_fails_is_undone_and_fails_the_job(self):
        for system in SYSTEMS:
            with self.subTest(system=system):
                name = self.deployable(DEPLOY + "echo '::error::from inside'; exit 3\n")
                job, kept = self.run_job(system, name)
                self.assertEqual(job.code, 1, job.output)
                self.assertEqual(self.version(name), "old")
                self.assertEqual(json.loads(kept["report.json"])["reason"], "command-failed")
                self.assertIn("from inside", kept[f"{name}.log"])
                self.assertIn(f"{name}: rolled-back (command-failed) the command exited with 3\n", job.summary)
                self.assertIn("exit code 1, undone: the instance runs in its old state, as healthy as before\n", job.output)
                if system == "github":
                    shown = re.search(r"(?ms)^::stop-commands::(.+?)$(.*)^::\1::$", job.output)
                    self.assertIn("from inside", shown[2])
                    self.assertEqual(re.findall("(?m)^::error.*::", job.output.replace(shown[0], "")),
                                     [f"::error title={name}::"])

    def test_after_a_failure_the_other_instances_are_left_alone(self):
        for system in SYSTEMS:
            with self.subTest(system=system):
                good, bad, rest = self.deployable(), self.deployable("#!/bin/sh\necho half >/etc/version\nexit 1"), self.deployable()
                job, kept = self.run_job(system, good, bad, rest)
                self.assertEqual(job.code, 1, job.output)
                self.assertEqual([self.version(name) for name in (good, bad, rest)], ["v2", "old", "old"])
                self.assertEqual([r["outcome"] for r in json.loads(kept["report.json"])], ["committed", "rolled-back"])
                self.assertEqual(kept.keys(), {"report.json", "values", f"{good}.log", f"{bad}.log"})

    def test_a_refusal_and_a_wrong_call(self):
        for system in SYSTEMS:
            with self.subTest(system=system):
                name = self.deployable()
                live.incus("stop", "--force", name)
                job, kept = self.run_job(system, name)
                self.assertEqual(job.code, 3, job.output)
                self.assertIn("exit code 3, refused: the command was not started\n", job.output)
                self.assertEqual(json.loads(kept["report.json"])["reason"], "not-running")
                job, kept = self.run_job(system, "--no-such-option", name)
                self.assertEqual(job.code, 2, job.output)
                self.assertIn("no report: belay was called wrongly", job.output)
                self.assertEqual(kept["report.json"], "")  # nothing of the job before

    def test_a_message_with_quotation_marks_is_readable(self):
        for system in SYSTEMS:
            with self.subTest(system=system):
                job, _ = self.run_job(system, "nope")
                self.assertIn('"nope"', job.summary)

    def test_a_job_that_is_cancelled_is_undone(self):
        # GitHub interrupts the shell that it has started, GitLab terminates its process group.
        ways = {"github": lambda pid: os.kill(pid, signal.SIGINT), "gitlab": lambda pid: os.killpg(pid, signal.SIGTERM)}
        for system in SYSTEMS:
            with self.subTest(system=system):
                name = self.deployable("#!/bin/sh\necho half >/etc/version\nsleep 1000\n")

                def cancel(process):
                    version = live.rootfs(name) / "etc/version"
                    live.wait_until(lambda: process.poll() is not None or version.read_text() == "half\n", 30, "the deployment has begun")
                    ways[system](process.pid)

                job, kept = self.run_job(system, name, meanwhile=cancel)
                self.assertEqual(job.code, 1 if system == "github" else -signal.SIGTERM, job.output)
                self.assertEqual(self.version(name), "old")
                self.assertEqual(json.loads(kept["report.json"])["reason"], "interrupted")
