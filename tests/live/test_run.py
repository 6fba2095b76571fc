# SPDX-License-Identifier: Apache-2.0
"""belay run on a real Incus: a good upgrade is kept, everything else ends in the old state, byte by byte."""

import itertools
import json
import os
import pathlib
import signal
import subprocess
import time

import live

WEB = "#!/bin/sh\nmkdir -p /var/www\n[ -e /var/www/index.html ] || echo 'version 1' >/var/www/index.html\nhttpd -p 80 -h /var/www\n"
QUICK = ("--soak", "1s", "--retry-for", "3s", "--stop-timeout", "3s")


class Web(live.TestCase):
    """An instance of the tiny image with a web server, and what must hold after a run."""

    def web(self, pool):
        name = self.instance(pool=pool, rc=WEB)
        self.wait_for_web(name)
        return name

    def wait_for_web(self, name):
        live.wait_until(lambda: "version" in self.page(name), 10, "the web server answers")

    def page(self, name):
        return live.sh(name, "wget -q -O- http://127.0.0.1/", check=False)

    def snapshots(self, name):
        return [line for line in live.incus("snapshot", "list", name, "-f", "csv", "-c", "n").stdout.split() if line]

    def lock(self, name):
        return live.incus("config", "get", name, "user.belay.transaction").stdout.strip()

    def assert_clean(self, name):
        self.assertEqual(self.lock(name), "")
        self.assertEqual(self.snapshots(name), [])
        self.assertEqual(live.settings(name)["description"], live.DESCRIPTION)
        self.assertEqual(live.status(name), "RUNNING")

    def assert_undone(self, name, before, code, report, reason):
        self.assertEqual((code, report["outcome"], report["reason"]), (1, "rolled-back", reason), report["message"])
        self.assertEqual(report["exit_code"], 1)
        self.assertGreater(report["downtime_seconds"], 0)
        self.wait_for_web(name)
        self.assertEqual(self.page(name), "version 1\n")
        self.assert_clean(name)
        live.incus("stop", "--force", name)
        self.assert_same_tree(before, live.tree(name))

    def begin(self, name, script, state=None):
        """A belay that runs a shell script in the instance; its report comes on stdout."""
        return subprocess.Popen([os.environ["BELAY"], "run", "--format", "json", *QUICK, name, "--", "sh", "-c", script],
                                env=os.environ | {"BELAY_STATE_DIR": state or live.state_dir()},
                                stdout=subprocess.PIPE, text=True)


