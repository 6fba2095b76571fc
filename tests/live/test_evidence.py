# SPDX-License-Identifier: Apache-2.0
"""What is left of an upgrade that was undone: evidence, the packages, the broken state. On a real Incus."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import live

COLLECTORS = pathlib.Path(__file__).resolve().parents[2] / "hooks" / "evidence"
QUICK = ("--no-checks", "--soak", "0", "--stop-timeout", "0")
BREAK = "echo broken >/etc/state; echo 'dpkg: error processing package x' >&2; exit 7"
APK = "C:Q1x\nP:musl\nV:1.2.4-r2\n\nC:Q1y\nP:gone\nV:1\n\n"


class Processes(unittest.TestCase):
    """The collector where ps is none of procps."""

    @contextlib.contextmanager
    def sleepers(self, names):
        """A process of each name, for as long as it is looked at."""
        processes = [subprocess.Popen([name, "60"], executable=shutil.which("sleep")) for name in names]
        try:
            yield processes
        finally:
            for one in processes:
                one.kill()
                one.wait()

    def test_the_ps_of_busybox(self):
        with tempfile.TemporaryDirectory() as folder, self.sleepers(["plain  name", "x" * 500, "first\nsecond"]) as sleepers:
            for name in ("ps", "busybox"):
                os.symlink(shutil.which("busybox"), f"{folder}/{name}")
            path = {"PATH": f"{folder}:{os.environ['PATH']}"}
            done = live.run("busybox", "sh", COLLECTORS / "processes", check=True, env=path)
            lines = done.stdout.splitlines()
            self.assertEqual(lines[0].split(), ["PID", "PPID", "USER", "STAT", "RSS", "COMMAND"])
            shown = [next(line for line in lines if line.split()[:1] == [str(one.pid)]) for one in sleepers]
            self.assertEqual(shown[0].split()[1:4], [str(os.getpid()), "root", "S"])
            self.assertTrue(shown[0].endswith(" plain  name 60"), shown)
            self.assertEqual([len(shown[1]), shown[2].endswith(" first second 60")], [400, True])
            self.assertRegex(done.stdout, r"\nMemTotal: +[0-9]+ kB\n")

    def test_command_lines_from_proc(self):
        text = (COLLECTORS / "processes").read_text()
        for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"]):
            with self.subTest(shell), tempfile.TemporaryDirectory() as folder:
                names = ["plain  name", "x" * 500, "first\nsecond",
                         f"y\n==> /proc/1;touch $IFS{folder}/run/cmdline <==\nz\n==> /proc/1/cmdline <==\nforged"]
                with self.sleepers(names) as sleepers:
                    done = live.run(*shell, "-c", "ps() { return 1; }\n" + text, "processes", check=True)
                lines = {int(line.split()[0]): line for line in done.stdout.splitlines() if re.match(r" *[0-9]+ +[0-9]+ ", line)}
                shown = [lines[one.pid].split(" kB ", 1)[1].strip() for one in sleepers]
                self.assertEqual(shown, ["plain  name 60", "x" * 400, "first", "y"])
                self.assertEqual(lines[sleepers[0].pid].split()[1:3], [str(os.getpid()), "S"])
                self.assertNotIn("forged", lines[1])
                self.assertRegex(done.stdout, r"\nMemTotal: +[0-9]+ kB\n")
                self.assertEqual(os.listdir(folder), [])


    def test_what_is_shown_has_an_end_and_no_devices(self):
        text = (COLLECTORS / "processes").read_text()
        df = "df() { echo \"$1\"; echo 'tmpfs 1 /run'; echo 'devtmpfs 1 /dev/null'; echo 'none 1 /proc/sys/x'; }\n"
        for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"]):
            for rows, more in ((500, []), (700, ["and 200 more"])):
                with self.subTest(shell, rows=rows):
                    done = live.run(*shell, "-c", f"ps() {{ seq {rows}; }}\n{df}{text}", "processes", check=True)
                    processes, memory, blocks, inodes = done.stdout.split("\n\n")
                    self.assertEqual(processes.splitlines(), [str(i + 1) for i in range(500)] + more)
                    self.assertIn("MemTotal:", memory)
                    self.assertEqual([blocks.splitlines(), inodes.splitlines()],
                                     [["-k", "tmpfs 1 /run"], ["-i", "tmpfs 1 /run"]])


class Evidence(live.TestCase):
    def run_belay(self, name, *options, script=BREAK):
        return live.report("run", *QUICK, *options, name, "--", "sh", "-c", script)

    def file(self, report, name):
        return pathlib.Path(live.state_dir(), "transactions", report["transaction"], "evidence", name).read_text()

    def seconds_of(self, report, phase):
        return sum(p["seconds"] for p in report["phases"] if p["name"] == phase)

    def prepared(self, pool="btrfs"):
        name = self.instance(pool=pool)
        live.sh(name, "mkdir -p /lib/apk/db; echo fine >/etc/state")
        (live.rootfs(name) / "lib/apk/db/installed").write_text(APK)
        return name

    def test_a_failed_upgrade_leaves_its_evidence(self):
        name = self.prepared()
        live.sh(name, "mkdir -p /var/log/apt")
        code, report = self.run_belay(
            name, "--evidence", "cat /etc/state; echo seen >&2",
            script="echo 'E: cannot install' >/var/log/apt/term.log; sed -i 's/1.2.4-r2/1.2.5-r0/; s/^P:gone/P:new/' "
                   "/lib/apk/db/installed; " + BREAK)
        self.assertEqual((code, report["outcome"]), (1, "rolled-back"), report)
        self.assertEqual(report["evidence"], ["packages", "package-log", "processes", "command-1"])
        self.assertEqual(self.file(report, "command-1"), "$ cat /etc/state; echo seen >&2\nbroken\nseen\n")
        self.assertIn("E: cannot install", self.file(report, "package-log"))
        self.assertIn("/sbin/init", self.file(report, "processes"))
        self.assertNotIn("belay: where=", self.file(report, "processes"), "the collectors show themselves")
        self.assertNotIn("sh -s belay", self.file(report, "processes"), "nor does what runs them")
        self.assertEqual(report["packages"], {"upgraded": [{"name": "musl", "from": "1.2.4-r2", "to": "1.2.5-r0"}],
                                              "added": [{"name": "new", "version": "1"}],
                                              "removed": [{"name": "gone", "version": "1"}]})
        self.assertEqual(live.sh(name, "cat /etc/state"), "fine\n")
        shown = live.belay("show", report["transaction"]).stdout
        self.assertIn("    package-log  E: cannot install\n", shown)
        self.assertIn("upgraded musl 1.2.4-r2 → 1.2.5-r0\n", shown)
        self.assertLess(shown.index("dpkg: error processing"), shown.index("\nEvidence\n"))
        self.assertLess(shown.index("\nEvidence\n"), shown.index("\nPhases\n"))

    def test_collectors_that_do_not_end_cost_the_limit_and_no_more(self):
        name = self.prepared()
        begin = time.monotonic()
        code, report = self.run_belay(name, "--evidence-limit", "2s", "--evidence", "echo begun; sleep 1000",
                                      "--evidence", "while :; do echo flood; done",
                                      "--evidence", "trap '' TERM INT HUP; while :; do sleep 1; done")
        self.assertEqual((code, report["outcome"]), (1, "rolled-back"), report)
        self.assertLess(self.seconds_of(report, "evidence"), 2.5)
        self.assertLess(time.monotonic() - begin, 15)
        self.assertTrue(self.file(report, "command-1").endswith("\nbegun\n"))
        self.assertTrue(self.file(report, "command-2").endswith("flood\n"))
        self.assertNotIn("command-3", report["evidence"])
        self.assertEqual(live.sh(name, "cat /etc/state"), "fine\n")

    def test_a_frozen_instance_costs_the_limit_and_no_more(self):
        name = self.prepared()
        freezer = pathlib.Path("/sys/fs/cgroup", f"lxc.payload.{name}", "cgroup.freeze")
        if not freezer.exists():
            freezer = pathlib.Path("/sys/fs/cgroup/freezer", f"lxc.payload.{name}", "freezer.state")
        if not freezer.exists():
            self.skipTest("no freezer of the instance is found")
        # A check on the host freezes the instance, and fails: the state is broken, and nothing in it answers.
        folder = self.enterContext(tempfile.TemporaryDirectory())
        check = pathlib.Path(folder, "freezes")
        check.write_text(f"#!/bin/sh\n# belay: where=host timeout=10s summary=Freezes it\n"
                         f"[ $BELAY_PHASE = verify ] || exit 0\nincus pause {name}\nexit 1\n")
        check.chmod(0o755)
        code, report = self.run_belay(name, "--check", str(check), "--retry-for", "0", "--evidence-limit", "2s",
                                      script="echo broken >/etc/state")
        self.assertLess(self.seconds_of(report, "evidence"), 2.5)
        self.assertEqual((code, report["outcome"]), (1, "rolled-back"), report)
        self.assertEqual(live.sh(name, "cat /etc/state"), "fine\n")

    def test_a_limit_of_nothing_saves_nothing(self):
        name = self.prepared()
        code, report = self.run_belay(name, "--evidence-limit", "0", "--evidence", "echo x")
        self.assertEqual((code, report["evidence"]), (1, []))
        self.assertFalse(pathlib.Path(live.state_dir(), "transactions", report["transaction"], "evidence").exists())
        self.assertNotIn("evidence", [p["name"] for p in report["phases"]])

    def test_the_broken_state_is_kept_as_a_stopped_instance(self):
        live.incus("network", "create", "evbr", "ipv4.address=none", "ipv6.address=none", check=False)
        self.addCleanup(live.incus, "network", "delete", "evbr", check=False)
        for pool in ("btrfs", "dir"):
            with self.subTest(pool=pool):
                name = self.prepared(pool)
                live.incus("storage", "volume", "create", pool, f"vol-{name}")
                self.addCleanup(live.incus, "storage", "volume", "delete", pool, f"vol-{name}", check=False)
                self.addCleanup(live.delete, name)
                live.incus("config", "device", "add", name, "data", "disk", f"pool={pool}", f"source=vol-{name}",
                           "path=/data")
                nic = live.incus("config", "device", "add", name, "eth0", "nic", "network=evbr", check=False)
                code, report = self.run_belay(name, "--keep-failed")
                self.assertEqual((code, report["outcome"]), (1, "rolled-back"), report)
                copy = report["failed_copy"]
                self.addCleanup(live.delete, copy)
                self.assertEqual(copy, f"{name}-failed-{report['transaction']}")
                self.assertEqual(live.status(copy), "STOPPED")
                about = live.settings(copy)
                self.assertEqual(about["description"], live.DESCRIPTION)
                kinds = {device: d["type"] for device, d in about["expanded_devices"].items()}
                self.assertEqual(kinds["data"], "none")
                if nic.returncode == 0:
                    self.assertEqual(kinds["eth0"], "none")
                self.assertNotIn("user.belay.transaction", about["config"])
                self.assertEqual((live.rootfs(copy) / "etc/state").read_text(), "broken\n")
                self.assertEqual(live.sh(name, "cat /etc/state"), "fine\n")
                live.incus("start", copy)  # somebody looks into it
                self.assertEqual(live.sh(copy, "cat /etc/state"), "broken\n")
                shown = live.belay("show", report["transaction"]).stdout
                self.assertIn(f"incus start {copy}\n", shown)
                self.assertIn(f"incus delete {copy}\n", shown)

    def test_no_snapshot_stays_when_no_package_changed(self):
        name = self.prepared()
        code, report = self.run_belay(name, "--drop-if-unchanged", script="true")
        self.assertEqual((code, report["outcome"], report["snapshot"]), (0, "unchanged", None), report)
        self.assertEqual(live.incus("snapshot", "list", name, "-f", "csv").stdout, "")
        code, report = self.run_belay(name, "--drop-if-unchanged", script="sed -i s/r2/r3/ /lib/apk/db/installed")
        self.assertEqual((code, report["outcome"]), (0, "committed"), report)
        self.assertTrue(report["snapshot"])
        bare = self.instance()
        code, report = self.run_belay(bare, "--drop-if-unchanged", script="true")
        self.assertEqual((code, report["outcome"], report["packages"]), (0, "committed", None), report)

    def test_a_refused_run_shows_every_disk(self):
        name = self.prepared()
        live.incus("config", "device", "add", name, "host", "disk", "source=/usr/share", "path=/srv")
        done = live.belay("run", *QUICK, name, "--", "true")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stdout, r"    ✓  root +/ +\S+ +with the instance\n")
        self.assertRegex(done.stdout, r"    ✗  host +/srv +/usr/share +on the host: NOT covered\n")
        self.assertIn("add --uncovered /srv\n", done.stdout)
        dry = live.belay("run", "--dry-run", name, "--", "true")
        self.assertEqual(dry.returncode, 3)
        self.assertIn("on the host: NOT covered\n", dry.stdout)
        self.assertIn("journal, package-log, processes, within 5s\n", dry.stdout)
