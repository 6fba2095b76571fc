# SPDX-License-Identifier: Apache-2.0
"""What belay prints and remembers: jsonl, history, show, check, checks, a terminal, an installed tree that moved."""

import fcntl
import json
import os
import pathlib
import pty
import select
import shlex
import shutil
import struct
import subprocess
import tempfile
import termios
import time

import live
from test_run import QUICK, Web


class Streams(Web):
    def test_jsonl_is_every_event_as_it_happens(self):
        name = self.web("btrfs")
        done = live.belay("run", "--format", "jsonl", *QUICK, name, "--", "sh", "-c", "echo secret-output; false")
        self.assertEqual(done.returncode, 1, done.stderr)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        for event in events:
            self.assertEqual(list(event)[:7], ["v", "seq", "time", "boottime", "txn", "instance", "type"])
        self.assertEqual((events[0]["type"], events[-1]["type"]), ("opened", "closed"))
        numbers = [event["seq"] for event in events]
        self.assertEqual(numbers, sorted(set(numbers)))
        live.schema().validate(events[-1]["report"])
        self.assertNotIn("secret-output", done.stdout.replace("echo secret-output", ""))
        # The journal is the same stream, without what is only shown.
        journal = pathlib.Path(live.state_dir(), "transactions", events[0]["txn"], "journal.jsonl")
        written = [json.loads(line)["seq"] for line in journal.read_text().splitlines()]
        self.assertEqual(written, [e["seq"] for e in events if e["type"] not in ("output", "checked", "soaking")])
        self.assertEqual(journal.stat().st_mode & 0o777, 0o600)
        self.assertEqual(journal.parent.stat().st_mode & 0o777, 0o700)

    def test_history_and_show(self):
        name = self.web("btrfs")
        good = live.report("run", *QUICK, name, "--", "true")[1]["transaction"]
        bad = live.report("run", *QUICK, name, "--", "sh", "-c", "sleep 0.2; echo first; echo the last line; exit 7")[1]["transaction"]
        lines = live.belay("history", name).stdout.splitlines()
        self.assertEqual([line.split()[:4] for line in lines],
                         [[good, name, "committed", "ok"], [bad, name, "rolled-back", "command-failed"]])
        for what in name, bad:
            shown = live.belay("show", what).stdout
            self.assertIn("exited with 7", shown)
            self.assertLess(shown.index("exited with 7"), shown.index("the last line"))
            self.assertLess(shown.index("the last line"), shown.index("Phases"))
        self.assertEqual(live.report("show", good)[1]["transaction"], good)
        self.assertEqual([r["transaction"] for r in json.loads(live.belay("history", "--format", "json", name).stdout)], [good, bad])

    def test_a_transaction_goes_on_when_nobody_takes_what_it_says(self):
        name = self.web("btrfs")
        belay = shlex.join([os.environ["BELAY"], "run", "--timings", "-vv", *QUICK, name, "--", "true"])
        for way in "2>&1 | true", ">/dev/full 2>&1", "<&- >&- 2>&-":
            with self.subTest(way):
                subprocess.run(["bash", "-c", f"{belay} {way}; exit ${{PIPESTATUS[0]}}"], check=True, timeout=60,
                               env=os.environ | {"BELAY_STATE_DIR": live.state_dir()})
                self.assertEqual(live.report("show", name)[1]["outcome"], "committed")
                self.assertEqual(self.lock(name), "")

    def test_an_interrupted_transaction_is_in_the_history(self):
        name = self.web("btrfs")
        run = self.begin(name, "touch /begun; until [ -e /go ]; do sleep 0.1; done")
        live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")
        self.assertIn("running", live.belay("history", name).stdout)
        run.kill()
        run.communicate()
        self.assertIn("interrupted", live.belay("history", name).stdout)
        document = json.loads(live.belay("show", "--format", "json", name).stdout)
        self.assertEqual((document["state"], document["outcome"]), ("interrupted", None))

    def test_check_prints_verdicts(self):
        name = self.web("btrfs")
        self.assertEqual(live.belay("check", name).returncode, 0)
        failing = live.belay("check", name, "--check-cmd", "echo it is broken; exit 3", "-v")
        self.assertEqual(failing.returncode, 1)
        self.assertIn("it is broken", failing.stdout)
        self.assertIn("stdout: it is broken", failing.stderr)
        self.assertEqual(live.belay("check", name, "--wanted", "services").returncode, 0)
        self.assertEqual(live.belay("check", "nosuch").returncode, 3)
        document = json.loads(live.belay("check", "--format", "json", name).stdout)
        self.assertEqual([(c["name"], c["result"]) for c in document["checks"]],
                         [("listening", "pass"), ("services", "skip"), ("packages", "skip")])
        self.assertEqual(self.lock(name), "")

    def test_checks_lists_what_is_installed(self):
        listed = live.belay("checks").stdout
        for name in "listening", "services", "packages":
            self.assertIn(name, listed)

    def test_an_installed_tree_can_be_moved(self):
        build = pathlib.Path(os.environ["BELAY"]).parents[2]
        name = self.web("btrfs")
        with tempfile.TemporaryDirectory() as folder:
            live.run("cmake", "--install", build, "--prefix", f"{folder}/first", check=True)
            shutil.move(f"{folder}/first", f"{folder}/second")
            prefix = pathlib.Path(folder, "second")
            for file in "share/man/man1/belay.1", "share/belay/report.schema.json", "share/belay/checks/listening":
                self.assertTrue((prefix / file).exists(), file)
            os.chmod(folder, 0o755)
            checks = live.run(prefix / "bin" / "belay", "checks", check=True).stdout
            self.assertIn(f"{prefix}/share/belay/checks/listening", checks)
            done = live.run(prefix / "bin" / "belay", "run", *QUICK, name, "--", "true", env={"BELAY_STATE_DIR": f"{folder}/state"})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Terminal(Web):
    """belay with a terminal of its own."""

    def on_terminal(self, *args, keys=(), env=None, size=(24, 80)):
        """Runs belay on a pty; `keys`: (text to wait for, what to type then). Its exit code and all it printed."""
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update({"BELAY_STATE_DIR": live.state_dir(), "TERM": "xterm-256color", "LANG": "C.UTF-8"} | (env or {}))
            os.execv(os.environ["BELAY"], ["belay", *args])
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        out, keys, end = b"", list(keys), time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    piece = os.read(fd, 65536)
                except OSError:
                    break
                if not piece:
                    break
                out += piece
            if keys and keys[0][0].encode() in out:
                os.write(fd, keys.pop(0)[1].encode())
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        return os.waitstatus_to_exitcode(status), out.decode(errors="replace")

    def test_the_live_view_ends_with_a_sentence_about_the_instance(self):
        name = self.web("btrfs")
        code, out = self.on_terminal("run", *QUICK, name, "--", "sh", "-c", r"sleep 0.2; printf '\033[2Jclear\033]0;t\007\n'")
        self.assertEqual(code, 0, out)
        self.assertIn("clear", out)
        self.assertNotIn("\033[2J", out)
        self.assertNotIn("\033]0;", out)
        self.assertIn(f"{name} is upgraded and kept", out)

    def test_no_color_is_obeyed(self):
        name = self.web("btrfs")
        self.assertIn("\033[3", self.on_terminal("run", *QUICK, name, "--", "true")[1])
        self.assertNotIn("\033[3", self.on_terminal("run", *QUICK, name, "--", "true", env={"NO_COLOR": "1"})[1])

    def test_ctrl_c_reaches_belay_alone_and_undoes_the_upgrade(self):
        name = self.web("btrfs")
        code, out = self.on_terminal("run", *QUICK, name, "--", "sh", "-c", "echo begun; sleep 60", keys=[("begun\r", "\x03")])
        self.assertEqual(code, 1, out)
        self.assertIn("back in its old state", out)
        self.assert_clean(name)

    def test_an_interactive_command_gets_the_terminal(self):
        name = self.web("btrfs")
        script = "[ -t 0 ] && [ -t 1 ] && echo question; read answer; echo \"got $answer\" >/answer; stty -a </dev/tty >/dev/null"
        code, out = self.on_terminal("run", *QUICK, "-i", name, "--", "sh", "-c", script, keys=[("question", "yes\n")])
        self.assertEqual(code, 0, out)
        self.assertEqual(live.sh(name, "cat /answer"), "got yes\n")

    def test_a_terminal_that_goes_away_does_not_end_the_transaction(self):
        name = self.web("btrfs")
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update({"BELAY_STATE_DIR": live.state_dir(), "TERM": "xterm"})
            os.execv(os.environ["BELAY"], ["belay", "run", *QUICK, name, "--", "sh", "-c", "touch /begun; sleep 2; echo late; touch /done"])
        live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")
        os.close(fd)  # SIGHUP, and every write fails
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)
        self.assertEqual(live.report("show", name)[1]["outcome"], "committed")