class BothPools(Web):
    def on_both_pools(self, test):
        for pool in "btrfs", "dir":
            with self.subTest(pool=pool):
                test(self.web(pool))

    def test_a_good_upgrade_is_kept(self):
        def test(name):
            code, report = live.report("run", *QUICK, name, "--", "sh", "-c", "echo 'version 2' >/var/www/index.html; sleep 0.2; echo done")
            self.assertEqual((code, report["outcome"], report["reason"]), (0, "committed", "ok"), report["message"])
            self.assertEqual(self.page(name), "version 2\n")
            self.assertEqual(self.snapshots(name), [f"belay-{report['transaction']}"])
            self.assertEqual(report["snapshot"], f"belay-{report['transaction']}")
            self.assertEqual(self.lock(name), "")
            self.assertEqual(live.settings(name)["description"], live.DESCRIPTION)
            self.assertEqual(report["downtime_seconds"], 0)
            self.assertEqual([p["name"] for p in report["phases"]],
                             ["preflight", "lock", "baseline", "snapshot", "upgrade", "verify", "commit"])
            with open(report["log"], "rb") as log:
                self.assertEqual(log.read(), b"done\n")
            # The commands that the text output prints do undo it.
            snapshot = report["snapshot"]
            live.incus("stop", name)
            live.incus("snapshot", "restore", name, snapshot)
            live.incus("start", name)
            self.wait_for_web(name)
            self.assertEqual(self.page(name), "version 1\n")
        self.on_both_pools(test)

    def test_a_command_that_fails_is_undone(self):
        def test(name):
            before = live.tree(name)
            code, report = live.report("run", *QUICK, name, "--", "sh", "-c", "rm -rf /var/www; echo broken >/etc/passwd; exit 100")
            self.assertEqual(report["command_exit"], 100)
            self.assert_undone(name, before, code, report, "command-failed")
        self.on_both_pools(test)

    def test_the_settings_of_the_instance_are_what_they_were(self):
        def test(name):
            before = live.settings(name)
            self.assertEqual(live.belay("run", *QUICK, name, "--", "true").returncode, 0)
            self.assertEqual(live.settings(name), before)
            self.assertEqual(live.belay("run", *QUICK, name, "--", "false").returncode, 1)
            undone = live.settings(name)
            undone["last_used_at"] = before["last_used_at"]  # it was started
            for config in "config", "expanded_config":  # and restored
                undone[config]["volatile.uuid.generation"] = before[config]["volatile.uuid.generation"]
            self.assertEqual(undone, before)
        self.on_both_pools(test)

    def test_a_command_that_does_not_exist_is_undone(self):
        name = self.web("btrfs")
        before = live.tree(name)
        code, report = live.report("run", *QUICK, name, "--", "/no/such/program")
        self.assertIn("/no/such/program", report["message"])
        self.assert_undone(name, before, code, report, "command-failed")

    def test_an_upgrade_that_breaks_a_service_is_undone(self):
        def test(name):
            before = live.tree(name)
            code, report = live.report("run", *QUICK, name, "--", "sh", "-c", "touch /new; kill $(pidof httpd)")
            self.assertIn("tcp/80", report["message"])
            self.assertEqual([c["lost_good"] for c in report["checks"] if c["name"] == "listening"], [["tcp/80 any"]])
            self.assert_undone(name, before, code, report, "check-failed")
        self.on_both_pools(test)

    def test_a_command_that_takes_too_long_is_undone_and_nothing_of_it_runs_on(self):
        def test(name):
            before = live.tree(name)
            code, report = live.report("run", *QUICK, "--timeout", "1s", name, "--",
                                       "sh", "-c", "touch /new; (while :; do sleep 0.1; echo >>/grandchild; done) & sleep 60")
            self.assertIsNone(report["command_exit"])
            self.assert_undone(name, before, code, report, "timeout")
        self.on_both_pools(test)

    def test_a_signal_in_the_middle_of_the_upgrade_undoes_it(self):
        for number in signal.SIGTERM, signal.SIGINT:
            def test(name):
                before = live.tree(name)
                run = self.begin(name, "touch /begun; trap '' TERM INT HUP; sleep 60; touch /ended")
                live.wait_until(lambda: (live.rootfs(name) / "begun").exists(), 20, "the upgrade has begun")
                run.send_signal(number)
                run.send_signal(number)  # a second one does not cut the rollback short
                out, _ = run.communicate(timeout=60)
                self.assert_undone(name, before, run.returncode, json.loads(out), "interrupted")
            self.on_both_pools(test)


class Limits(Web):
    def test_a_service_that_comes_up_two_seconds_late_passes(self):
        name = self.web("btrfs")
        code, report = live.report("run", "--soak", "1s", "--retry-for", "20s", name, "--",
                                   "sh", "-c", "kill $(pidof httpd); (sleep 2; httpd -p 80 -h /var/www) >/dev/null 2>&1 &")
        self.assertEqual(code, 0, report["message"])

    def test_a_service_that_dies_five_seconds_after_the_upgrade_fails_within_the_soak(self):
        name = self.web("btrfs")
        code, report = live.report("run", "--soak", "10s", "--retry-for", "5s", name, "--",
                                   "sh", "-c", "(sleep 5; kill $(pidof httpd)) >/dev/null 2>&1 &")
        self.assertEqual((code, report["reason"]), (1, "check-failed"), report["message"])
        self.assertIn("soak", report["message"])
        self.wait_for_web(name)

    def test_an_instance_that_goes_down_is_put_back(self):
        name = self.web("btrfs")
        code, report = live.report("run", *QUICK, name, "--", "sh", "-c", "rm -r /var/www; kill -PWR 1; sleep 30")
        self.assertEqual((code, report["reason"]), (1, "instance-went-down"), report["message"])
        self.wait_for_web(name)
        self.assert_clean(name)

    def test_an_instance_without_any_program_is_put_back_although_a_shell_waited_in_it(self):
        for checks, reason in ((), "check-failed"), (("--no-checks",), "instance-went-down"):
            with self.subTest(checks=checks):
                name = self.web("btrfs")
                code, report = live.report("run", *QUICK, *checks, name, "--", "rm", "/bin/busybox")
                self.assertEqual((code, report["reason"]), (1, reason), report["message"])
                self.wait_for_web(name)
                self.assert_clean(name)

    def test_restart_always_boots_the_new_state(self):
        name = self.web("btrfs")
        code, report = live.report("run", *QUICK, "--restart", "always", name, "--", "sh", "-c", "echo 'version 2' >/var/www/index.html")
        self.assertEqual(code, 0, report["message"])
        self.assertGreater(report["downtime_seconds"], 0)
        self.assertEqual(self.page(name), "version 2\n")

    def test_a_restart_is_made_only_if_needed(self):
        name = self.web("btrfs")
        code, report = live.report("run", *QUICK, "--restart", "if-needed", name, "--", "true")
        self.assertEqual((code, report["downtime_seconds"]), (0, 0), report)
        started = live.sh(name, "stat -c %Y /proc/1")
        code, report = live.report("run", *QUICK, "--restart", "if-needed", name, "--", "touch", "/run/reboot-required")
        self.assertEqual(code, 0, report["message"])
        self.assertNotEqual(started, live.sh(name, "stat -c %Y /proc/1"))

    def test_several_instances_stop_at_the_first_failure(self):
        names = [self.web("btrfs") for _ in range(3)]
        script = f"[ $(hostname) != {names[1]} ]"
        code, reports = live.report("run", *QUICK, *names, "--", "sh", "-c", script)
        self.assertEqual(code, 1)
        self.assertEqual([(r["instance"], r["outcome"]) for r in reports], [(names[0], "committed"), (names[1], "rolled-back")])


