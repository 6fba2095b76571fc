# SPDX-License-Identifier: Apache-2.0
"""belay or the daemon dies at random moments, and in the middle of a restore.

BELAY_TEST_SEED repeats a run of random moments, BELAY_TEST_MOMENTS sets how many there are for each pool and each victim.
"""

import json
import os
import random
import subprocess
import time

import live
import test_recovery
from test_recovery import LIMITS, SCENARIOS, kill_daemon


class RandomMoments(test_recovery.Crash):
    def moments(self, pool, victim):
        seed = int(os.environ.get("BELAY_TEST_SEED") or random.randrange(1 << 32))
        count = int(os.environ.get("BELAY_TEST_MOMENTS") or 5)
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


class CutRestore(test_recovery.Crash):
    def test_what_a_cut_btrfs_restore_leaves_is_named_with_the_command_that_mends_it(self):
        for everything in False, True:
            with self.subTest(everything=everything):
                name = self.upgraded("btrfs")
                leftover = live.rootfs(name).parent.resolve().parent / f"{name}.incustmp"
                options, script = SCENARIOS["bad command"]
                run = subprocess.Popen([os.environ["BELAY"], "run", "--format", "json", "--state-dir", self.state, *LIMITS,
                                        name, "--", "sh", "-c", f"until [ -e /run/go ]; do sleep 0.05; done; {script}"],
                                       stdout=subprocess.PIPE, text=True)
                live.wait_until(lambda: live.incus("snapshot", "list", name, "-f", "csv").stdout, 20, "the snapshot is taken")
                live.run("btrfs", "subvolume", "create", leftover, check=True)
                live.sh(name, "touch /run/go")
                report = json.loads(run.communicate(timeout=120)[0])
                self.assertEqual((run.returncode, report["outcome"]), (5, "stuck"), report["message"])
                self.assertIn("btrfs subvolume delete ", report["manual"][0])
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
