# SPDX-License-Identifier: Apache-2.0
"""belay rollback of a kept upgrade on a real Incus: the old state, or a refusal that touches nothing."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import live
from test_run import Web

QUICK = ("--soak", "0", "--retry-for", "5s", "--stop-timeout", "0")


class Rollback(Web):
    def setUp(self):
        self.state = self.enterContext(tempfile.TemporaryDirectory(prefix="belay-state-"))
        self.env = {"BELAY_STATE_DIR": self.state}
        self.name = self.web("btrfs")

    def belay(self, *args):
        return live.belay(*args, env=self.env)

    def upgrade(self, version=2, *options):
        """A kept upgrade: its transaction."""
        code, report = live.report("run", *QUICK, *options, self.name, "--", "sh", "-c",
                                   f"echo 'version {version}' >/var/www/index.html", env=self.env)
        self.assertEqual(code, 0, report["message"])
        return report["transaction"]

    def rollback(self, *args):
        return live.report("rollback", "--yes", *args, env=self.env)

    def states(self):
        code, reports = live.report("history", self.name, env=self.env)
        self.assertEqual(code, 0)
        return {r["transaction"]: r.get("state") or r["outcome"] for r in reports}

    def assert_back(self, version=1):
        self.wait_for_web(self.name)
        self.assertEqual(self.page(self.name), f"version {version}\n")
        self.assertEqual(self.lock(self.name), "")
        self.assertEqual(live.settings(self.name)["description"], live.DESCRIPTION)

    def assert_refused(self, code, *args):
        """The undo ends with the code, and nothing was done: its standard error."""
        before = live.settings(self.name)
        page, snapshots, journals = self.page(self.name), self.snapshots(self.name), self.journals()
        done = self.belay("rollback", *args)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(self.page(self.name), page)
        self.assertEqual(self.snapshots(self.name), snapshots)
        self.assertEqual(self.journals(), journals)
        self.assertEqual(live.settings(self.name), before)
        return done.stderr

    def journals(self):
        return sorted(path.name for path in pathlib.Path(self.state, "transactions").iterdir())


class Kept(Rollback):
    def test_the_newest_upgrade_is_undone(self):
        txn = self.upgrade()
        code, report = self.rollback(self.name)
        self.assertEqual((code, report["exit_code"], report["outcome"]), (0, 0, "rolled-back"), report["message"])
        self.assertEqual((report["undoes"], report["snapshot"]), (txn, f"belay-{report['transaction']}"))
        self.assert_back()
        self.assertIn(report["snapshot"], self.snapshots(self.name))
        self.assertEqual(self.states(), {txn: "superseded", report["transaction"]: "rolled-back"})
        self.assertIn("taken back", self.assert_refused(3, txn, "--yes"))
        # The snapshot of the present is the way back.
        live.incus("snapshot", "restore", self.name, report["snapshot"])
        self.wait_for_web(self.name)
        self.assertEqual(self.page(self.name), "version 2\n")

    def test_an_older_one_goes_only_with_the_newer_ones(self):
        older, newer = self.upgrade(2), self.upgrade(3)
        self.assertIn(newer, self.assert_refused(3, older, "--yes"))
        code, report = self.rollback(older, "--discard-newer")
        self.assertEqual(code, 0, report["message"])
        self.assert_back()
        self.assertEqual(self.states(), {older: "superseded", newer: "superseded", report["transaction"]: "rolled-back"})
        for txn in older, newer:
            self.assert_refused(3, txn, "--yes", "--discard-newer")

    def test_one_after_another_is_undone(self):
        self.upgrade(2)
        self.upgrade(3)
        self.assertEqual(self.rollback(self.name)[0], 0)
        self.assert_back(2)
        self.assertEqual(self.rollback(self.name)[0], 0)
        self.assert_back(1)

    def test_configuration_and_devices_go_back_and_are_named(self):
        self.upgrade()
        live.incus("config", "set", self.name, "user.colour", "blue")
        live.incus("config", "device", "add", self.name, "extra", "none")
        done = self.belay("rollback", self.name, "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "config user.colour: blue")
        self.assertRegex(done.stderr, "device extra")
        self.assert_back()
        self.assertEqual(live.incus("config", "get", self.name, "user.colour").stdout.strip(), "")
        self.assertNotIn("extra", live.incus("config", "device", "list", self.name).stdout)

    def test_a_stopped_instance_is_undone_too(self):
        self.upgrade()
        live.incus("stop", "--force", self.name)
        self.assertEqual(self.rollback(self.name)[0], 0)
        self.assert_back()


class Refused(Rollback):
    def test_without_a_terminal_and_yes(self):
        self.upgrade()
        self.assertIn("--yes", self.assert_refused(2, self.name))

    def test_an_upgrade_that_was_not_kept(self):
        code, report = live.report("run", *QUICK, self.name, "--", "false", env=self.env)
        self.assertEqual(code, 1, report["message"])
        self.wait_for_web(self.name)
        self.assert_refused(3, report["transaction"], "--yes")

    def test_a_snapshot_that_was_deleted(self):
        txn = self.upgrade()
        live.incus("snapshot", "delete", self.name, f"belay-{txn}")
        self.assertIn(f"belay-{txn}", self.assert_refused(3, self.name, "--yes"))

    def test_a_directory_that_the_snapshot_needs_is_gone(self):
        with tempfile.TemporaryDirectory(prefix="belay-share-") as folder:
            live.incus("config", "device", "add", self.name, "share", "disk", f"source={folder}", "path=/srv", "readonly=true")
            self.upgrade()
            live.incus("config", "device", "remove", self.name, "share")
        self.assertIn(folder, self.assert_refused(3, self.name, "--yes"))

    def test_a_volume_that_the_snapshot_needs_is_gone(self):
        volume = f"{self.name}-data"
        live.incus("storage", "volume", "create", "btrfs", volume)
        live.incus("config", "device", "add", self.name, "data", "disk", "pool=btrfs", f"source={volume}", "path=/srv")
        self.upgrade(2, "--uncovered", "/srv")
        live.incus("config", "device", "remove", self.name, "data")
        live.incus("storage", "volume", "delete", "btrfs", volume)
        self.assertIn(volume, self.assert_refused(3, self.name, "--yes"))


class Killed(Rollback):
    def without_journal(self):
        """The transaction of an upgrade whose belay was killed and whose journal is gone."""
        run = subprocess.Popen([os.environ["BELAY"], "run", *QUICK, self.name, "--", "sh", "-c",
                                "echo 'version 2' >/var/www/index.html; touch /begun; sleep 60"],
                               env=os.environ | self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        live.wait_until(lambda: (live.rootfs(self.name) / "begun").exists(), 20, "the upgrade has begun")
        run.kill()
        run.wait(10)
        txn, = self.journals()
        shutil.rmtree(pathlib.Path(self.state, "transactions", txn))
        return txn

    def test_an_upgrade_whose_journal_is_gone_is_undone_from_its_snapshot(self):
        txn = self.without_journal()
        self.assertTrue(self.lock(self.name).startswith(txn))
        self.assert_refused(2, self.name, "--snapshot", f"belay-{txn}")
        code, report = self.rollback(self.name, "--snapshot", f"belay-{txn}")
        self.assertEqual((code, report["outcome"], report["undoes"]), (0, "rolled-back", txn), report["message"])
        self.assert_back()
        self.assertFalse((live.rootfs(self.name) / "begun").exists())

    def test_without_journal_and_key_nothing_is_undone(self):
        txn = self.without_journal()
        live.incus("config", "unset", self.name, "user.belay.transaction")
        self.assert_refused(3, self.name, "--snapshot", f"belay-{txn}", "--yes")

    def number_of_end(self, txn, act):
        """The number in the journal of the event that an act is done."""
        with open(pathlib.Path(self.state, "transactions", txn, "journal.jsonl")) as journal:
            events = [json.loads(line) for line in journal]
        return next(e["seq"] for e in events if (e["type"], e.get("act")) == ("finished", act))

    def killed_undo(self, act):
        """An undo that was killed right after an act, whose number in the journal an undo before it tells."""
        self.upgrade()
        number = self.number_of_end(self.rollback(self.name)[1]["transaction"], act)
        self.wait_for_web(self.name)
        self.upgrade()
        before = self.journals()
        undo = subprocess.Popen([os.environ["BELAY"], "rollback", self.name, "--yes"],
                                env=os.environ | self.env | {"BELAY_TEST_HALT_AFTER": str(number)},
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _, status = os.waitpid(undo.pid, os.WUNTRACED)
            self.assertTrue(os.WIFSTOPPED(status), status)
        finally:
            undo.kill()
            undo.wait(10)
        txn, = set(self.journals()) - set(before)
        self.number_of_end(txn, act)
        return txn

    def test_an_undo_that_was_killed_after_its_restore_is_ended(self):
        txn = self.killed_undo("restore")
        self.assertEqual(live.status(self.name), "STOPPED")
        code, reports = live.report("recover", env=self.env)
        self.assertEqual((code, [(r["transaction"], r["outcome"]) for r in reports]), (0, [(txn, "rolled-back")]), reports)
        self.assertEqual(live.status(self.name), "RUNNING")
        self.assert_back()

    def test_an_undo_that_was_killed_before_its_decision_leaves_the_upgrade(self):
        txn = self.killed_undo("snapshot")
        self.assertEqual(live.belay("recover", env=self.env).returncode, 0)
        self.assert_back(2)
        self.assertEqual(self.states()[txn], "refused")
        self.assertEqual(list(self.states().values()).count("committed"), 1)