class Command(Web):
    """What the command gets, and what of it is kept."""

    def output(self, *args, **options):
        """The log of a run. Its command sleeps a moment first: Incus may lose the output of the first milliseconds."""
        code, report = live.report("run", "--no-checks", "--soak", "0", *args, **options)
        self.assertEqual(code, 0, report["message"])
        with open(report["log"], "rb") as log:
            return log.read()

    def test_it_begins_when_the_snapshot_is_whole_although_it_was_prepared_before(self):
        script = "read -r up _ </proc/uptime; sleep 0.2; echo $up"
        done = live.belay("run", "--no-checks", "--soak", "0", "--format", "jsonl", self.web("btrfs"), "--", "sh", "-c", script)
        self.assertEqual(done.returncode, 0, done.stderr)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        whole, = [e["boottime"] for e in events if e["type"] == "finished" and e["act"] == "snapshot"]
        with open(pathlib.Path(live.state_dir(), "transactions", events[0]["txn"], "upgrade.log")) as log:
            begun = float(log.read())
        self.assertGreaterEqual(begun + 0.01, whole)  # /proc/uptime has hundredths

    def test_what_was_prepared_for_behind_the_command_is_no_failure_in_the_daemon(self):
        for checks, seconds in itertools.product(((), ("--no-checks",)), ("0", "4")):
            with self.subTest(checks=checks, seconds=seconds):
                name = self.web("btrfs")
                live.belay("run", *checks, "--soak", "0", name, "--", "sleep", seconds, check=True)
                live.wait_until(lambda: "belay" not in live.sh(name, "ps -o args"), 10, "no shell waits any more")
                operations = json.loads(live.incus("operation", "list", "--format", "json").stdout)
                programs = [one for one in operations if one["class"] == "websocket"
                            and f"/1.0/instances/{name}" in one["resources"]["instances"]]
                self.assertGreaterEqual(len(programs), 1 if checks and seconds == "0" else 2)
                self.assertEqual({one["status"] for one in programs}, {"Success"})

    def test_arguments_arrive_untouched(self):
        words = ["", "-x", "--", "a b", "*", "$HOME", "'\"", "grün", "line\nline", "--format"]
        out = self.output(self.web("btrfs"), "--", "sh", "-c", 'sleep 0.2; for w; do printf "[%s]" "$w"; done', "sh", *words)
        self.assertEqual(out.decode(), "".join(f"[{word}]" for word in words))

    def test_the_environment_is_preset_and_can_be_changed(self):
        name = self.web("btrfs")
        show = ("sh", "-c", "sleep 0.2; echo $DEBIAN_FRONTEND/$NEEDRESTART_MODE/$DPKG_FORCE/$OWN")
        self.assertEqual(self.output(name, "--", *show), b"noninteractive/a/confdef,confold/\n")
        self.assertEqual(self.output("--env", "OWN=a=b c", "--env", "DEBIAN_FRONTEND=dialog", name, "--", *show),
                         b"dialog/a/confdef,confold/a=b c\n")

    def test_a_command_that_waited_for_its_turn_has_the_environment_of_one_that_did_not(self):
        name = self.web("btrfs")
        show = ("sh", "-c", "sleep 0.2; env")
        waited = self.output("--env", "OWN=1", name, "--", *show).decode().splitlines()
        plain = self.output("--env", "OWN=1", "--env", "CDPATH=x", name, "--", *show).decode().splitlines()
        self.assertIn("OWN=1", waited)
        self.assertEqual(sorted(waited), [line for line in sorted(plain) if line != "CDPATH=x"])

    def test_of_a_command_that_waits_nothing_is_left_when_belay_dies(self):
        name = self.web("btrfs")
        for moment in (0.06, 0.08, 0.1, 0.12, 0.15):
            with self.subTest(moment=moment):
                with subprocess.Popen([os.environ["BELAY"], "run", "--no-checks", "--soak", "0", name, "--", "sleep", "0.5"],
                                      env=os.environ | {"BELAY_STATE_DIR": live.state_dir()}, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
                    time.sleep(moment)
                    run.kill()
                live.wait_until(lambda: "belay" not in live.sh(name, "ps -o args"), 10, "no shell waits any more")
                live.belay("recover")

    def test_what_stands_by_a_command_is_not_heard_and_not_missed(self):
        name = self.web("btrfs")
        self.assertEqual(self.output(name, "--", "sh", "-c", "sleep 0.2; printf oops >&2"), b"oops")
        self.assertEqual(self.output(name, "--", "sh", "-c", "sleep 0.2; cat; kill -9 -1; echo alone"), b"alone\n")
        self.assertEqual(self.output(name, "--", "sh", "-c", "sleep 3.5; ps -o args | grep -c [b]elay; :"), b"0\n")

    def test_the_kind_of_terminal_is_passed_on(self):
        name = self.web("btrfs")
        show = ("sh", "-c", "sleep 0.2; echo ${TERM-unset}")
        self.assertEqual(self.output(name, "--", *show, env={"TERM": "vt220"}), b"vt220\n")
        self.assertEqual(self.output(name, "--", *show, env={"TERM": None}), b"unset\n")
        self.assertEqual(self.output("--env", "TERM=dumb", name, "--", *show, env={"TERM": "vt220"}), b"dumb\n")

    def test_values_of_the_environment_are_never_written(self):
        secret = "s3cr3t-value"
        code, report = live.report("run", "--no-checks", "--soak", "0", "--env", f"TOKEN={secret}", self.web("btrfs"), "--", "true")
        found = live.run("grep", "-rlF", secret, live.state_dir()).stdout
        self.assertEqual((code, found), (0, ""))
        self.assertNotIn(secret, str(report))
        self.assertIn("TOKEN", live.run("grep", "-rhF", "TOKEN", live.state_dir()).stdout)

    def test_user_group_and_directory(self):
        out = self.output("--user", "1000", "--group", "1001", "--cwd", "/tmp", self.web("btrfs"), "--", "sh", "-c", "sleep 0.2; id -u; id -g; pwd")
        self.assertEqual(out, b"1000\n1001\n/tmp\n")

    def test_a_directory_that_does_not_exist_runs_nothing(self):
        name = self.web("btrfs")
        code, report = live.report("run", "--no-checks", "--soak", "0", "--cwd", "/no/such", name, "--", "touch", "/begun")
        self.assertEqual(code, 1)
        self.assertIn("/no/such", report["message"])
        self.assert_clean(name)

    def test_hostile_output_breaks_neither_json_nor_text(self):
        name = self.web("btrfs")
        script = r"sleep 0.2; printf 'a\000b\377\033[2J\033]0;title\007\303\050end\n'"
        self.assertEqual(self.output(name, "--", "sh", "-c", script), b"a\0b\xff\033[2J\033]0;title\007\xc3(end\n")
        text = live.belay("run", "--no-checks", "--soak", "0", name, "--", "sh", "-c", script)
        self.assertEqual(text.returncode, 0)
        self.assertNotIn("\033", text.stdout + text.stderr)
        self.assertNotIn("\0", text.stdout)
        self.assertIn("end", text.stdout)
        shown = live.belay("show", name)
        self.assertNotIn("\033", shown.stdout)
        self.assertIn("end", shown.stdout)

    def test_the_log_keeps_head_and_tail_within_its_limit(self):
        out = self.output("--log-limit", "64KiB", self.web("btrfs"), "--", "sh", "-c", "sleep 0.2; echo head; yes | head -c 10000000; echo tail")
        self.assertLess(len(out), 70_000)
        self.assertTrue(out.startswith(b"head\n"))
        self.assertTrue(out.endswith(b"tail\n"))
        self.assertIn(b"left out", out)


class Speed(Web):
    def test_a_gibibyte_of_output_streams_with_flat_memory(self):
        name = self.web("btrfs")
        run = subprocess.Popen([os.environ["BELAY"], "run", "--no-checks", "--soak", "0", name, "--",
                                "dd", "if=/dev/zero", "bs=1M", "count=1024"],
                               env=os.environ | {"BELAY_STATE_DIR": live.state_dir()}, stdout=subprocess.DEVNULL)
        peak = 0
        while run.poll() is None:
            try:
                with open(f"/proc/{run.pid}/status") as status:
                    peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("VmHWM")])
            except OSError:
                pass
            time.sleep(0.02)
        self.assertEqual(run.returncode, 0)
        self.assertGreater(peak, 0)
        if not os.environ.get("BELAY_SANITIZED"):
            self.assertLess(peak, 30_000, "KiB at the peak")
