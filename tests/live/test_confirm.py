# SPDX-License-Identifier: Apache-2.0
"""belay run --confirm on a real Incus: the first decision wins, whoever makes it, and whether or not belay lives."""

import fcntl
import json
import os
import pty
import select
import subprocess
import tempfile
import termios
import time

import live
from test_run import Web

UPGRADE = ("sh", "-c", "echo 'version 2' >/var/www/index.html")
QUICK = ("--soak", "0", "--retry-for", "1s", "--stop-timeout", "0")


class Confirm(Web):
    def setUp(self):
        self.state = self.enterContext(tempfile.TemporaryDirectory(prefix="belay-state-"))
        self.env = {"BELAY_STATE_DIR": self.state}
        self.name = self.web("btrfs")

    def start(self, *args):
        """A belay of its own process; its report comes on stdout."""
        process = subprocess.Popen([os.environ["BELAY"], *args], env=os.environ | self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def belay(self, *args):
        return live.belay(*args, env=self.env)

    def report(self, *args):
        return live.report(*args, env=self.env)

    def shown(self, what=None):
        done = self.belay("show", what or self.name, "--format", "json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def waiting(self):
        """The transaction of the instance that waits now."""
        def ask():
            done = self.belay("history", self.name, "--format", "json")
            return [r["transaction"] for r in json.loads(done.stdout) if r.get("state") == "waiting"]
        return live.wait_until(ask, 30, "a transaction waits for a confirmation")[0]

    def begin(self, *options, confirm="60s", command=UPGRADE):
        return self.start("run", "--format", "json", *QUICK, "--confirm", confirm, *options, self.name, "--", *command)

    def begun(self, *options, **how):
        run = self.begin(*options, **how)
        return run, self.waiting()

    def killed(self, **how):
        """A transaction that waits, and whose belay is dead."""
        run, txn = self.begun(**how)
        run.kill()
        run.wait(10)
        return txn

    def ended(self, run):
        out, err = run.communicate(timeout=60)
        self.assertTrue(out, err)
        return run.returncode, json.loads(out)

    def assert_kept(self, code, report):
        self.assertEqual((code, report["outcome"], report["reason"]), (0, "committed", "ok"), report["message"])
        self.assertEqual(self.page(self.name), "version 2\n")
        self.assertEqual(self.lock(self.name), "")
        self.assertIn(f"belay-{report['transaction']}", self.snapshots(self.name))

    def assert_taken_back(self, code, report, reason="no-confirm"):
        self.assertEqual((code, report["outcome"], report["reason"]), (1, "rolled-back", reason), report["message"])
        self.wait_for_web(self.name)
        self.assertEqual(self.page(self.name), "version 1\n")
        self.assert_clean(self.name)


class Decisions(Confirm):
    def test_a_confirmed_transaction_is_kept(self):
        run, txn = self.begun()
        self.assertIsNotNone(self.shown()["confirm_until"])
        self.assertEqual(self.belay("confirm", txn).returncode, 0)
        self.assert_kept(*self.ended(run))

    def test_the_name_of_the_instance_confirms_too(self):
        run, txn = self.begun()
        code, report = self.report("confirm", self.name)
        self.assertEqual((code, report["transaction"]), (0, txn))
        self.assert_kept(*self.ended(run))

    def test_a_rollback_while_it_waits_undoes_it(self):
        run, txn = self.begun()
        self.assertEqual(self.belay("rollback", txn).returncode, 0)
        self.assert_taken_back(*self.ended(run))
        self.assertEqual(self.belay("confirm", txn).returncode, 1)

    def test_the_deadline_undoes_it_and_then_it_is_too_late(self):
        code, report = self.ended(self.begin(confirm="2s"))
        self.assert_taken_back(code, report)
        self.assertEqual(self.belay("confirm", report["transaction"]).returncode, 1)

    def test_a_check_that_turns_bad_while_it_waits_undoes_it(self):
        run, _ = self.begun("--check-cmd", "test ! -e /bad")
        (live.rootfs(self.name) / "bad").touch()
        self.assert_taken_back(*self.ended(run), "check-failed")

    def test_an_unknown_transaction_cannot_be_confirmed(self):
        self.assertEqual(self.belay("confirm", "20000101t000000z-0000").returncode, 2)

    def test_a_transaction_that_does_not_wait_yet_cannot_be_confirmed(self):
        run = self.begin(command=("sh", "-c", "touch /begun; while [ ! -e /go ]; do sleep 0.1; done"))
        live.wait_until(lambda: (live.rootfs(self.name) / "begun").exists(), 20, "the upgrade has begun")
        done = self.belay("confirm", self.name)
        self.assertEqual(done.returncode, 3, done.stderr)
        run.terminate()
        self.assertEqual(self.ended(run)[0], 1)

    def test_of_two_decisions_at_the_same_instant_exactly_one_wins(self):
        for turn in range(10):
            with self.subTest(turn=turn):
                live.sh(self.name, "echo 'version 1' >/var/www/index.html")
                run = self.begin()
                txn = self.waiting()
                words = ["confirm", "rollback"] if turn % 2 else ["rollback", "confirm"]
                both = {word: self.start(word, txn) for word in words}
                code, report = self.ended(run)
                for process in both.values():
                    process.communicate(timeout=60)
                codes = both["confirm"].returncode, both["rollback"].returncode
                snapshot = f"belay-{txn}" in self.snapshots(self.name)
                found = codes, code, report["outcome"], self.lock(self.name), snapshot
                # Who comes when all is over takes back a kept upgrade, or wants to: without a terminal that is 2.
                if report["outcome"] == "committed":
                    self.assertIn(found, [((0, other), 0, "committed", "", True) for other in (2, 3)])
                    self.assertEqual(self.page(self.name), "version 2\n")
                else:
                    self.assertIn(found, [((other, 0), 1, "rolled-back", "", False) for other in (1, 3)])
                    self.wait_for_web(self.name)
                    self.assertEqual(self.page(self.name), "version 1\n")


class Killed(Confirm):
    def test_recover_leaves_it_alone_and_confirm_keeps_it(self):
        txn = self.killed()
        self.assertEqual(self.belay("recover").returncode, 0)
        self.assertTrue(self.lock(self.name).startswith(txn))
        self.assertEqual(self.snapshots(self.name), [f"belay-{txn}"])
        _, history = self.report("history", self.name)
        self.assertEqual([(r["transaction"], r["state"]) for r in history], [(txn, "waiting")])
        self.assert_kept(*self.report("confirm", txn))

    def test_rollback_undoes_it(self):
        txn = self.killed()
        self.assertEqual(self.belay("rollback", txn).returncode, 0)
        report = self.shown(txn)
        self.assert_taken_back(report["exit_code"], report)

    def test_recover_undoes_it_after_the_deadline(self):
        txn = self.killed(confirm="3s")
        end = self.shown(txn)["confirm_until"]
        live.wait_until(lambda: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 1)) >= end[:19], 10,
                        "the deadline is over")
        code, reports = self.report("recover")
        self.assertEqual((code, [r["transaction"] for r in reports]), (0, [txn]))
        self.assert_taken_back(reports[0]["exit_code"], reports[0])
        self.assertEqual(self.belay("confirm", txn).returncode, 1)


