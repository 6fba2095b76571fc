# SPDX-License-Identifier: Apache-2.0
"""Whatever dies in the middle of a transaction, it ends properly: belay after each event, the daemon after each event."""

import contextlib
import glob
import json
import os
import random
import signal
import subprocess
import sys
import tempfile

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

    def upgraded(self, pool, volume=None):
        name = self.instance(pool=pool)
        if volume:
            live.incus("storage", "volume", "attach", pool, volume, name, "/d")
        self.volume = pool, volume
        self.folder = live.volume_path(pool, volume) if volume else live.rootfs(name) / "d"
        live.sh(name, f"mkdir -p /d && for i in $(seq 1 {FILES}); do echo old >/d/$i; done; "
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
        seen = {(self.folder / str(i)).read_text().strip() for i in range(1, FILES + 1)}
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
        if self.volume[1]:
            self.assertEqual(list(live.volume_snapshots(*self.volume)), snapshots)
        self.assertEqual(live.status(name), "RUNNING")
        self.assertEqual(live.settings(name)["description"], live.DESCRIPTION)
        for key in "user.belay.transaction", "user.belay.restored":
            self.assertEqual(live.incus("config", "get", name, key).stdout.strip(), "")
        return last["outcome"]

    def halted(self, run):
        """Whether belay has stopped itself; False when it ended instead."""
        return live.wait_until(lambda: process_state(run.pid) in "TXZ", 60, "belay stops or ends") and \
            process_state(run.pid) == "T"

    def after_each_event(self, pool, scenario, die, volume=None):
        """Stops belay after one journalled event in turn, and each time `die` lets somebody die and brings all to an end.
        After every third event, from one of the first three on by chance, unless BELAY_TEST_EVERY is another number."""
        moments = 0
        every = int(os.environ.get("BELAY_TEST_EVERY", "3"))
        first = random.randint(1, every)
        print(f"{scenario} on {pool}: after event {first} and every {every} more", file=sys.stderr)
        for seq in range(first, 80, every):
            name = self.upgraded(pool, volume)
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
            if volume:
                for left in live.volume_snapshots(pool, volume):
                    live.incus("storage", "volume", "snapshot", "delete", pool, volume, left)
        self.assertGreater(moments * every, 10)

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
        for scenario in "good", "bad check":
            self.after_each_event("btrfs", scenario, self.belay_dies)

    def test_after_each_event_on_dir(self):
        self.after_each_event("dir", "bad command", self.belay_dies)

    def test_after_each_event_with_a_volume(self):
        volume = self.enterContext(live.volume("dir"))
        self.after_each_event("dir", "bad check", self.belay_dies, volume)


class DaemonDies(Crash):
    def test_after_each_event_on_btrfs(self):
        self.after_each_event("btrfs", "bad command", self.daemon_dies)

    def test_after_each_event_on_dir(self):
        self.after_each_event("dir", "bad check", self.daemon_dies)

    def test_after_each_event_with_a_volume(self):
        volume = self.enterContext(live.volume("btrfs"))
        self.after_each_event("btrfs", "bad command", self.daemon_dies, volume)
