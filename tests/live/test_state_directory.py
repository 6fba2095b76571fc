# SPDX-License-Identifier: Apache-2.0
"""A state directory that fills up, journals that are damaged, and locks of interrupted transactions."""

import json
import os
import pathlib
import subprocess
import tempfile

import live
from test_run import QUICK, Web

UPGRADE = "echo 'version 2' >/var/www/index.html; touch /begun; "
WAIT = "until [ -e /go ]; do sleep 0.05; done; "


class StateDirectory(Web):
    def state(self):
        return pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="belay-state-")))

    def launch(self, name, script, state, options=QUICK):
        run = subprocess.Popen([os.environ["BELAY"], "run", "--format", "json", *options, name, "--", "sh", "-c",
                                script], env=os.environ | {"BELAY_STATE_DIR": str(state)},
                               stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, run)
        return run

    def end(self, run):
        run.kill()
        run.wait()
        run.stdout.close()

    def wait_for_upgrade(self, name):
        live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")

    def interrupt(self, name, state):
        """Kills a belay in the middle of its upgrade: its transaction."""
        run = self.launch(name, f"{UPGRADE}sleep 60", state)
        self.wait_for_upgrade(name)
        run.kill()
        run.wait()
        return self.lock(name).split()[0], run.pid

    def outcomes(self, state):
        done = live.belay("history", "--format", "json", "--state-dir", state, check=True)
        return {entry["transaction"]: entry["outcome"] for entry in json.loads(done.stdout)}

    def assert_old(self, name):
        self.wait_for_web(name)
        self.assertEqual(self.page(name), "version 1\n")
        self.assertFalse((live.rootfs(name) / "begun").exists())
        self.assert_clean(name)
        self.assertNotIn("user.belay", live.incus("config", "show", name).stdout)


class Full(StateDirectory):
    def test_a_file_system_that_fills_up_during_the_upgrade(self):
        name, state = self.web("btrfs"), self.state()
        live.run("mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", state, check=True)
        self.addCleanup(live.run, "umount", state, check=True)
        # So many checks that their results do not fit into what is left of the journal's last block.
        checks = [word for number in range(20) for word in ("--check-cmd", f"true {number} {'x' * 100}")]
        run = self.launch(name, UPGRADE + WAIT, state, (*QUICK, *checks))
        try:
            self.wait_for_upgrade(name)
            full = live.run("dd", "if=/dev/zero", f"of={state}/filler", "bs=4k")
            self.assertIn("No space left", full.stderr)
            (live.rootfs(name) / "go").touch()
            report = json.loads(run.communicate(timeout=60)[0])
            self.assertEqual((run.returncode, report["outcome"], report["reason"]), (1, "rolled-back", "io-error"),
                             report["message"])
            self.wait_for_web(name)
            self.assertEqual(self.page(name), "version 1\n")
            (state / "filler").unlink()
            done = live.belay("recover", "--state-dir", state)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(self.outcomes(state), {report["transaction"]: "rolled-back"})
            self.assert_old(name)
        finally:
            run.kill()


class DamagedJournals(StateDirectory):
    def journal(self, state, txn):
        return state / "transactions" / txn / "journal.jsonl"

    def kept(self, name, state):
        code, report = live.report("run", "--soak", "0", "--state-dir", state, name, "--", "true")
        self.assertEqual(code, 0, report["message"])
        return report["transaction"]

    def test_they_do_not_keep_the_others_from_being_recovered(self):
        one, two, other, state = self.web("btrfs"), self.web("dir"), self.web("btrfs"), self.state()
        garbage, newer = self.kept(other, state), self.kept(other, state)
        torn = self.interrupt_in_verify(two, state)
        open_one, _ = self.interrupt(one, state)

        empty = "20260101t000000z-aaaa"
        self.journal(state, empty).parent.mkdir(mode=0o700)
        self.journal(state, empty).touch(mode=0o600)
        lines = self.journal(state, garbage).read_text().splitlines()
        lines[len(lines) // 2] = "garbage"
        self.journal(state, garbage).write_text("\n".join(lines) + "\n")
        file = self.journal(state, newer)
        file.write_text(file.read_text().replace('"v":1,', '"v":99,'))
        file = self.journal(state, torn)
        text = file.read_text()
        last = text.rstrip("\n").rsplit("\n", 1)[-1]
        file.write_text(text[:len(text) - 1 - len(last) // 2])

        done = live.belay("recover", "--state-dir", state)
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        self.assert_old(one)
        self.assert_old(two)
        for txn, says in (empty, "is empty"), (garbage, "is damaged"), (newer, "format version 99"):
            told = [line for line in done.stderr.splitlines() if str(self.journal(state, txn).parent) in line]
            self.assertEqual(len(told), 1, done.stderr)
            self.assertIn(says, told[0])
        self.assertIn(f"{torn} is torn", done.stderr)

        for txn in garbage, newer:
            self.journal(state, txn).parent.rename(state / txn)
        done = live.belay("recover", "--state-dir", state)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        outcomes = self.outcomes(state)
        self.assertEqual((outcomes[open_one], outcomes[torn]), ("rolled-back", "rolled-back"))

    def interrupt_in_verify(self, name, state):
        run = self.launch(name, UPGRADE, state, ("--soak", "60s"))
        self.wait_for_upgrade(name)
        file = self.journal(state, self.lock(name).split()[0])
        live.wait_until(lambda: '"act":"verify"' in file.read_text(), 20, "the upgrade is verified")
        run.kill()
        run.wait()
        return file.parent.name


class Interrupted(StateDirectory):
    def test_it_refuses_the_next_run_from_any_state_directory(self):
        name, state = self.web("btrfs"), self.state()
        txn, pid = self.interrupt(name, state)
        key = self.lock(name)
        code, report = live.report("run", *QUICK, "--state-dir", state, name, "--", "true")
        self.assertEqual((code, report["reason"]), (3, "locked"), report["message"])
        for word in txn, "belay recover":
            self.assertIn(word, report["message"])
        code, report = live.report("run", *QUICK, "--state-dir", self.state(), name, "--", "true")
        self.assertEqual((code, report["reason"]), (3, "locked"), report["message"])
        for word in txn, f"pid {pid} (not running any more)", "state directory elsewhere":
            self.assertIn(word, report["message"])
        self.assertEqual(self.lock(name), key)
        done = live.belay("recover", "--state-dir", state)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assert_old(name)

    def test_a_copy_of_the_instance_can_be_upgraded(self):
        name, state = self.web("btrfs"), self.state()
        txn, _ = self.interrupt(name, state)
        copy = f"{name}-copy"
        live.incus("copy", name, copy)
        self.addCleanup(live.delete, copy)
        live.incus("start", copy)
        self.wait_for_web(copy)
        self.assertIn(txn, self.lock(copy))
        code, report = live.report("run", *QUICK, "--state-dir", state, copy, "--", "true")
        self.assertEqual(code, 0, report["message"])
        warning, = [line for line in report["warnings"] if txn in line]
        self.assertIn("this one is a copy", warning)
        self.assertEqual(self.lock(copy), "")
        self.assertIn(txn, self.lock(name))
        # The recovery of the original does nothing to its copy.
        done = live.belay("recover", "--state-dir", state)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assert_old(name)
        self.assertEqual(self.page(copy), "version 2\n")
        self.assertIn(report["snapshot"], self.snapshots(copy))
