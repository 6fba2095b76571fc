# SPDX-License-Identifier: Apache-2.0
"""belay doctor on a real Incus: what is left over is found, and the printed command takes it away."""

import contextlib
import grp
import json
import os
import pathlib
import stat
import subprocess
import tempfile

import live

TXN = "20200101t000000z-ab12"
SNAPSHOT = f"belay-{TXN}"
NOBODY = 65534


class Doctor(live.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="belay-doctor-")))
        self.state = self.folder / "state"
        self.config = self.folder / "config"
        # Printed commands call belay by its name.
        self.env = {"BELAY_STATE_DIR": str(self.state), "XDG_CONFIG_HOME": str(self.config),
                    "PATH": f"{pathlib.Path(os.environ['BELAY']).parent}:{os.environ['PATH']}"}

    def doctor(self, *args, env=None):
        """Exit code and what is said, without what other tests of this daemon have left."""
        done = live.belay("doctor", "--format", "json", *args, env=self.env | (env or {}))
        self.assertEqual(done.stderr, "")
        return done.returncode, json.loads(done.stdout)

    def findings(self, word=None, about=None):
        code, all_said = self.doctor()
        found = [one for one in all_said if one["level"] == "finding"]
        self.assertEqual(code, 1 if found else 0)
        return [one for one in found if word in (None, one["word"]) and (about is None or about in one["what"])]

    def only(self, word, about):
        found = self.findings(word, about)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def mend(self, finding, word, about):
        """Runs the printed commands; the finding is gone then."""
        self.assertTrue(finding["mend"], finding)
        for command in finding["mend"]:
            done = live.run("sh", "-c", command, env=self.env)
            self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}\n{done.stderr}")
        self.assertEqual(self.findings(word, about), [])

    def assert_mended(self, word, about):
        self.mend(self.only(word, about), word, about)

    def run_belay(self, name, *command, options=()):
        return live.belay("run", "--no-checks", "--soak", "0", "--format", "json", *options, name, "--", *command,
                          env=self.env)

    def kept(self, name):
        done = self.run_belay(name, "true")
        self.assertEqual(done.returncode, 0, done.stdout)
        return json.loads(done.stdout)["transaction"]


class Healthy(Doctor):
    def test_a_host_without_findings(self):
        name = self.instance()
        self.kept(name)
        code, said = self.doctor()
        self.assertEqual(code, 0, said)
        words = {one["word"] for one in said if one["level"] == "ok"}
        self.assertLessEqual({"socket", "extension", "client", "state-directory", "journal", "check", "instance"}, words)
        text = live.belay("doctor", env=self.env)
        self.assertEqual(text.returncode, 0)
        self.assertIn("This host is able to run belay.", text.stdout)
        self.assertEqual(live.belay("doctor", "-q", env=self.env).stdout, "")

    def test_it_makes_nothing(self):
        self.doctor()
        self.assertFalse(self.state.exists())
        self.state.mkdir(mode=0o700)
        self.doctor()
        self.assertEqual(list(self.state.iterdir()), [])


