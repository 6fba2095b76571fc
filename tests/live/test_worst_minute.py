# SPDX-License-Identifier: Apache-2.0
"""The terminal goes away, signals come at any moment, two belays want the same instance: every transaction still ends
in a state that its exit code, its report and the instance agree on."""

import json
import os
import pathlib
import pty
import random
import signal
import subprocess
import tempfile
import time

import live
from test_run import QUICK, Web

UPGRADE = "echo 'version 2' >/var/www/index.html; touch /begun; "
WAIT = "until [ -e /go ]; do sleep 0.05; done; "
OUTCOMES = {0: "committed", 1: "rolled-back", 3: "refused"}


class WorstMinute(Web):
    def state(self):
        return self.enterContext(tempfile.TemporaryDirectory(prefix="belay-state-"))

    def start(self, state, *words, **options):
        run = subprocess.Popen([os.environ["BELAY"], *words], env=os.environ | {"BELAY_STATE_DIR": state}, **options)
        self.addCleanup(self.end, run)
        return run

    def end(self, run):
        run.kill()
        run.wait()
        if run.stdout and not run.stdout.closed:
            run.stdout.close()

    def history(self, state):
        done = live.belay("history", "--format", "json", "--state-dir", state, check=True)
        return [(entry["outcome"], entry["reason"]) for entry in json.loads(done.stdout)]

    def wait_for_upgrade(self, name):
        live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")

    def assert_agrees(self, name, code):
        """What the instance looks like after a run that ended with this exit code."""
        self.wait_for_web(name)
        self.assertEqual(self.page(name), "version 2\n" if code == 0 else "version 1\n")
        self.assertEqual((live.rootfs(name) / "begun").exists(), code == 0)
        self.assertEqual(len(self.snapshots(name)), 1 if code == 0 else 0)
        self.assertNotIn("user.belay", live.incus("config", "show", name).stdout)
        self.assertEqual(live.status(name), "RUNNING")

    def put_back(self, name):
        """Makes an instance that an upgrade was kept on look like a new one."""
        live.sh(name, "echo 'version 1' >/var/www/index.html; rm -f /begun /go")
        for snapshot in self.snapshots(name):
            live.incus("snapshot", "delete", name, snapshot)


class NobodyIsLooking(WorstMinute):
    def good_and_bad(self, test):
        for exit_code, code, end in (0, 0, ("committed", "ok")), (1, 1, ("rolled-back", "command-failed")):
            with self.subTest(upgrade="good" if code == 0 else "bad"):
                name, state = self.web("btrfs"), self.state()
                words = ["run", *QUICK, name, "--", "sh", "-c", f"{UPGRADE}{WAIT}echo done; exit {exit_code}"]
                ended = test(name, state, words)
                self.assertEqual(ended, code)
                self.assertEqual(self.history(state), [end])
                self.assert_agrees(name, code)

    def go(self, name):
        (live.rootfs(name) / "go").touch()

    def reap(self, pid, ended):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            ended.append(status)
        return ended

    def test_a_terminal_that_is_closed(self):
        for options in [], ["--interactive"]:
            def test(name, state, words):
                pid, master = pty.fork()
                if pid == 0:
                    os.execve(os.environ["BELAY"], ["belay", words[0], *options, *words[1:]],
                              os.environ | {"BELAY_STATE_DIR": state, "TERM": "xterm"})
                ended = []
                try:
                    self.wait_for_upgrade(name)
                    os.close(master)
                    self.go(name)
                    live.wait_until(lambda: self.reap(pid, ended), 60, "belay has ended")
                finally:
                    if not ended:
                        os.kill(pid, signal.SIGKILL)
                        os.waitpid(pid, 0)
                return os.waitstatus_to_exitcode(ended[0])
            with self.subTest(options=options):
                self.good_and_bad(test)

    def test_a_hangup(self):
        def test(name, state, words):
            run = self.start(state, *words, stdout=subprocess.DEVNULL)
            self.wait_for_upgrade(name)
            run.send_signal(signal.SIGHUP)
            self.go(name)
            return run.wait(timeout=60)
        self.good_and_bad(test)

    def test_a_reader_that_is_gone(self):
        for form in "text", "json", "jsonl":
            def test(name, state, words):
                run = self.start(state, words[0], "--format", form, *words[1:], stdout=subprocess.PIPE)
                self.wait_for_upgrade(name)
                run.stdout.close()
                self.go(name)
                return run.wait(timeout=60)
            with self.subTest(form=form):
                self.good_and_bad(test)


