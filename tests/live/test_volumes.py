# SPDX-License-Identifier: Apache-2.0
"""Custom volumes go with their instance: snapshotted at one moment with it, restored with it; and what cannot go with it
is refused."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import live

QUICK = ("--soak", "0", "--retry-for", "2s", "--stop-timeout", "2s", "--no-checks")
# What changes by itself while an instance runs.
LIVELY = ("/dev", "/proc", "/run", "/sys", "/tmp")


def volume_tree(pool, volume):
    root = live.volume_path(pool, volume)
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


SCHEDULED = {}  # instances whose upgrade waits for a snapshot of their schedule, and the belay that does it


def setUpModule():
    if not os.environ.get("BELAY_TEST_LIVE"):
        return
    state = unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="belay-state-"))
    for pool in "btrfs", "dir":
        name = unittest.enterModuleContext(live.instance(pool=pool, config=("snapshots.schedule=* * * * *", "snapshots.expiry=1M",
                                                                            "snapshots.pattern=auto%d")))
        live.sh(name, "echo old >/f")
        SCHEDULED[name] = subprocess.Popen(
            [os.environ["BELAY"], "run", "--format", "json", "--state-dir", state, *QUICK, name, "--", "sh", "-c",
             "echo new >/f; until [ -e /run/go ]; do sleep 0.1; done; exit 3"], stdout=subprocess.PIPE, text=True)
        unittest.addModuleCleanup(live.incus, "config", "unset", name, "snapshots.schedule", check=False)
        unittest.addModuleCleanup(end, SCHEDULED[name])


def end(process):
    process.kill()
    process.communicate()


class Volumes(live.TestCase):
    def setUp(self):
        self.state = self.enterContext(tempfile.TemporaryDirectory(prefix="belay-state-"))
        self.env = {"BELAY_STATE_DIR": self.state}

    def database(self, pool="btrfs"):
        """An instance with a volume at /data, and something old on both."""
        volume = self.enterContext(live.volume(pool))
        name = self.instance(pool=pool)
        live.incus("storage", "volume", "attach", pool, volume, name, "/data")
        live.sh(name, "mkdir /data/db /app; for i in 1 2 3 4 5; do echo old $i | tee /data/db/$i >/app/$i; done")
        return name, volume

    def run_on(self, name, script, *options):
        return live.report("run", *QUICK, *options, name, "--", "sh", "-c", script, env=self.env)

    def both(self, name):
        return live.sh(name, "cat /app/1 /data/db/1").split("\n")[:2]

    UPGRADE = "echo new >/app/1; echo new >/data/db/1; echo x >/data/db/added; rm /app/2 /data/db/2; "


class GoWithTheInstance(Volumes):
    def as_they_were(self, pool):
        name, volume = self.database(pool)
        before = live.tree(name, LIVELY), volume_tree(pool, volume)
        code, report = self.run_on(name, self.UPGRADE + "exit 3")
        self.assertEqual((code, report["reason"]), (1, "command-failed"), report["message"])
        self.assert_same_tree(before[0], live.tree(name, LIVELY))
        self.assertEqual(volume_tree(pool, volume), before[1])
        self.assertEqual(live.volume_snapshots(pool, volume), {})
        phases = [(p["name"], p["target"]) for p in report["phases"]]
        self.assertLess(phases.index(("pause", "")), phases.index(("snapshot", "root")))
        self.assertLess(phases.index(("snapshot", f"{pool}/{volume}")), phases.index(("unpause", "")))

    def test_both_are_as_they_were_on_btrfs(self):
        self.as_they_were("btrfs")

    def test_both_are_as_they_were_on_dir(self):
        self.as_they_were("dir")

    def test_a_kept_upgrade_is_undone_on_both(self):
        name, volume = self.database()
        code, report = self.run_on(name, self.UPGRADE)
        self.assertEqual(code, 0, report["message"])
        self.assertEqual(list(live.volume_snapshots("btrfs", volume)), [report["snapshot"]])
        self.assertEqual(self.both(name), ["new", "new"])
        code, undone = live.report("rollback", "--yes", name, env=self.env)
        self.assertEqual(code, 0, undone["message"])
        self.assertEqual(self.both(name), ["old 1", "old 1"])

    def test_without_a_journal_the_volumes_go_back_too(self):
        name, volume = self.database()
        run = subprocess.Popen([os.environ["BELAY"], "run", *QUICK, name, "--", "sh", "-c", self.UPGRADE + "touch /run/done; sleep 60"],
                               env=os.environ | self.env, stdout=subprocess.DEVNULL)
        live.wait_until((live.rootfs(name) / "run/done").exists, 20, "the upgrade runs")
        run.kill()
        run.wait()
        shutil.rmtree(pathlib.Path(self.state, "transactions"))
        snapshot, = live.volume_snapshots("btrfs", volume)
        done = live.belay("rollback", "--yes", name, "--snapshot", snapshot, env=self.env)
        self.assertEqual((done.returncode, self.both(name)), (0, ["old 1", "old 1"]), done.stdout + done.stderr)

    def test_a_volume_of_a_profile_that_no_other_instance_has(self):
        volume = self.enterContext(live.volume("btrfs"))
        name = self.instance()
        profile = f"p{os.getpid()}"
        live.incus("profile", "create", profile)
        self.addCleanup(live.incus, "profile", "delete", profile)
        live.incus("profile", "device", "add", profile, "data", "disk", "pool=btrfs", f"source={volume}", "path=/data")
        live.incus("profile", "add", name, profile)
        self.addCleanup(live.incus, "profile", "remove", name, profile)
        live.sh(name, "echo old >/data/f")
        code, report = self.run_on(name, "echo new >/data/f; exit 3")
        self.assertEqual((code, live.sh(name, "cat /data/f")), (1, "old\n"), report["message"])
        with live.instance() as other:
            live.incus("profile", "add", other, profile)
            code, report = self.run_on(name, "true")
            self.assertEqual((code, report["reason"]), (3, "uncovered"))
            self.assertIn(other, report["message"])

    def test_stopped_for_the_snapshots(self):
        name, volume = self.database()
        started = live.settings(name)["last_used_at"]
        code, report = self.run_on(name, self.UPGRADE, "--snapshot-mode", "stopped")
        self.assertEqual(code, 0, report["message"])
        self.assertNotEqual(live.settings(name)["last_used_at"], started)
        self.assertGreater(report["downtime_seconds"], 0)
        self.assertEqual(live.status(name), "RUNNING")
        code, report = self.run_on(name, "exit 3", "--snapshot-mode", "stopped")
        self.assertEqual((code, self.both(name)), (1, ["new", "new"]), report["message"])


class Hooks(Volumes):
    HOOKS = ("--quiesce", "echo quiesce >>/data/log; touch /app/quiet", "--resume", "echo resume >>/data/log; rm /app/quiet")

    def log(self, name):
        return live.sh(name, "cat /data/log; ls /app/quiet 2>/dev/null || true").split()

    def test_they_surround_the_snapshots(self):
        name, volume = self.database()
        code, report = self.run_on(name, "echo upgrade >>/data/log", *self.HOOKS)
        self.assertEqual((code, self.log(name)), (0, ["quiesce", "resume", "upgrade"]), report["message"])
        snapshot = pathlib.Path(os.environ["INCUS_DIR"], "storage-pools", "btrfs", "custom-snapshots", f"default_{volume}",
                                report["snapshot"], "log")
        self.assertEqual(snapshot.read_text(), "quiesce\n")

    def test_what_quiesce_left_in_the_snapshot_is_resumed_after_a_rollback(self):
        name, _ = self.database()
        code, report = self.run_on(name, "exit 3", *self.HOOKS)
        self.assertEqual((code, self.log(name)), (1, ["quiesce", "resume"]), report["message"])

    def test_resume_also_when_quiesce_or_a_snapshot_fails(self):
        name, volume = self.database("dir")
        code, report = self.run_on(name, "true", "--quiesce", "echo no >&2; exit 5", "--resume", "echo resume >>/data/log")
        self.assertEqual((code, report["reason"]), (3, "snapshot-failed"))
        self.assertIn("no", report["message"])
        # A file where the folder of the volume's snapshots should be.
        blocker = pathlib.Path(os.environ["INCUS_DIR"], "storage-pools", "dir", "custom-snapshots", f"default_{volume}")
        blocker.write_text("")
        self.addCleanup(blocker.unlink, missing_ok=True)
        code, report = self.run_on(name, "true", *self.HOOKS)
        self.assertEqual((code, report["reason"]), (3, "snapshot-failed"), report["message"])
        self.assertEqual(self.log(name), ["resume", "quiesce", "resume"])
        self.assertEqual(live.incus("snapshot", "list", name, "-f", "csv").stdout, "")
        self.assertEqual(live.status(name), "RUNNING")
        blocker.unlink()

    def test_resume_also_when_belay_gets_a_signal(self):
        name, _ = self.database()
        run = subprocess.Popen([os.environ["BELAY"], "run", *QUICK, "--quiesce", "touch /run/quiet; sleep 30", "--resume",
                                "echo resume >/data/log", name, "--", "true"], env=os.environ | self.env,
                               stdout=subprocess.DEVNULL)
        live.wait_until(lambda: (live.rootfs(name) / "run/quiet").exists(), 20, "quiesce runs")
        run.send_signal(signal.SIGTERM)
        self.assertEqual((run.wait(timeout=60), live.sh(name, "cat /data/log")), (3, "resume\n"))


class CannotGoWithIt(Volumes):
    def refused(self, name, *options):
        code, report = self.run_on(name, "touch /touched", *options)
        self.assertEqual((code, report["reason"]), (3, "uncovered"), report["message"])
        self.assertFalse((live.rootfs(name) / "touched").exists())
        return report["message"]

    def test_a_volume_that_another_instance_uses_too(self):
        name, volume = self.database()
        with live.instance() as other:
            live.incus("storage", "volume", "attach", "btrfs", volume, other, "/shared")
            self.assertIn(other, self.refused(name))
            self.assertIn("--uncovered /data", self.refused(name))
            code, report = self.run_on(name, self.UPGRADE + "exit 3", "--uncovered", "/data")
            self.assertEqual((code, self.both(name)), (1, ["old 1", "new"]), report["message"])

    def test_a_path_of_the_host(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(dir="/var/tmp"))
        name = self.instance()
        live.incus("config", "device", "add", name, "host", "disk", f"source={folder}", "path=/srv/host")
        self.assertIn("/srv/host", self.refused(name))
        self.assertIn("/srv/host", self.refused(name, "--uncovered", "/srv"))
        self.assertEqual(self.run_on(name, "true", "--uncovered", "/srv/host")[0], 0)
        live.incus("config", "device", "set", name, "host", "readonly=true")
        self.assertEqual(self.run_on(name, "true")[0], 0)

    def test_volumes_that_are_left_out(self):
        name, volume = self.database()
        self.assertIn("--volumes", self.refused(name, "--volumes", "none"))
        code, report = self.run_on(name, self.UPGRADE + "exit 3", "--volumes", "none", "--uncovered", "/data")
        self.assertEqual((code, self.both(name)), (1, ["old 1", "new"]), report["message"])
        self.assertIn("nowhere", self.refused(name, "--volumes", "nowhere"))
        code, report = self.run_on(name, "true", "--volumes", f"btrfs/{volume}")
        self.assertEqual(list(live.volume_snapshots("btrfs", volume)), [report["snapshot"]])

    def test_the_dry_run_shows_it(self):
        name, volume = self.database()
        done = live.belay("run", "--dry-run", "--volumes", "none", name, "--", "true", env=self.env)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        for text in f"btrfs/{volume}", "left out", "--uncovered /data":
            self.assertIn(text, done.stdout + done.stderr)


class Stuck(Volumes):
    def test_a_volume_that_cannot_be_restored_now_is_restored_by_a_recovery(self):
        name, volume = self.database()
        with live.instance() as other:
            run = subprocess.Popen([os.environ["BELAY"], "run", "--format", "json", *QUICK, name, "--", "sh", "-c",
                                    self.UPGRADE + "until [ -e /run/go ]; do sleep 0.05; done; exit 3"],
                                   env=os.environ | self.env, stdout=subprocess.PIPE, text=True)
            live.wait_until(lambda: (live.rootfs(name) / "app/1").read_text() == "new\n", 20, "the upgrade runs")
            live.incus("storage", "volume", "attach", "btrfs", volume, other, "/stolen")
            live.sh(name, "touch /run/go")
            report = json.loads(run.communicate(timeout=120)[0])
            self.assertEqual((run.returncode, report["outcome"]), (5, "stuck"), report["message"])
            self.assertEqual(live.status(name), "STOPPED")
            self.assertIn(f"incus storage volume snapshot restore btrfs {volume} {report['snapshot']}", report["manual"])
            self.assertLess(report["manual"].index(f"incus storage volume snapshot restore btrfs {volume} {report['snapshot']}"),
                            report["manual"].index(f"incus snapshot restore {name} {report['snapshot']}"))
            self.assertEqual(live.belay("recover", env=self.env).returncode, 5)
            live.incus("storage", "volume", "detach", "btrfs", volume, other)
        done = live.belay("recover", env=self.env)
        self.assertEqual((done.returncode, self.both(name)), (0, ["old 1", "old 1"]), done.stdout + done.stderr)
        self.assertEqual(live.volume_snapshots("btrfs", volume), {})


class FullPool(Volumes):
    def test_an_upgrade_that_fills_the_pool_is_undone(self):
        pool = f"s{os.getpid()}"
        live.incus("storage", "create", pool, "btrfs", "size=300MiB")
        self.addCleanup(live.incus, "storage", "delete", pool)
        name, volume = self.database(pool)
        before = live.tree(name, LIVELY), volume_tree(pool, volume)
        code, report = self.run_on(name, "dd if=/dev/zero of=/data/big bs=1M; echo new >/app/1; exit 3")
        self.assertEqual((code, report["outcome"]), (1, "rolled-back"), report["message"])
        self.assert_same_tree(before[0], live.tree(name, LIVELY))
        self.assertEqual(volume_tree(pool, volume), before[1])


class Schedules(Volumes):
    """Of every minute, with an expiry. They are upgraded from the first test of this file on, because a minute is long."""

    def test_a_snapshot_of_a_schedule_comes_in_between(self):
        def scheduled(name):
            return "auto" in live.incus("snapshot", "list", name, "-f", "csv", "-c", "n").stdout

        for name, run in SCHEDULED.items():
            live.wait_until(lambda: scheduled(name), 130, "the schedule has taken its snapshot")
            live.sh(name, "touch /run/go")
            report = json.loads(run.communicate(timeout=120)[0])
            self.assertEqual((run.returncode, live.sh(name, "cat /f")), (1, "old\n"), report["message"])
            self.assertEqual(live.incus("config", "get", name, "snapshots.schedule").stdout.strip(), "* * * * *")
            self.assertTrue(scheduled(name))


class Database(Volumes):
    """SQLite on a volume, written all the time: a row there, then its number on the root disk."""

    # bash: dash starts programs by vfork, and the freezer of cgroup v1 may wait for ever for one whose child it has frozen.
    WRITER = """#!/bin/bash
