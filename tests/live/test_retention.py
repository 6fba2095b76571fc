# SPDX-License-Identifier: Apache-2.0
"""Which snapshots stay after kept upgrades, and what `belay prune` deletes: only belay's own, and not those in use."""

import datetime
import fcntl
import json
import pathlib
import tempfile

import live

QUICK = ("--no-checks", "--soak", "0", "--stop-timeout", "0", "--evidence-limit", "0")
WEEK = datetime.timedelta(days=7)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def time_of(text):
    """A time as Incus and belay write it; Python reads at most six digits of a fraction."""
    return datetime.datetime.fromisoformat(text.split(".")[0].removesuffix("Z") + "+00:00")


class Retention(live.TestCase):
    def setUp(self):
        self.state = self.enterContext(tempfile.TemporaryDirectory(prefix="belay-state-"))
        self.env = {"BELAY_STATE_DIR": self.state}
        self.name = self.instance()

    def belay(self, *args):
        return live.belay(*args, env=self.env)

    def upgrade(self, *options, script="true", code=0):
        """An upgrade of so little: the name of its snapshot."""
        ended, report = live.report("run", *QUICK, *options, self.name, "--", "sh", "-c", script, env=self.env)
        self.assertEqual(ended, code, report["message"])
        self.assertEqual(report["warnings"], [])
        return f"belay-{report['transaction']}"

    def snapshots(self, name=None):
        listed = live.incus("query", f"/1.0/instances/{name or self.name}/snapshots?recursion=1").stdout
        return {one["name"]: one for one in json.loads(listed)}

    def volume(self):
        name = f"{self.name}-data"
        live.incus("storage", "volume", "create", "btrfs", name)
        self.addCleanup(live.incus, "storage", "volume", "delete", "btrfs", name)
        self.addCleanup(live.incus, "config", "device", "remove", self.name, "data")
        live.incus("config", "device", "add", self.name, "data", "disk", "pool=btrfs", f"source={name}", "path=/srv")
        return name

    def volume_snapshots(self, volume):
        listed = live.incus("query", f"/1.0/storage-pools/btrfs/volumes/custom/{volume}/snapshots?recursion=1").stdout
        return {one["name"].rpartition("/")[2]: one for one in json.loads(listed)}

    def prune(self, *args, code=0):
        done = self.belay("prune", "--format", "json", *args)
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    def deleted(self, *args):
        return [one["snapshot"] for one in self.prune(*args)["deleted"] if one["target"] == "root"]

    def history(self):
        return {f"belay-{one['transaction']}": one for one in json.loads(self.belay("history", "--format", "json").stdout)}

    def assert_expires_in_a_week(self, snapshot):
        self.assertLess(abs(time_of(snapshot["expires_at"]) - now() - WEEK), datetime.timedelta(minutes=2))

    def test_three_kept_upgrades_leave_two_and_a_failed_one_pushes_nothing_out(self):
        first = self.upgrade()
        second = self.upgrade()
        self.upgrade(script="exit 1", code=1)
        self.assertEqual(set(self.snapshots()), {first, second})
        third = self.upgrade()
        there = self.snapshots()
        self.assertEqual(set(there), {second, third})
        self.assert_expires_in_a_week(there[third])

        told = self.history()
        self.assertEqual([told[one]["undoable"] for one in (first, second, third)], [False, True, True])
        self.assertEqual(time_of(told[third]["undo_until"]), time_of(there[third]["expires_at"]))
        lines = self.belay("history").stdout
        self.assertIn("not any more", lines)
        self.assertIn(time_of(there[third]["expires_at"]).strftime("undo until %Y-%m-%d %H:%M"), lines)
        self.assertIn("stays until 20", self.belay("show", third.removeprefix("belay-")).stdout)

        refused = self.belay("rollback", "--yes", "--discard-newer", first.removeprefix("belay-"))
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.assertIn(f"snapshot {first} of instance {self.name} is gone", refused.stderr)

    def test_volumes_expire_and_go_with_the_instance_and_come_back_with_it(self):
        volume = self.volume()
        first = self.upgrade("--keep", "1")
        self.assertEqual(set(self.volume_snapshots(volume)), {first})
        self.assert_expires_in_a_week(self.volume_snapshots(volume)[first])
        live.incus("storage", "volume", "snapshot", "create", "btrfs", volume, "mine")
        second = self.upgrade("--keep", "1", script="echo new >/srv/state")
        self.assertEqual(set(self.volume_snapshots(volume)), {second, "mine"})
        self.assertEqual(set(self.snapshots()), {second})

        code, report = live.report("rollback", "--yes", "--stop-timeout", "0", self.name, env=self.env)
        self.assertEqual(code, 0, report["message"])
        self.assertEqual(live.sh(self.name, "cat /srv/state 2>/dev/null || echo gone"), "gone\n")
        for one in self.snapshots()[second], self.volume_snapshots(volume)[second]:
            never = one["expires_at"] is None or one["expires_at"].startswith("0001-01-01")
            self.assertTrue(never, one["expires_at"])

    def test_prune_deletes_what_is_belays_and_nothing_else(self):
        old = [self.upgrade("--keep", "0", "--keep-for", "0") for _ in range(3)]
        live.incus("snapshot", "create", self.name, "belay-foo")
        live.incus("snapshot", "create", self.name, "belay-20200101t000000z-0000")  # named well, and no journal has it
        foreign = self.upgrade("--keep", "0")
        live.incus("snapshot", "delete", self.name, foreign)
        live.incus("snapshot", "create", self.name, foreign)  # the journal has it, the key is not in it
        copy = f"{self.name}-copy"
        live.incus("copy", self.name, copy)
        self.addCleanup(live.delete, copy)
        everything = set(self.snapshots())
        self.assertEqual(self.deleted(), [])  # they asked for any number
        self.assertEqual(self.deleted("--dry-run", "--keep", "1"), old[:2])
        self.assertEqual(set(self.snapshots()), everything)
        self.assertEqual(self.history()[old[0]]["undo_until"], None)
        self.assertIn("undo: no limit", self.belay("history").stdout)

        self.assertEqual(self.deleted("--keep", "1"), old[:2])
        self.assertEqual(set(self.snapshots()), everything - set(old[:2]))
        self.assertEqual(set(self.snapshots(copy)), everything)
        self.assertEqual(self.deleted("--keep", "1"), [])

        # A copy in the place of the instance carries its snapshots, keys and name, and is another one.
        live.delete(self.name)
        live.incus("rename", copy, self.name)
        self.assertEqual(self.deleted("--keep", "1"), [])
        self.assertEqual(set(self.snapshots()), everything)

    def test_a_locked_instance_is_skipped(self):
        first = self.upgrade("--keep", "0")
        second = self.upgrade("--keep", "0")
        [lock] = pathlib.Path(self.state, "locks").iterdir()
        with open(lock, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            done = self.prune("--keep", "1", self.name)
            self.assertEqual([(one["instance"], one["reason"]) for one in done["skipped"]], [(self.name, "locked")])
        self.assertEqual(done["deleted"], [])

        live.incus("config", "set", self.name, "user.belay.transaction", "somebody else")
        done = self.belay("prune", "--keep", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{self.name}: skipped: ", done.stdout)
        self.assertEqual(set(self.snapshots()), {first, second})

        live.incus("config", "unset", self.name, "user.belay.transaction")
        self.assertIn(f"{self.name}: deleted {first}: a newer upgrade was kept", self.belay("prune", "--keep", "1").stdout)
        self.assertEqual(set(self.snapshots()), {second})

    def test_prune_of_what_is_not_there(self):
        self.assertEqual(self.belay("prune", "nobody").returncode, 2)
        self.upgrade()
        done = live.belay("prune", env=self.env | {"INCUS_SOCKET": "/nowhere"})
        self.assertEqual(done.returncode, 3)
        self.assertNotEqual(done.stderr, "")