class Signals(WorstMinute):
    def test_signals_at_any_moment(self):
        seed = int(os.environ.get("BELAY_TEST_SEED") or random.randrange(1 << 32))
        print(f"BELAY_TEST_SEED={seed}", flush=True)
        dice = random.Random(seed)
        name = self.web("btrfs")
        durations = {}
        for exit_code in 0, 1:
            began = time.monotonic()
            code, _, _ = self.shoot(name, exit_code)
            durations[exit_code] = time.monotonic() - began
            self.assertEqual(code, exit_code)
            self.put_back(name)
        for number in range(20):
            exit_code = number % 2
            moment = dice.uniform(0, durations[exit_code])
            what = dice.choice((signal.SIGTERM, signal.SIGINT))
            with self.subTest(seed=seed, number=number, upgrade=exit_code, moment=moment, signal=what.name):
                code, out, history = self.shoot(name, exit_code, what, moment)
                if code == -what:
                    # Before belay could look at signals at all.
                    self.assertEqual((out, history), ("", []))
                else:
                    report = json.loads(out)
                    self.assertIn(code, OUTCOMES if exit_code == 0 else (1, 3), report["message"])
                    self.assertEqual((report["outcome"], report["exit_code"]), (OUTCOMES[code], code))
                    self.assertLessEqual(len(history), 1)
                    for outcome, reason in history:
                        self.assertEqual((outcome, reason), (report["outcome"], report["reason"]))
                    if code != 3:
                        self.assertEqual(len(history), 1)
                self.assert_agrees(name, code)
            self.put_back(name)

    def shoot(self, name, exit_code, what=None, moment=0.0):
        """A run that gets a signal after so many seconds: its exit code, its report and the history."""
        state = self.state()
        run = self.start(state, "run", "--format", "json", "--soak", "300ms", "--retry-for", "3s", "--stop-timeout",
                         "3s", name, "--", "sh", "-c", f"{UPGRADE}sleep 0.3; exit {exit_code}",
                         stdout=subprocess.PIPE, text=True)
        if what:
            try:
                run.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                run.send_signal(what)
        out, _ = run.communicate(timeout=60)
        return run.returncode, out, self.history(state)

    def test_signals_do_not_cut_a_rollback_short(self):
        name, state = self.web("btrfs"), self.state()
        before = live.tree(name)
        run = self.start(state, "run", "--format", "json", *QUICK, name, "--", "sh", "-c", f"{UPGRADE}exit 1",
                         stdout=subprocess.PIPE, text=True)
        live.wait_until(lambda: any('"verdict":"undo"' in journal.read_text()
                                    for journal in pathlib.Path(state).glob("transactions/*/journal.jsonl")),
                        30, "the rollback has begun")
        for what in signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM:
            self.assertIsNone(run.poll())
            run.send_signal(what)
            time.sleep(0.02)
        out, _ = run.communicate(timeout=60)
        self.assertEqual(self.history(state), [("rolled-back", "command-failed")])
        self.assert_undone(name, before, run.returncode, json.loads(out), "command-failed")


class TwoAtOnce(WorstMinute):
    def test_exactly_one_runs(self):
        name = self.web("btrfs")
        states = self.state(), self.state()
        for number in range(int(os.environ.get("BELAY_TEST_ROUNDS") or 30)):
            with self.subTest(round=number):
                self.race(name, (states[0], states[number % 2]))
            self.put_back(name)

    def race(self, name, states):
        gate, opener = os.pipe()
        begin = ["sh", "-c", 'read -r line; exec "$@"', "sh", os.environ["BELAY"], "run", "--format", "json",
                 "--no-checks", "--soak", "0", name, "--", "sh", "-c", f"{UPGRADE}echo >>/count; {WAIT}"]
        runs = [subprocess.Popen(begin, env=os.environ | {"BELAY_STATE_DIR": state}, stdin=gate, stdout=subprocess.PIPE,
                                 text=True) for state in states]
        for run in runs:
            self.addCleanup(self.end, run)
        os.close(gate)
        os.close(opener)  # both shells have waited for this
        live.wait_until(lambda: any(run.poll() is not None for run in runs), 30, "one of them gives up")
        loser, winner = sorted(runs, key=lambda run: run.poll() is None)
        lost = json.loads(loser.communicate(timeout=10)[0])
        self.assertEqual((loser.returncode, lost["outcome"], lost["reason"]), (3, "refused", "locked"), lost["message"])
        (live.rootfs(name) / "go").touch()
        won = json.loads(winner.communicate(timeout=60)[0])
        self.assertEqual((winner.returncode, won["outcome"]), (0, "committed"), won["message"])
        self.assertEqual(self.snapshots(name), [won["snapshot"]])
        self.assertEqual(self.lock(name), "")
        count = live.rootfs(name) / "count"
        self.assertEqual(count.read_text(), "\n", "the command ran once")
        count.unlink()