class Instances(Doctor):
    def test_locks_of_closed_unknown_and_copied_transactions(self):
        name = self.instance()
        txn = self.kept(name)
        for lock, says in ((f"{txn} m b 1", "has ended"), (f"{TXN} other b 1", "another machine"),
                           ("mine", "did not write")):
            with self.subTest(lock=lock):
                live.incus("config", "set", name, f"user.belay.transaction={lock}")
                self.assertIn(says, self.only("lock", name)["what"])
                self.assert_mended("lock", name)

    def test_a_copy_of_an_instance_in_a_transaction(self):
        name, copy = self.instance(), f"c{os.getpid()}"
        self.addCleanup(live.delete, copy)
        run = subprocess.Popen([os.environ["BELAY"], "run", "--no-checks", "--soak", "0", name, "--", "sh", "-c",
                                "touch /begun; sleep 60"],
                               env=os.environ | self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")
            live.incus("copy", name, copy)
            self.assertEqual(self.findings(about=name), [], "a transaction under way leaves nothing over")
            self.assertIn("this one is a copy", self.only("lock", copy)["what"])
            self.assert_mended("lock", copy)
            self.assert_mended("snapshot", copy)
        finally:
            run.kill()  # and now it is interrupted
            run.wait()
        self.assert_mended("transaction", name)
        self.assertEqual(self.findings(about=name), [])

    def test_snapshots_of_unknown_and_closed_transactions_in_a_project(self):
        live.incus("project", "create", "doctor-p", "-c", "features.images=false", "-c",
                   "features.profiles=false")
        self.addCleanup(live.incus, "project", "delete", "doctor-p")
        name = f"p{os.getpid()}"
        live.incus("init", "tiny", name, "--storage", "btrfs", "--project", "doctor-p")
        self.addCleanup(live.incus, "delete", "--force", name, "--project", "doctor-p")
        live.incus("snapshot", "create", name, SNAPSHOT, "--project", "doctor-p")
        live.incus("snapshot", "create", name, "mine", "--project", "doctor-p")
        self.assertIn("project doctor-p", self.only("snapshot", name)["what"])
        self.assert_mended("snapshot", name)
        left = live.incus("snapshot", "list", name, "--project", "doctor-p", "-f", "csv", "-c", "n").stdout.split()
        self.assertEqual(left, ["mine"])

    def test_a_snapshot_that_should_be_gone_and_the_witness_of_a_restore(self):
        name = self.instance()
        done = self.run_belay(name, "false")
        txn = json.loads(done.stdout)["transaction"]
        self.assertEqual(done.returncode, 1, done.stdout)
        live.incus("snapshot", "create", name, f"belay-{txn}")
        live.incus("config", "set", name, f"user.belay.restored={txn}")
        self.assertIn("ended without one", self.only("snapshot", name)["what"])
        self.assert_mended("snapshot", name)
        self.assert_mended("restored-key", name)

    def test_a_lost_state_directory_leads_back_to_the_snapshot(self):
        name = self.instance()
        run = subprocess.Popen([os.environ["BELAY"], "run", "--no-checks", name, "--", "sh", "-c",
                                "touch /begun; sleep 60"],
                               env=os.environ | self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")
        finally:
            run.kill()
            run.wait()
        txn = live.incus("config", "get", name, "user.belay.transaction").stdout.split()[0]
        self.state.rename(self.folder / "lost")
        found = self.only("lock", name)
        self.assertEqual(self.findings("snapshot", name), [], "the way back may not be deleted")
        self.assertEqual(found["mend"], [f"belay rollback {name} --snapshot belay-{txn}"])
        found["mend"][0] += " --yes"
        self.mend(found, "lock", name)
        self.assertFalse((live.rootfs(name) / "begun").exists())

    def test_a_kept_broken_state_is_a_note(self):
        name = f"x-failed-{TXN}"
        live.incus("init", "tiny", name, "--storage", "dir")
        self.addCleanup(live.incus, "delete", name, check=False)
        code, said = self.doctor()
        notes = [one for one in said if one["word"] == "failed-copy"]
        self.assertEqual((code, [one["level"] for one in notes]), (0, ["note"]), said)
        live.run("sh", "-c", notes[0]["mend"][0], check=True)
        self.assertEqual([one for one in self.doctor()[1] if one["word"] == "failed-copy"], [])

    def test_what_a_restore_has_moved_aside(self):
        name = self.instance()
        place = live.rootfs(name).parent.resolve()
        live.run("btrfs", "subvolume", "create", f"{place}.incustmp", check=True)
        self.assert_mended("moved-aside", name)
        self.assertTrue((place / "rootfs").is_dir())
        self.assertFalse(os.path.exists(f"{place}.incustmp"))


class Host(Doctor):
    def test_a_state_directory_that_is_open_to_others(self):
        self.state.mkdir(mode=0o700)
        self.state.chmod(0o777)
        self.assert_mended("state-directory", "0777")
        self.assertEqual(stat.S_IMODE(self.state.stat().st_mode), 0o700)

    def test_a_full_disk(self):
        self.state.mkdir(mode=0o700)
        live.run("mount", "-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs", self.state, check=True)
        self.addCleanup(live.run, "umount", self.state, check=True)
        self.only("room", str(self.state))

    def test_damaged_and_empty_journals(self):
        name = self.instance()
        txn = self.kept(name)
        file = self.state / "transactions" / txn / "journal.jsonl"
        lines = file.read_text().splitlines()
        lines[1] = "garbage"
        file.write_text("\n".join(lines) + "\n")
        self.assertIn(str(file), self.only("journal", txn)["what"])
        self.assert_mended("journal", txn)
        (self.state / "transactions" / TXN).mkdir(mode=0o700)
        notes = [one for one in self.doctor()[1] if one["word"] == "journal" and one["level"] == "note"]
        self.assertEqual(len(notes), 1)

    def test_checks_that_do_not_load(self):
        checks = self.config / "belay" / "checks"
        checks.mkdir(parents=True)
        file = checks / "bad"
        file.write_text("#!/bin/sh\n# belay: where=host\n")
        file.chmod(0o644)
        self.assert_mended("check", "not executable")
        file.chmod(0o777)
        self.assert_mended("check", "not run as root")
        file.write_text("#!/bin/sh\n# belay: when=never\n")
        self.only("check", "'when'")
        file.write_text("#!/nowhere/perl\n# belay: where=host\n")
        self.only("check", "/nowhere/perl")

    def test_without_a_daemon_and_without_its_client(self):
        with tempfile.TemporaryDirectory() as empty:
            code, said = self.doctor(env={"INCUS_DIR": empty, "PATH": empty})
        self.assertEqual(code, 1)
        self.assertEqual({one["word"] for one in said if one["level"] == "finding"}, {"socket", "client"})


class Users(Doctor):
    def as_nobody(self, *groups):
        self.folder.chmod(0o755)
        state = self.folder / "of-nobody"
        state.mkdir(exist_ok=True)
        os.chown(state, NOBODY, NOBODY)
        groups = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
        done = live.run("setpriv", "--reuid", NOBODY, "--regid", NOBODY, *groups, os.environ["BELAY"], "doctor",
                        "--format", "json", env={"BELAY_STATE_DIR": f"{state}/belay", "HOME": str(state)})
        said = json.loads(done.stdout)
        self.assertEqual(done.stderr, "")
        return done.returncode, said

    def test_a_user_without_permission(self):
        socket = pathlib.Path(os.environ["INCUS_DIR"], "unix.socket")
        code, said = self.as_nobody()
        self.assertEqual((code, [one["word"] for one in said if one["level"] == "finding"]), (1, ["socket"]), said)
        with contextlib.suppress(KeyError):
            group = grp.getgrnam("incus-admin").gr_gid
            self.addCleanup(os.chown, socket, 0, socket.stat().st_gid)
            os.chown(socket, 0, group)
            code, said = self.as_nobody()
            found = [one for one in said if one["level"] == "finding"]
            self.assertEqual((code, [one["mend"] for one in found]), (1, [["usermod -aG incus-admin nobody"]]), said)
            code, said = self.as_nobody(group)
            self.assertEqual((code, [one for one in said if one["level"] == "finding"]), (0, []))