class Terminal(Confirm):
    def answer(self, key):
        """The exit code of a run on a terminal of its own, where the key is pressed while it waits."""
        ours, theirs = pty.openpty()
        try:
            before = termios.tcgetattr(theirs)
            run = subprocess.Popen([os.environ["BELAY"], "run", *QUICK, "--confirm", "60s", self.name, "--", *UPGRADE],
                                   env=os.environ | self.env | {"TERM": "xterm"}, stdin=theirs, stdout=theirs,
                                   stderr=theirs, start_new_session=True,
                                   preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            self.addCleanup(run.wait)
            self.addCleanup(run.kill)
            asked = False
            end = time.monotonic() + 60
            while run.poll() is None:
                self.assertLess(time.monotonic(), end, "the run has not ended")
                if select.select([ours], [], [], 0.1)[0]:
                    os.read(ours, 65536)
                # What was typed before belay reads keys is thrown away, so that nobody answers a question not yet asked.
                reads_keys = not termios.tcgetattr(theirs)[3] & termios.ICANON
                if not asked and reads_keys and self.shown().get("state") == "waiting":
                    os.write(ours, key)
                    asked = True
            self.assertEqual(termios.tcgetattr(theirs), before)
            return run.returncode
        finally:
            os.close(ours)
            os.close(theirs)

    def test_y_keeps_it(self):
        self.assert_kept(self.answer(b"y"), self.shown())

    def test_n_undoes_it(self):
        self.assert_taken_back(self.answer(b"n"), self.shown())
