# SPDX-License-Identifier: Apache-2.0
"""What would make a rollback fail is found before anything is touched: the run is refused and the instance as it was."""

import datetime
import json
import os
import pathlib
import subprocess

import live

QUICK = "--no-checks", "--soak", "0"
POOLS = pathlib.Path(os.environ.get("BELAY_TEST_INCUS_DIR", ""), "incus", "storage-pools")


def query(path):
    return json.loads(live.incus("query", path).stdout)


def free(pool):
    space = query(f"/1.0/storage-pools/{pool}/resources")["space"]
    return space["total"] - space["used"]


def moment(text):
    """A time of a report or of Incus, to the millisecond, which is what a report has."""
    time = datetime.datetime.fromisoformat(text)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class Obstacles(live.TestCase):
    def refused(self, name, reason, *options, project="default"):
        """Runs belay, which must refuse and leave the instance alone: its message. A dry run must say the same."""
        before = self.seen(name, project)
        args = *QUICK, *options, "--project", project, name, "--", "true"
        code, report = live.report("run", *args)
        self.assertEqual((code, report["outcome"], report["reason"]), (3, "refused", reason), report["message"])
        self.assertEqual(self.seen(name, project), before)
        dry = live.belay("run", "--dry-run", *args)
        self.assertEqual(dry.returncode, 3, dry.stderr)
        self.assertEqual(self.seen(name, project), before)
        return report["message"]

    def seen(self, name, project):
        path = f"/1.0/instances/{name}?recursion=1&project={project}"
        found = query(path)
        return found["status"], found["config"], found["last_used_at"], found.get("snapshots")

    def test_a_pool_without_what_min_free_asks_for(self):
        name = self.instance()
        message = self.refused(name, "no-space", "--min-free", "2TiB")
        self.assertIn("storage pool btrfs has ", message)
        self.assertIn("2 TiB (--min-free) must be free", message)
        code, report = live.report("run", *QUICK, "--min-free", "1MiB", name, "--", "true")
        self.assertEqual(code, 0, report["message"])

    def test_a_full_copy_that_does_not_fit_on_driver_dir(self):
        name = self.instance(pool="dir")
        live.incus("exec", name, "--", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=600")
        message = self.refused(name, "no-space", "--min-free", str(free("dir") - (300 << 20)))
        self.assertIn(f"the snapshot of instance {name} 60", message)  # 600 MiB, and what else there is

    def test_what_a_cut_restore_left_on_btrfs(self):
        name = self.instance()
        leftover = POOLS / "btrfs" / "containers" / f"{name}.incustmp"
        leftover.mkdir()
        self.addCleanup(lambda: leftover.exists() and leftover.rmdir())
        message = self.refused(name, "not-restorable")
        command = message[message.index("`if rmdir ") + 1:message.rindex("`")]
        live.run("sh", "-c", command, check=True)  # it mends what it is about
        self.assertFalse(leftover.exists())
        code, report = live.report("run", *QUICK, name, "--", "false")
        self.assertEqual((code, report["outcome"]), (1, "rolled-back"), report["message"])

    def test_limits_and_restrictions_of_a_project(self):
        project = f"p{os.getpid()}"
        live.incus("project", "create", project, "--config", "features.images=false")
        self.addCleanup(live.incus, "project", "delete", project)
        live.incus("launch", "tiny", "one", "--project", project, "--storage", "btrfs")
        self.addCleanup(live.incus, "delete", "--force", "one", "--project", project)
        live.incus("project", "set", project, "limits.containers=1")
        message = self.refused("one", "not-restorable", "--keep-failed", project=project)
        self.assertIn(f"incus project set {project} limits.containers=2", message)
        code, report = live.report("run", *QUICK, "--project", project, "one", "--", "true")
        self.assertEqual(code, 0, report["message"])  # a snapshot is no instance
        live.incus("project", "set", project, "restricted=true", "restricted.containers.privilege=allow")
        message = self.refused("one", "not-restorable", project=project)
        self.assertIn(f"incus project set {project} restricted.snapshots=allow", message)

    def test_a_backup_that_is_under_way_is_waited_for(self):
        name = self.instance(pool="dir")
        live.incus("exec", name, "--", "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=40")
        with subprocess.Popen(["incus", "export", name, os.devnull, "--compression", "gzip", "--quiet"]) as export:
            backup = live.wait_until(lambda: self.backup_of(name), 10, "the backup is under way")
            with subprocess.Popen(["incus", "query", f"/1.0/operations/{backup}/wait"], stdout=subprocess.PIPE,
                                  text=True) as wait:
                code, report = live.report("run", *QUICK, name, "--", "true")
                self.assertEqual(code, 0, report["message"])
                end = json.loads(wait.communicate(timeout=60)[0])["updated_at"]
            export.wait(60)
        # Not only the snapshot, for which Incus itself may wait: nothing was begun before.
        begun = next(phase["started"] for phase in report["phases"] if phase["name"] == "lock")
        self.assertGreaterEqual(moment(begun), moment(end))

    def backup_of(self, name):
        """The id of the backup of an instance that is under way, or nothing."""
        running = query("/1.0/operations?recursion=1").get("running") or []
        return next((one["id"] for one in running if f"/1.0/instances/{name}" in (one["resources"] or {}).get("instances", [])
                     and one["description"] == "Backing up instance"), None)
