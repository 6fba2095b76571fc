# SPDX-License-Identifier: Apache-2.0
"""Bad input: a clear sentence that names the thing, the right exit code, and nothing touched."""

import json
import os
import pathlib
import subprocess
import tempfile

import live
from test_run import QUICK, WEB, Web


class Refused(Web):
    def refused(self, reason, *args, env=None):
        code, report = live.report("run", *args, env=env)
        self.assertEqual((code, report["outcome"], report["reason"]), (3, "refused", reason), report["message"])
        self.assertTrue(report["message"])
        return report

    def usage(self, *args, says, env=None):
        done = live.belay(*args, env=env)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn(says, done.stderr)

    def test_an_unknown_instance(self):
        self.assertIn("nosuch", self.refused("not-found", "nosuch", "--", "true")["message"])

    def test_an_unknown_project(self):
        self.assertIn("nosuch", self.refused("not-found", "--project", "nosuch", "web1", "--", "true")["message"])

    def test_a_stopped_instance_stays_stopped(self):
        name = self.instance(start=False)
        self.assertIn(f"incus start {name}", self.refused("not-running", name, "--", "true")["message"])
        self.assertEqual(live.status(name), "STOPPED")
        self.assertEqual(self.snapshots(name), [])

    def test_a_frozen_instance_stays_frozen(self):
        name = self.instance()
        live.incus("pause", name)
        self.refused("not-running", name, "--", "true")
        self.assertEqual(live.status(name), "FROZEN")

    def test_an_ephemeral_instance_still_exists_afterwards(self):
        name = f"e{os.getpid()}"
        live.incus("launch", "tiny", name, "--ephemeral", "--storage", "btrfs")
        self.addCleanup(live.delete, name)
        self.refused("ephemeral", name, "--", "false")
        self.assertEqual(live.status(name), "RUNNING")
        self.assertEqual(self.snapshots(name), [])

    def test_names_that_cannot_be(self):
        for name in "a/b", "..", "../x", "a\nb", "a\x1b[2J", "-", "123", "x" * 64, "prod:web1", "":
            with self.subTest(name=name):
                done = live.belay("run", name, "--", "true")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertNotIn("\x1b", done.stderr)

    def test_no_daemon(self):
        with tempfile.TemporaryDirectory() as empty:
            self.assertIn("unix.socket", self.refused("no-daemon", "web1", "--", "true", env={"INCUS_DIR": empty})["message"])
            self.assertIn("nosuch.socket", self.refused("no-daemon", "web1", "--", "true",
                                                        env={"INCUS_SOCKET": f"{empty}/nosuch.socket"})["message"])

    def test_no_permission_on_the_socket(self):
        name = self.instance()
        with tempfile.TemporaryDirectory() as state:
            os.chown(state, 65534, 65534)
            done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                                   os.environ["BELAY"], "run", name, "--", "true"],
                                  env=os.environ | {"BELAY_STATE_DIR": f"{state}/belay", "HOME": state},
                                  capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("incus-admin", done.stdout)
        self.assertEqual(self.snapshots(name), [])

    def test_checks_that_cannot_be(self):
        self.usage("run", "--check", "nosuch", "web1", "--", "true", says="nosuch")
        self.usage("run", "--check", "listenin", "web1", "--", "true", says="did you mean 'listening'")
        self.usage("run", "--no-check", "nosuch", "web1", "--", "true", says="listening, services, packages")
        with tempfile.TemporaryDirectory() as folder:
            check = pathlib.Path(folder, "mine")
            check.write_text("#!/bin/sh\n")
            self.usage("run", "--check", str(check), "web1", "--", "true", says="chmod +x")
            check.chmod(0o777)
            self.usage("run", "--check", str(check), "web1", "--", "true", says="others than root may write")

    def test_commands_that_cannot_be(self):
        self.usage("run", "web1", says="no command")
        self.usage("run", "web1", "--", says="no command")
        self.usage("run", "web1", "--", "", says="empty")
        self.usage("run", "--", "true", says="instance")
        self.usage("run", "-i", "web1", "--", "true", says="terminal")
        self.usage("run", "--soak", "10", "web1", "--", "true", says="'10' is not a duration")
        self.usage("run", "--nosuch", "web1", "--", "true", says="--nosuch")
        self.usage("show", "never-seen", says="never-seen")

    def test_checks_that_misbehave_at_the_baseline(self):
        name = self.web("btrfs")
        with tempfile.TemporaryDirectory() as folder:
            def check(text):
                path = pathlib.Path(folder, "mine")
                path.write_text("#!/bin/sh\n# belay: timeout=2s\n" + text)
                path.chmod(0o755)
                return str(path)

            for text, says in (("sleep 1000", "did not end within 2s"),
                               ("dd if=/dev/zero bs=1M count=1024", "printed more than 1024 KiB"),
                               ("printf '\\377\\376\\033[2J\\n'; exit 1", "\ufffd"),
                               ("exit 9", "exit status 9")):
                with self.subTest(text=text):
                    report = self.refused("baseline-bad", *QUICK, "--check", check(text), name, "--", "touch", "/begun")
                    self.assertIn(says, report["message"])
                    self.assertNotIn("\x1b", str(report))
            self.assertFalse((live.rootfs(name) / "begun").exists())
            self.assertNotIn("sleep 1000", live.sh(name, "ps"))
        self.assert_clean(name)

    def test_a_baseline_that_fails_can_be_accepted(self):
        name = self.web("btrfs")
        self.refused("baseline-bad", *QUICK, "--check-cmd", "exit 1", name, "--", "true")
        code, report = live.report("run", *QUICK, "--accept-unhealthy", "--check-cmd", "exit 1", name, "--", "true")
        self.assertEqual(code, 0, report["message"])

    def test_a_second_belay_names_the_first_ones_transaction(self):
        name = self.web("btrfs")
        first = self.begin(name, "touch /begun; until [ -e /go ]; do sleep 0.1; done")
        try:
            live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the first one runs its command")
            key = self.lock(name)
            self.assertIn(key.split()[0], self.refused("locked", name, "--", "true")["message"])
            with tempfile.TemporaryDirectory() as elsewhere:
                message = self.refused("locked", name, "--", "true", env={"BELAY_STATE_DIR": elsewhere})["message"]
                self.assertIn(f"held by pid {first.pid}, state directory elsewhere", message)
            self.assertEqual(self.lock(name), key)
        finally:
            live.sh(name, "touch /go")
            first.communicate(timeout=60)
        self.assertEqual(first.returncode, 0)

    def test_a_belay_inside_a_belay(self):
        self.refused("locked", "web1", "--", "true", env={"BELAY_TXN": "20261123t220000z-0001", "BELAY_INSTANCE": "web1"})

    def test_state_directories_that_cannot_be_written(self):
        name = self.web("btrfs")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "file")
            path.write_text("")
            self.assertIn(str(path), self.refused("io-error", "--state-dir", path, name, "--", "true")["message"])
            full = pathlib.Path(folder, "full")
            full.mkdir()
            live.run("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", full, check=True)
            try:
                live.run("dd", "if=/dev/zero", f"of={full}/filler", "bs=4k")
                self.refused("io-error", "--no-checks", "--state-dir", full, name, "--", "touch", "/begun")
                (full / "filler").unlink()
                live.run("mount", "-o", "remount,ro", full, check=True)
                self.refused("io-error", "--no-checks", "--state-dir", full, name, "--", "touch", "/begun")
            finally:
                live.run("umount", full, check=True)
        self.assertFalse((live.rootfs(name) / "begun").exists())
        self.assert_clean(name)

    def test_a_journal_that_cannot_be_written_any_more_undoes_the_upgrade(self):
        name = self.web("btrfs")
        with tempfile.TemporaryDirectory() as state:
            run = self.begin(name, "echo 'version 2' >/var/www/index.html; touch /begun; until [ -e /go ]; do sleep 0.1; done",
                             state=state)
            live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")
            journal, = pathlib.Path(state).glob("transactions/*/journal.jsonl")
            live.run("prlimit", f"--pid={run.pid}", f"--fsize={journal.stat().st_size}", check=True)
            live.sh(name, "touch /go")
            out, _ = run.communicate(timeout=60)
            report = json.loads(out)
            self.assertEqual((run.returncode, report["reason"]), (1, "io-error"), report["message"])
            # The snapshot is deleted only when the outcome is on disk: by a recovery that can write again.
            self.assertEqual(self.snapshots(name), [f"belay-{report['transaction']}"])
            before = live.settings(name)
            live.belay("recover", "--state-dir", state, check=True)
            self.assertEqual(live.settings(name)["last_used_at"], before["last_used_at"],
                             "what was restored and started is not touched again")
            history = json.loads(live.belay("history", "--format", "json", "--state-dir", state, check=True).stdout)
            self.assertEqual([entry["outcome"] for entry in history], ["rolled-back"])
        self.wait_for_web(name)
        self.assertEqual(self.page(name), "version 1\n")
        self.assert_clean(name)

    def test_a_pool_with_no_room_for_the_snapshot(self):
        pool = f"small{os.getpid()}"
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            live.run("mount", "-t", "tmpfs", "-o", "size=40m,mode=0711", "tmpfs", folder, check=True)
            try:
                live.incus("storage", "create", pool, "dir", f"source={folder}")
                with live.instance(pool=pool) as name:
                    live.sh(name, "head -c 22000000 /dev/urandom >/big")
                    before = live.tree(name)
                    code, report = live.report("run", "--no-checks", name, "--", "touch", "/begun")
                    self.assertEqual((code, report["reason"]), (3, "no-space"), report["message"])
                    self.assert_clean(name)
                    self.assert_same_tree(before, live.tree(name))
                live.incus("storage", "delete", pool)
            finally:
                live.run("umount", folder, check=True)

    def test_a_writable_disk_outside_the_snapshot(self):
        name = self.web("btrfs")
        with tempfile.TemporaryDirectory() as folder:
            live.incus("config", "device", "add", name, "data", "disk", f"source={folder}", "path=/data")
            message = self.refused("uncovered", *QUICK, name, "--", "true")["message"]
            self.assertIn("--uncovered /data", message)
            code, report = live.report("run", *QUICK, "--uncovered", "/data", name, "--", "true")
            self.assertEqual(code, 0, report["message"])
            live.incus("config", "device", "remove", name, "data")

    def test_a_dry_run_touches_nothing(self):
        name = self.web("btrfs")
        with tempfile.TemporaryDirectory() as folder:
            state = pathlib.Path(folder, "state")
            done = live.belay("run", "--dry-run", "--state-dir", state, name, "--", "touch", "/begun")
            self.assertEqual(done.returncode, 0, done.stderr)
            for word in "snapshot", "listening", "btrfs", name, "touch /begun":
                self.assertIn(word, done.stdout)
            self.assertFalse(state.exists())
        self.assertFalse((live.rootfs(name) / "begun").exists())
        self.assert_clean(name)
        stopped = self.instance(start=False)
        self.assertEqual(live.belay("run", "--dry-run", stopped, "--", "true").returncode, 3)


