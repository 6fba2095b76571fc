# SPDX-License-Identifier: Apache-2.0
"""Hooks of the host: what runs before, around and after a transaction, and what cannot change its outcome."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import live

QUICK = ("--no-checks", "--soak", "0", "--retry-for", "0", "--stop-timeout", "0")
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Case(live.TestCase):
    def setUp(self):
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hooks.")))
        self.seen = self.top / "seen"
        self.seen.mkdir()
        self.env = {"XDG_CONFIG_HOME": str(self.top / "config")}

    def hook(self, event, name, body="", description="where=host timeout=20s summary=A hook", mode=0o755, top=None):
        folder = (top or self.top / "config" / "belay") / "hooks.d" / event
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / name
        file.write_text(f"#!/bin/sh\n# belay: {description}\n{body}\n" if description else f"#!/bin/sh\n{body}\n")
        file.chmod(mode)
        return file

    def witness(self, event, name="witness", body="", **options):
        """A hook that keeps what it was given."""
        self.hook(event, name, f"cat >{self.seen}/{event}.{name}.json; env | grep ^BELAY_ >{self.seen}/{event}.{name}.env\n"
                               f"echo {event}/{name} >>{self.seen}/order\n{body}", **options)

    def given(self, event, name="witness"):
        document = json.loads((self.seen / f"{event}.{name}.json").read_text())
        live.schema().validate(document)
        lines = (self.seen / f"{event}.{name}.env").read_text().splitlines()
        return document, dict(line.split("=", 1) for line in lines)

    def order(self):
        file = self.seen / "order"
        return file.read_text().split() if file.exists() else []

    def run_belay(self, name, *options, script="echo new >/etc/state", **more):
        done = live.belay("run", "--format", "json", *QUICK, *options, name, "--", "sh", "-c", script, env=self.env, **more)
        return done, json.loads(done.stdout)

    def prepared(self, **options):
        name = self.instance(**options)
        live.sh(name, "echo old >/etc/state")
        return name

    def content(self, name):
        return live.sh(name, "cat /etc/state").strip()


class Outcomes(Case):
    EVENTS = ("committed", "rolled-back", "refused", "stuck")

    def setUp(self):
        super().setUp()
        for event in self.EVENTS:
            self.witness(event)

    def assert_told(self, event, report):
        self.assertEqual(self.order(), [f"{event}/witness"])
        document, environment = self.given(event)
        self.assertEqual(document, report)
        wanted = {"BELAY_TXN": report["transaction"], "BELAY_INSTANCE": report["instance"],
                  "BELAY_PROJECT": report["project"], "BELAY_PHASE": event, "BELAY_ATTEMPT": "1"}
        self.assertEqual({key: environment.get(key) for key in wanted}, wanted)

    def test_a_kept_upgrade(self):
        name = self.prepared()
        done, report = self.run_belay(name)
        self.assertEqual((done.returncode, report["outcome"]), (0, "committed"), report)
        self.assert_told("committed", report)
        self.assertEqual(self.given("committed")[1]["BELAY_SNAPSHOT"], report["snapshot"])

    def test_an_upgrade_that_changed_nothing_is_a_kept_one(self):
        name = self.prepared()
        live.sh(name, "mkdir -p /lib/apk/db; printf 'C:Q1x\\nP:musl\\nV:1\\n\\n' >/lib/apk/db/installed")
        done, report = self.run_belay(name, "--drop-if-unchanged", script="true")
        self.assertEqual((done.returncode, report["outcome"]), (0, "unchanged"), report)
        self.assert_told("committed", report)

    def test_an_upgrade_that_was_undone(self):
        name = self.prepared()
        done, report = self.run_belay(name, script="echo 'a \"quote\"' >&2; exit 7")
        self.assertEqual((done.returncode, report["outcome"]), (1, "rolled-back"), report)
        self.assert_told("rolled-back", report)
        self.assertEqual(self.content(name), "old")

    def test_one_that_is_undone_and_not_as_healthy_as_before(self):
        name = self.prepared()
        once = self.top / "once"
        check = self.hook("../checks", "once", f"[ ! -e {once} ] && touch {once}")
        done, report = self.run_belay(name, "--check", str(check))
        self.assertEqual((done.returncode, report["outcome"]), (4, "rolled-back-unhealthy"), report)
        self.assert_told("rolled-back", report)

    def test_a_refused_one(self):
        done, report = self.run_belay("no-such-instance")
        self.assertEqual((done.returncode, report["outcome"]), (3, "refused"), report)
        self.assert_told("refused", report)

    def test_one_that_got_stuck_and_is_ended_by_a_recovery(self):
        name = self.prepared()
        leftover = live.rootfs(name).parent.resolve().parent / f"{name}.incustmp"
        self.addCleanup(live.run, "btrfs", "subvolume", "delete", leftover)
        self.hook("quiesce", "in-the-way", f"btrfs subvolume create {leftover}")
        done, report = self.run_belay(name, script="exit 3", timeout=300)
        self.assertEqual((done.returncode, report["outcome"]), (5, "stuck"), report)
        self.assert_told("stuck", report)
        self.assertEqual(live.belay("recover", env=self.env, timeout=300).returncode, 5)
        self.assertEqual(self.order(), ["stuck/witness"], "it is tried again every minute, and told once")
        live.run("btrfs", "subvolume", "delete", leftover, check=True)
        (self.seen / "order").unlink()
        done = live.belay("recover", env=self.env)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.order(), ["rolled-back/witness"])
        self.assertEqual(self.given("rolled-back")[0]["transaction"], report["transaction"])

    def test_each_of_several_instances(self):
        names = [self.prepared() for _ in range(2)]
        done = live.belay("run", "--format", "json", *QUICK, *names, "--", "sh", "-c", f"hostname | grep -q {names[0]}",
                          env=self.env)
        self.assertEqual(self.order(), ["committed/witness", "rolled-back/witness"], done)
        for event, report in zip(self.order(), json.loads(done.stdout), strict=True):
            self.assertEqual(self.given(event.split("/")[0])[0], report)

    def test_an_interrupted_one_is_told_by_its_recovery(self):
        name = self.prepared()
        run = subprocess.Popen([os.environ["BELAY"], "run", *QUICK, name, "--", "sh", "-c", "echo new >/etc/state; sleep 1000"],
                               env=os.environ | self.env | {"BELAY_STATE_DIR": live.state_dir()}, stdout=subprocess.DEVNULL)
        live.wait_until(lambda: self.content(name) == "new", 20, "the upgrade runs")
        run.kill()
        run.wait()
        self.assertEqual(self.order(), [])
        done = live.belay("recover", env=self.env)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.order(), ["rolled-back/witness"])
        self.assertEqual(self.given("rolled-back")[0]["instance"], name)
        self.assertEqual(live.belay("recover", env=self.env).returncode, 0)
        self.assertEqual(self.order(), ["rolled-back/witness"], "once is enough")

    def test_an_undo_of_a_kept_upgrade(self):
        name = self.prepared()
        self.run_belay(name)
        (self.seen / "order").unlink()
        done = live.belay("rollback", "--yes", name, env=self.env)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.order(), ["rolled-back/witness"])
        self.assertEqual(self.given("rolled-back")[0]["undoes"][:8], time.strftime("%Y%m%d", time.gmtime()))

    def test_a_dry_run_tells_nobody(self):
        name = self.prepared()
        self.witness("pre")
        live.belay("run", "--dry-run", *QUICK, name, "--", "true", env=self.env)
        self.assertEqual(self.order(), [])


class Notifications(Case):
    def test_they_run_in_the_order_of_their_names(self):
        for name in ("20-b", "10-c", "30-a"):
            self.witness("committed", name)
        self.run_belay(self.prepared())
        self.assertEqual(self.order(), ["committed/10-c", "committed/20-b", "committed/30-a"])

    def test_the_transaction_has_ended_when_they_run(self):
        name = self.prepared()
        self.hook("rolled-back", "look", f"{os.environ['BELAY']} show --format json $BELAY_TXN >{self.seen}/shown\n"
                                         f"incus config get {name} user.belay.transaction >{self.seen}/lock")
        done, report = self.run_belay(name, script="exit 1")
        self.assertEqual(json.loads((self.seen / "shown").read_text())["outcome"], "rolled-back", done.stderr)
        self.assertEqual((self.seen / "lock").read_text().strip(), "")

    def test_nothing_that_they_do_changes_the_outcome(self):
        limit = "where=host timeout=1s summary=A bad one"
        many = "i=0; while [ $i -lt 3000 ]; do echo good: unit that-is-lost-and-makes-the-report-long-$i; i=$((i+1)); done"
        for event, code, script in ("committed", 0, "true"), ("rolled-back", 1, "touch /etc/lose"):
            shutil.rmtree(self.top / "config", ignore_errors=True)
            self.witness(event, "00-first")
            self.hook(event, "10-fails", "echo because >&2; exit 9")
            self.hook(event, "20-hangs", "trap '' TERM INT; while :; do sleep 1; done", limit)
            self.hook(event, "21-leaves-a-child", "sleep 1000 & exec sleep 1000", limit)
            self.hook(event, "30-floods", "exec yes", limit)
            self.hook(event, "31-floods-errors", "exec yes >&2", limit)
            self.hook(event, "40-reads-nothing", "exec <&-")
            self.hook(event, "50-is-killed", "kill -9 $$")
            self.hook(event, "60-kills-its-group", "kill -9 0")
            self.hook(event, "70-is-no-program", mode=0o644)
            self.hook(event, "80-has-no-interpreter").write_text("#!/no/such\n")
            self.hook(event, "81-is-wrongly-described", description="when=now")
            self.hook(event, "82-others-may-write", f"touch {self.seen}/run", mode=0o777)
            self.hook(event, "90-prints-controls", "printf '\\033[31mred\\n'; exit 1")
            self.witness(event, "99-last")
            with self.subTest(event=event):
                name = self.prepared()
                begin = time.monotonic()
                done, report = self.run_belay(name, "--check-cmd", f"[ -e /etc/lose ] || {{ {many}; }}", script=script)
                self.assertLess(time.monotonic() - begin, 40)
                self.assertEqual((done.returncode, report["outcome"]), (code, event), done.stderr)
                self.assertEqual(live.status(name), "RUNNING")
                if event == "rolled-back":
                    self.assertGreater(len(json.dumps(report)), 100_000, "more than fits into a pipe that nobody reads")
                for witness in "00-first", "99-last":
                    self.assertEqual(self.given(event, witness)[0], report)
                self.assertFalse((self.seen / "run").exists(), "what others may write is not run as root")
                for bad in ("10-fails", "20-hangs", "21-leaves", "30-floods", "31-floods", "50-is-killed", "60-kills",
                            "70-is-no", "80-has-no", "81-is", "82-others", "90-prints"):
                    self.assertIn(bad, done.stderr)
                self.assertNotIn("\x1b", done.stderr)
                self.assertEqual(self.children(), [], "nothing goes on")

    def children(self):
        """Processes that a hook has left: they have our folder in their environment."""
        left = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if int(folder.name) != os.getpid() and str(self.top).encode() in (folder / "environ").read_bytes():
                    left.append((folder / "cmdline").read_bytes())
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
        return left

    def test_the_command_of_a_recipe_comes_last_and_matters_as_little(self):
        recipe = self.top / "recipe.json"
        recipe.write_text(json.dumps({"command": ["true"], "committed": f"echo recipe >>{self.seen}/order; "
                                                                       f"cat >{self.seen}/recipe.json; exit 1"}))
        self.witness("committed")
        name = self.prepared()
        done = live.belay("run", "--format", "json", *QUICK, "-r", str(recipe), name, env=self.env)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.order(), ["committed/witness", "recipe"])
        self.assertEqual(json.loads((self.seen / "recipe.json").read_text()), json.loads(done.stdout))

    def test_an_empty_file_or_a_link_to_nothing_switches_an_installed_one_off(self):
        for folder in "bin", "share/belay":
            (self.top / folder).mkdir(parents=True)
        program = shutil.copy(os.environ["BELAY"], self.top / "bin" / "belay")
        for name in "empty", "null", "other", "stays":
            self.witness("committed", name, top=self.top / "share" / "belay")
        self.hook("committed", "empty").write_text("")
        self.hook("committed", "null").unlink()
        (self.top / "config/belay/hooks.d/committed/null").symlink_to("/dev/null")
        self.hook("committed", "other", f"echo mine >>{self.seen}/order")
        done = live.run(program, "run", *QUICK, self.prepared(), "--", "true",
                        env=self.env | {"BELAY_STATE_DIR": live.state_dir()})
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.order(), ["mine", "committed/stays"])

    def test_the_mail_that_is_installed_works_as_a_link(self):
        self.hook("../bin", "sendmail", f"cat >{self.seen}/mail")
        self.hook("rolled-back", "mail").unlink()
        (self.top / "config/belay/hooks.d/rolled-back/mail").symlink_to(ROOT / "hooks" / "events" / "mail")
        settings = self.top / "notify.conf"
        settings.write_text("MAIL_TO=root\n")
        self.env |= {"BELAY_NOTIFY_CONF": str(settings), "PATH": f"{self.top}/config/belay/bin:{os.environ['PATH']}"}
        name = self.prepared()
        done, _ = self.run_belay(name, script="exit 7")
        mail = (self.seen / "mail").read_text()
        self.assertIn(f"\nSubject: belay: {name} rolled-back (command-failed)\n", mail)
        self.assertIn("\nthe command exited with 7\n", mail)
        self.assertNotIn("a hook of", done.stderr)


class Before(Case):
    def test_a_hook_that_fails_refuses_and_nothing_is_touched(self):
        name = self.prepared()
        for where in "host", "guest":
            with self.subTest(where=where):
                self.witness("refused")
                self.hook("pre", "10-fine", f"echo pre/10-fine >>{self.seen}/order")
                self.hook("pre", "20-no", "echo 'not on a Friday'; exit 1", f"where={where} timeout=20s summary=No")
                self.hook("pre", "30-not-reached", f"echo pre/30 >>{self.seen}/order")
                before = live.tree(name, exclude=["/run", "/tmp", "/dev", "/proc", "/sys"])
                done, report = self.run_belay(name)
                self.assertEqual((done.returncode, report["outcome"], report["reason"]), (3, "refused", "hook-failed"), report)
                self.assertIn("20-no", report["message"])
                self.assertIn("not on a Friday", report["message"])
                self.assertEqual(self.order(), ["pre/10-fine", "refused/witness"])
                self.assertNotIn("snapshot", [phase["name"] for phase in report["phases"]])
                self.assertEqual(live.incus("snapshot", "list", name, "-f", "csv").stdout, "")
                self.assertEqual(live.incus("config", "get", name, "user.belay.transaction").stdout.strip(), "")
                self.assert_same_tree(before, live.tree(name, exclude=["/run", "/tmp", "/dev", "/proc", "/sys"]))
                (self.seen / "order").unlink()

    def test_one_that_hangs_refuses_too(self):
        self.hook("pre", "hangs", "sleep 1000", "where=host timeout=1s summary=Hangs")
        begin = time.monotonic()
        done, report = self.run_belay(self.prepared())
        self.assertEqual((done.returncode, report["outcome"]), (3, "refused"), report)
        self.assertIn("did not end within 1s", report["message"])
        self.assertLess(time.monotonic() - begin, 15)

    def test_one_that_cannot_be_used_is_not_passed_over(self):
        name = self.prepared()
        self.hook("pre", "writable", mode=0o777)
        done = live.belay("run", *QUICK, name, "--", "sh", "-c", "echo new >/etc/state", env=self.env)
        self.assertIn(done.returncode, (2, 3), done)
        self.assertIn("writable", done.stdout + done.stderr)
        self.assertEqual(self.content(name), "old")

    def test_it_runs_on_the_host_unless_it_says_guest(self):
        name = self.prepared()
        self.hook("pre", "host", f"uname -n >{self.seen}/host", description=None)
        self.hook("pre", "guest", "hostname >/tmp/guest; cat >/tmp/input", "where=guest timeout=20s summary=Inside")
        done, report = self.run_belay(name)
        self.assertEqual(done.returncode, 0, report)
        self.assertEqual((self.seen / "host").read_text().strip(), os.uname().nodename)
        self.assertEqual(live.sh(name, "cat /tmp/guest").strip(), name)

    def test_quiesce_and_resume_surround_the_snapshot(self):
        name = self.prepared()
        looks = f'echo "$BELAY_PHASE:$(incus snapshot list {name} -f csv | wc -l)" >>{self.seen}/order'
        for event in "quiesce", "resume":
            self.hook(event, "look", looks)
        done, report = self.run_belay(name, "--quiesce", "echo quiesce >>/etc/order", "--resume", "echo resume >>/etc/order")
        self.assertEqual(done.returncode, 0, report)
        self.assertEqual(self.order(), ["quiesce:0", "resume:1"])
        self.assertEqual(live.sh(name, "cat /etc/order"), "quiesce\nresume\n")

    def test_a_quiesce_that_fails_is_resumed_and_refused(self):
        name = self.prepared()
        self.hook("quiesce", "fails", "exit 1")
        self.hook("resume", "look", f"echo resumed >>{self.seen}/order")
        self.witness("refused")
        done, report = self.run_belay(name)
        self.assertEqual((done.returncode, report["outcome"]), (3, "refused"), report)
        self.assertEqual(self.order(), ["resumed", "refused/witness"])
        self.assertEqual(self.content(name), "old")


class Signals(Case):
    def begin(self, name, *options):
        run = subprocess.Popen([os.environ["BELAY"], "run", "--format", "json", *QUICK, *options, name, "--", "sh", "-c",
                                "echo new >/etc/state"], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=os.environ | self.env | {"BELAY_STATE_DIR": live.state_dir()})
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        self.addCleanup(run.stdout.close)
        return run

    def ended(self, run):
        report = json.loads(run.communicate(timeout=60)[0])
        return run.returncode, report["outcome"], report["reason"]

    def seen_file(self, name):
        live.wait_until((self.seen / name).exists, 20, f"{name} is there")

    def test_a_signal_after_the_end_does_not_cut_a_notification(self):
        name = self.prepared()
        self.hook("committed", "slow", f"touch {self.seen}/begun; sleep 2; touch {self.seen}/done")
        run = self.begin(name)
        self.seen_file("begun")
        run.terminate()
        self.assertEqual(self.ended(run), (0, "committed", "ok"))
        self.assertTrue((self.seen / "done").exists())

    def test_a_signal_ends_a_hook_before_the_snapshot_and_refuses(self):
        for event in "pre", "quiesce":
            with self.subTest(event=event):
                name = self.prepared()
                self.witness("refused")
                self.hook(event, "slow", f"touch {self.seen}/{event}; sleep 1000", "where=host timeout=100s summary=Slow")
                self.hook("resume", "look", f"echo resumed >>{self.seen}/order")
                run = self.begin(name)
                self.seen_file(event)
                run.terminate()
                self.assertEqual(self.ended(run), (3, "refused", "interrupted"))
                self.assertEqual(self.order(), ["refused/witness"] if event == "pre" else ["resumed", "refused/witness"])
                self.assertEqual(self.content(name), "old")
                (self.seen / "order").unlink()
                (self.top / "config/belay/hooks.d" / event / "slow").unlink()

    def test_a_confirmation_is_told_once_whoever_ends_it(self):
        for killed in False, True:
            with self.subTest(killed=killed):
                name = self.prepared()
                self.witness("committed")
                run = self.begin(name, "--confirm", "5m")
                live.wait_until(lambda: "confirm_until" in live.belay("show", "--format", "json", name).stdout, 20,
                                "a confirmation is waited for")
                if killed:
                    run.kill()
                    run.wait()
                self.assertEqual(self.order(), [])
                done = live.belay("confirm", name, env=self.env)
                self.assertEqual(done.returncode, 0, done)
                if not killed:
                    self.assertEqual(self.ended(run)[:2], (0, "committed"))
                live.belay("recover", env=self.env)
                self.assertEqual(self.order(), ["committed/witness"])
                (self.seen / "order").unlink()
