# SPDX-License-Identifier: Apache-2.0
"""Whatever dies in the middle of a transaction, it ends properly: belay after each event, the daemon after each event, and
either at random moments.

BELAY_TEST_SEED repeats a run of random moments, BELAY_TEST_MOMENTS sets how many there are for each pool and each victim.
"""

import contextlib
import glob
import json
import os
import random
import signal
import subprocess
import tempfile
import time
import unittest

import live

FILES = 150
UPGRADE = f"for i in $(seq 1 {FILES}); do echo new >/d/$i; done; echo new >/new; "
LIMITS = ("--soak", "0", "--retry-for", "1s", "--stop-timeout", "2s", "--daemon-wait", "60s", "--no-checks")
SCENARIOS = {
    "good": ((), UPGRADE),
    "bad command": ((), UPGRADE + "exit 3"),
    "bad check": (("--check-cmd", "test ! -e /new"), UPGRADE),
}


def process_state(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(") ", 1)[1][0]
    except FileNotFoundError:
        return "X"


def kill_daemon():
    pid = live.daemon_pid()
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    live.wait_until(lambda: live.daemon_pid() is None, 10, "the daemon is gone")
    live.start_daemon()


class Crash(live.TestCase):
    def setUp(self):
        self.state = self.enterContext(tempfile.TemporaryDirectory(prefix="belay-state-"))

    def upgraded(self, pool):
        name = self.instance(pool=pool)
        live.sh(name, f"mkdir /d && for i in $(seq 1 {FILES}); do echo old >/d/$i; done; "
                      "dd if=/dev/urandom of=/d/big bs=1M count=6 2>/dev/null; sync")
        return name

    def begin(self, name, scenario, halt_after=None):
        options, script = SCENARIOS[scenario]
        extra = {"BELAY_TEST_HALT_AFTER": str(halt_after)} if halt_after else {}
        run = subprocess.Popen([os.environ["BELAY"], "run", "--format", "json", "--state-dir", self.state, *LIMITS,
                                *options, name, "--", "sh", "-c", script],
                               env=os.environ | extra, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(run.stdout.close)
        return run

    def recover(self):
        return live.belay("recover", "--state-dir", self.state, "--daemon-wait", "30s")

    def content(self, name):
        root = live.rootfs(name)
        seen = {(root / "d" / str(i)).read_text().strip() for i in range(1, FILES + 1)}
        seen.add("new" if (root / "new").exists() else "old")
        return seen.pop() if len(seen) == 1 else f"a mix: {seen}"

    def last_seq(self):
        journals = sorted(glob.glob(f"{self.state}/transactions/*/journal.jsonl"))
        with open(journals[-1]) as file:
            return json.loads(file.readlines()[-1])["seq"]

    def assert_ended(self, name):
        """The invariants: final, truthful, running, and nothing left behind."""
        again = self.recover()
        self.assertEqual((again.returncode, again.stdout.startswith("Nothing to recover")), (0, True),
                         again.stdout + again.stderr)
        history = json.loads(live.belay("history", "--format", "json", "--state-dir", self.state).stdout)
        last = history[-1]
        expected = {"committed": ("new", [f"belay-{last['transaction']}"]), "rolled-back": ("old", []), "refused": ("old", [])}
        self.assertIn(last["outcome"], expected, last["message"])
        snapshots = live.incus("snapshot", "list", name, "-f", "csv", "-c", "n").stdout.split()
        self.assertEqual((self.content(name), snapshots), expected[last["outcome"]], last["message"])
        self.assertEqual(live.status(name), "RUNNING")
        for key in "user.belay.transaction", "user.belay.restored":
            self.assertEqual(live.incus("config", "get", name, key).stdout.strip(), "")
        return last["outcome"]

    def halted(self, run):
        """Whether belay has stopped itself; False when it ended instead."""
        return live.wait_until(lambda: process_state(run.pid) in "TXZ", 60, "belay stops or ends") and \
            process_state(run.pid) == "T"

    def after_each_event(self, pool, scenario, die):
        """Stops belay after each journalled event in turn; `die` lets somebody die then and brings all to an end."""
        moments = 0
        for seq in range(1, 80):
            name = self.upgraded(pool)
            run = self.begin(name, scenario, seq)
            if self.halted(run):
                with self.subTest(pool=pool, scenario=scenario, after=seq):
                    die(run)
                    self.assert_ended(name)
                moments += 1
            else:
                run.wait()
                if seq > self.last_seq():
                    break
            live.delete(name)
        self.assertGreater(moments, 10)

    def belay_dies(self, run):
        run.kill()
        run.wait()
        done = self.recover()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def daemon_dies(self, run):
        kill_daemon()
        os.kill(run.pid, signal.SIGCONT)
        run.communicate(timeout=120)
        self.assertIn(run.returncode, (0, 1, 3))


class BelayDies(Crash):
    def test_after_each_event_on_btrfs(self):
        for scenario in SCENARIOS:
            self.after_each_event("btrfs", scenario, self.belay_dies)

    def test_after_each_event_on_dir(self):
        for scenario in "good", "bad check":
            self.after_each_event("dir", scenario, self.belay_dies)


class DaemonDies(Crash):
    def test_after_each_event_on_btrfs(self):
        self.after_each_event("btrfs", "bad command", self.daemon_dies)

    def test_after_each_event_on_dir(self):
        self.after_each_event("dir", "bad check", self.daemon_dies)


class RandomMoments(Crash):
    def moments(self, pool, victim):
        seed = int(os.environ.get("BELAY_TEST_SEED") or random.randrange(1 << 32))
        count = int(os.environ.get("BELAY_TEST_MOMENTS") or 12)
        print(f"random moments on {pool}, {victim} dies: BELAY_TEST_SEED={seed}", flush=True)
        chance = random.Random(seed)
        for number in range(count):
            name = self.upgraded(pool)
            scenario = chance.choice(list(SCENARIOS))
            moment = chance.random() * (1.2 if scenario == "bad check" else 0.7)
            with self.subTest(pool=pool, victim=victim, seed=seed, number=number, scenario=scenario, moment=moment):
                run = self.begin(name, scenario)
                time.sleep(moment)  # the moment itself, not a wait for something
                if victim == "belay":
                    run.kill()
                    run.wait()
                else:
                    kill_daemon()
                    run.communicate(timeout=120)
                done = self.recover()
                for command in self.mending():
                    live.run("sh", "-c", command, check=True)
                    done = self.recover()
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assert_ended(name)
            live.delete(name)

    def mending(self):
        """What belay says that a person must do where Incus cannot go on: a cut btrfs restore."""
        history = json.loads(live.belay("history", "--format", "json", "--state-dir", self.state).stdout)
        return [c for c in history[-1]["manual"] if not c.startswith("incus ")] if history else []

    def test_belay_dies_on_btrfs(self):
        self.moments("btrfs", "belay")

    def test_belay_dies_on_dir(self):
        self.moments("dir", "belay")

    def test_the_daemon_dies_on_btrfs(self):
        self.moments("btrfs", "daemon")

    def test_the_daemon_dies_on_dir(self):
        self.moments("dir", "daemon")


class CutRestore(Crash):
    def test_what_a_cut_btrfs_restore_leaves_is_named_with_the_command_that_mends_it(self):
        for everything in False, True:
            with self.subTest(everything=everything):
                name = self.upgraded("btrfs")
                leftover = live.rootfs(name).parent.resolve().parent / f"{name}.incustmp"
                options, script = SCENARIOS["bad command"]
                live.run("btrfs", "subvolume", "create", leftover, check=True)
                code, report = live.report("run", "--state-dir", self.state, *LIMITS, name, "--", "sh", "-c", script)
                self.assertEqual((code, report["outcome"]), (5, "stuck"), report["message"])
                self.assertTrue(report["manual"][0].startswith("btrfs subvolume delete "), report["manual"])
                self.assertEqual(self.recover().returncode, 5)
                for command in report["manual"] if everything else report["manual"][:1]:
                    live.run("sh", "-c", command, check=True)
                done = self.recover()
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual((self.content(name), live.status(name)), ("old", "RUNNING"))
                self.assertEqual(live.incus("config", "get", name, "user.belay.transaction").stdout.strip(), "")
                self.assertTrue(self.recover().stdout.startswith("Nothing to recover"))

    def test_copies_that_a_killed_daemon_left_do_not_spoil_the_next_restore(self):
        name = self.instance(pool="dir")
        live.sh(name, "mkdir /d && cd /d && for i in $(seq 1 30); do dd if=/dev/urandom of=f$i bs=1M count=8 2>/dev/null; done; sync")
        before = live.tree(name, exclude=["/run", "/tmp", "/dev"])
        run = subprocess.Popen([os.environ["BELAY"], "run", "--format", "json", "--state-dir", self.state, *LIMITS, name,
                                "--", "sh", "-c", "rm -rf /d; echo new >/new; exit 3"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(run.stdout.close)

        def copies():
            return [pid for pid in os.listdir("/proc") if pid.isdigit() and self.restores(pid, name)]

        live.wait_until(copies, 60, "the restore copies")
        kill_daemon()
        out, _ = run.communicate(timeout=240)
        report = json.loads(out)
        self.assertEqual((run.returncode, report["outcome"]), (1, "rolled-back"), report["message"])
        self.assertEqual(copies(), [])
        live.incus("stop", "--force", name)
        self.assert_same_tree(before, live.tree(name, exclude=["/run", "/tmp", "/dev"]))

    def restores(self, pid, name):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            return False
        return words[0] == "rsync" and any(word.rstrip("/").endswith(f"/containers/{name}") for word in words[-2:])


if __name__ == "__main__":
    unittest.main()