class Locks(Web):
    """Keys on the instance that this belay did not write a moment ago."""

    def set_lock(self, name, value):
        live.incus("config", "set", name, f"user.belay.transaction={value}")

    def test_a_key_that_a_restore_or_a_copy_brought_back_is_replaced(self):
        name = self.web("btrfs")
        code, report = live.report("run", *QUICK, name, "--", "true")
        self.assertEqual(code, 0)
        live.incus("snapshot", "restore", name, report["snapshot"])  # by hand: the key of then is back
        self.assertIn(report["transaction"], self.lock(name))
        copy = f"{name}-copy"
        live.incus("copy", f"{name}/{report['snapshot']}", copy)
        self.addCleanup(live.delete, copy)
        live.incus("start", copy)
        for one in name, copy:
            self.wait_for_web(one)
            code, again = live.report("run", *QUICK, one, "--", "true")
            self.assertEqual(code, 0, again["message"])
            self.assertIn(report["transaction"], " ".join(again["warnings"]))
            self.assertEqual(self.lock(one), "")

    def test_a_key_of_another_machine_refuses(self):
        name = self.web("btrfs")
        value = f"20260101t000000z-abcd {'0' * 32} 00000000-0000-0000-0000-000000000000 1"
        self.set_lock(name, value)
        code, report = live.report("run", *QUICK, name, "--", "true")
        self.assertEqual((code, report["reason"]), (3, "locked"))
        self.assertIn("another machine", report["message"])
        self.assertEqual(self.lock(name), value)

    def test_an_interrupted_transaction_refuses_the_next_and_shows_the_way_out(self):
        name = self.web("btrfs")
        run = self.begin(name, "rm -r /var/www; touch /begun; sleep 60")
        live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")
        run.kill()
        run.communicate()
        code, report = live.report("run", *QUICK, name, "--", "true")
        self.assertEqual((code, report["reason"]), (3, "locked"), report["message"])
        txn = self.lock(name).split()[0]
        self.assertIn(txn, report["message"])
        shown = live.belay("show", txn).stdout
        commands = [line.strip() for line in shown.splitlines() if line.strip().startswith("incus ")]
        self.assertTrue(any("snapshot restore" in line for line in commands), shown)
        for line in commands:
            if "snapshot delete" not in line:
                live.run("sh", "-c", line, check=True)
        self.wait_for_web(name)
        self.assertEqual(self.page(name), "version 1\n")
        code, report = live.report("run", *QUICK, name, "--", "true")
        self.assertEqual(code, 0, report["message"])