n=$(sqlite3 /data/app.db 'SELECT coalesce(max(n), 0) FROM t')
while :; do
    n=$((n + 1))
    sqlite3 /data/app.db "PRAGMA synchronous = FULL; INSERT INTO t VALUES ($n)" || exit 1
    echo $n >/app/number.new && mv /app/number.new /app/number
done
"""
    UNIT = """[Service]
ExecStartPre=/bin/sh -c 'sqlite3 /data/app.db "PRAGMA integrity_check; SELECT max(n) FROM t" >/run/at-start; cat /app/number >>/run/at-start'
ExecStart=/app/writer
[Install]
WantedBy=multi-user.target
"""

    def written_all_the_time(self, pool):
        volume = self.enterContext(live.volume(pool))
        name = self.instance(pool=pool, image="debian")
        live.incus("storage", "volume", "attach", pool, volume, name, "/data")
        live.wait_until(lambda: live.systemd_is_up(name), 60, "systemd is up")
        # Copies that take a while: what is not of one moment shows.
        live.sh(name, "mkdir /app; head -c 60000000 /dev/urandom >/data/big; "
                      "sqlite3 /data/app.db 'PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER PRIMARY KEY)'; echo 0 >/app/number")
        for path, text, mode in ("/app/writer", self.WRITER, "0755"), ("/etc/systemd/system/writer.service", self.UNIT, "0644"):
            live.incus("file", "push", "-", name + path, "--mode", mode, input=text)
        live.sh(name, "systemctl enable -q --now writer.service")
        return name

    def of_one_moment(self, pool, *options):
        name = self.written_all_the_time(pool)
        for _ in range(2):
            live.wait_until(lambda: int(live.sh(name, "cat /app/number")) % 100 > 20, 60, "it is being written")
            code, report = live.report("run", "--soak", "0", *options, name, "--", "sh", "-c",
                                       "sleep 0.5; systemctl stop writer; rm /data/app.db; echo 0 >/app/number; exit 3", env=self.env)
            self.assertEqual((code, report["outcome"]), (1, "rolled-back"), report["message"])
            seen = live.wait_until(lambda: live.sh(name, "cat /run/at-start 2>/dev/null || true").split(), 60, "the writer starts")
            self.assertEqual((seen[0], len(seen)), ("ok", 3), seen)
            self.assertIn(int(seen[1]) - int(seen[2]), (0, 1), f"the database and the root disk are of two moments: {seen}")
            self.assertGreater(int(seen[1]), 20)

    def test_of_one_moment_on_btrfs(self):
        self.of_one_moment("btrfs")

    def test_of_one_moment_on_dir(self):
        self.of_one_moment("dir")
