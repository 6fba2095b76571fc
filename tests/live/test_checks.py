# SPDX-License-Identifier: Apache-2.0
"""The checks that are named on the command line, in real containers as belay runs them."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import tempfile
import unittest

import live

CHECKS = pathlib.Path(__file__).resolve().parents[2] / "hooks" / "checks"


def readings(instance, *checks):
    """What `belay check` says of the checks, in their order."""
    return [reading for i in range(0, len(checks), 12) for reading in some_readings(instance, checks[i:i + 12])]


def some_readings(instance, checks):
    options = [word for check in checks for word in ("--check", check)]
    done = live.belay("check", "--no-checks", "--format", "json", "--retry-for", "0", *options, instance)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"{done.stdout}\n{done.stderr}") from None
    assert len(document["checks"]) == len(checks), document
    return document["checks"]


class Instances(live.TestCase):
    def assert_checks(self, instance, *cases):
        """A case: check, result, summary (a text, or a compiled pattern), findings."""
        said = []
        for reading, case in zip(readings(instance, *(case[0] for case in cases)), cases, strict=True):
            summary = reading["summary"]
            if len(case) > 2 and isinstance(case[2], re.Pattern) and case[2].search(summary):
                summary = case[2]
            findings = [f"bad: {bad}" for bad in reading["bad"]] + [f"good: {good}" for good in reading["good"]]
            said.append((case[0], reading["result"], summary, findings))
        self.maxDiff = None
        self.assertEqual(said, [(*case, []) if len(case) == 3 else case for case in cases])


def card(number):
    return f"10.231.{os.getpid() % 250}.{number}"


@contextlib.contextmanager
def reachable(*addresses, **options):
    """An instance that the host can reach at these addresses, without a bridge."""
    with live.instance(start=False, **options) as name:
        words = [f"ipv{6 if ':' in address else 4}.address={address}" for address in addresses]
        live.incus("config", "device", "add", name, "eth0", "nic", "nictype=routed", *words)
        live.incus("start", name)
        yield name


FAKE_PLUGIN = """#!/bin/sh
# check_fake STATUS TEXT
printf '%s | time=1s\\nmore of it\\n' "$2"
exit "$1"
"""


def push(instance, path, text, mode="0755"):
    live.incus("file", "push", "-p", "-", instance + path, "--mode", mode, input=text)


class Tiny(Instances):
    """Busybox and nothing else."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.name = cls.enterClassContext(reachable(card(2), rc=(
            "#!/bin/sh\nmkdir -p /www; echo hello > /www/index.html\nhttpd -p 8080 -h /www\n"
            f"until ip addr | grep -q {card(2)}; do sleep 0.1; done; httpd -p {card(2)}:8081 -h /www\n"
            "sh -c '/bin/true & exec sleep 3600' &\n")))
        push(cls.name, "/usr/lib/nagios/plugins/check_fake", FAKE_PLUGIN)
        live.wait_until(lambda: "8081" in live.sh(cls.name, "netstat -ltn"), 20, "the servers run")

    def test_checks(self):
        self.assert_checks(
            self.name,
            ("tcp 8080", "pass", "127.0.0.1:8080 accepts connections"),
            ("tcp 8081", "pass", f"{card(2)}:8081 accepts connections"),
            (f"tcp {card(2)}:8080", "pass", f"{card(2)}:8080 accepts connections"),
            ("tcp 8082", "fail", "nothing listens on port 8082"),
            (f"tcp {card(2)}:8082", "fail", f"{card(2)}:8082: connection refused"),
            ("tcp", "fail", re.compile("^usage: tcp PORT")),
            ("http http://127.0.0.1:8080/ --contains hello", "pass", re.compile("^http 200 from http://127.0.0.1:8080/ in ")),
            ("http http://127.0.0.1:8080/ --contains bye", "fail", "http 200 from http://127.0.0.1:8080/, without 'bye'"),
            ("http http://127.0.0.1:8080/no", "fail", "http 404 from http://127.0.0.1:8080/no"),
            ("http http://127.0.0.1:8082/", "fail", "no answer from http://127.0.0.1:8082/: connection refused"),
            ("udp-dns example.org", "fail", re.compile("^usage: udp-dns NAME TYPE ")),
            ("unit nginx", "skip", "neither systemd nor OpenRC runs here"),
            ("journal-errors", "skip", "there is no journalctl here"),
            ("process httpd", "pass", "2 httpd processes run"),
            ("process httpd --min 2", "pass", "2 httpd processes run"),
            ("process httpd --min 3", "fail", "2 httpd processes run, should be 3 or more"),
            ("process true", "fail", "no true process runs"),  # there is a zombie
            ("process nowhere", "fail", "no nowhere process runs"),
            ("disk-free / 1", "pass", re.compile(r"^/: \d+% free")),
            ("disk-free / 100", "fail", re.compile(r"^/: \d+% free.*, should be at least 100%$")),
            ("disk-free /nowhere 1", "fail", "/nowhere does not exist"),
            ("file-contains /www/index.html hello", "pass", "/www/index.html contains 'hello'"),
            ("file-contains /www/index.html h.llo", "fail", "/www/index.html does not contain 'h.llo'"),
            ("file-contains /www/index.html ^h.l+o$ --regex", "pass", "/www/index.html contains '^h.l+o$'"),
            ("file-contains /www/index.html ( --regex", "fail", re.compile("^grep: ")),
            ("file-contains /www hello", "fail", "/www is a directory"),
            ("file-contains /nowhere hello", "fail", "/nowhere does not exist"),
            ("command true", "pass", "ended well"),
            ("command 'echo one; echo two'", "pass", "two"),
            ("command echo '$HOME'", "pass", "$HOME"),
            ("command 'echo no >&2; exit 3'", "fail", "no (exit status 3)"),
            ("command 'exit 3'", "fail", "exit status 3"),
            ("command 'kill -9 $$'", "fail", "killed by signal 9"),
            ("command 'echo wait; exit 75'", "not-yet", "wait"),
            ("command 'exit 77'", "skip", "exit status 77"),
            ("command nowhere at all", "fail", "there is no program nowhere"),
            ("command 'echo bad: it rains; echo good: warm'", "pass", "ended well", ["bad: it rains", "good: warm"]),
            ("plugin check_fake 0 'OK - fine'", "pass", "OK - fine"),
            ("plugin check_fake 1 'so so'", "pass", "so so", ["bad: plugin check_fake 1 so so warning"]),
            ("plugin check_fake 2 'CRITICAL: broken'", "fail", "CRITICAL: broken"),
            ("plugin check_fake 3 'UNKNOWN: who knows'", "fail", "UNKNOWN: who knows"),
            ("plugin check_fake 4 'hm'", "fail", "hm (exit status 4, which no plugin has)"),
            ("plugin check_fake 2", "fail", "check_fake: CRITICAL"),
            ("plugin /usr/lib/nagios/plugins/check_fake 0 OK", "pass", "OK"),
            ("plugin /usr/lib/check_fake 0 OK", "fail", "there is no plugin /usr/lib/check_fake"),
            ("plugin check_nowhere", "fail", re.compile("^there is no plugin check_nowhere, neither in PATH nor ")))

    def test_openrc(self):
        push(self.name, "/bin/rc-service", "#!/bin/sh\n[ $2 = status ] || exit 9\ncase $1 in started) exit 0 ;; stopped) exit 3 ;; "
             "starting) exit 8 ;; crashed) exit 32 ;; esac\necho \"rc-service: service '$1' does not exist\"\nexit 1\n")
        live.sh(self.name, "mkdir -p /run/openrc; touch /run/openrc/softlevel")
        self.addCleanup(live.sh, self.name, "rm -r /run/openrc /bin/rc-service")
        self.assert_checks(
            self.name,
            ("unit started", "pass", "started is active"),
            ("unit started started.service", "pass", "all 2 units are active"),
            ("unit started stopped crashed", "fail", "stopped is stopped, crashed has crashed"),
            ("unit starting started", "not-yet", "starting is starting"),
            ("unit starting stopped", "fail", "stopped is stopped, starting is starting"),
            ("unit nowhere", "fail", "rc-service: service 'nowhere' does not exist"))

    def test_from_the_host(self):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            plugin = pathlib.Path(folder, "check_fake")
            plugin.write_text(FAKE_PLUGIN)
            plugin.chmod(0o755)
            base = f"http://{card(2)}"
            self.assert_checks(
                self.name,
                ("host-tcp 8080", "pass", f"{card(2)}:8080 accepts connections"),
                ("host-tcp 8082", "fail", f"{card(2)}:8082: connection refused"),
                ("host-tcp x", "fail", "usage: host-tcp PORT, as in 'host-tcp 53'"),
                ("host-http http://{address}:8080/ --contains hello", "pass", re.compile(f"^http 200 from {base}:8080/ in ")),
                (f"host-http {base}:8080/no --status 404", "pass", re.compile(f"^http 404 from {base}:8080/no in ")),
                ("host-http http://{address}:8080/no", "fail", f"http 404 from {base}:8080/no"),
                ("host-http :8080/no --status 404", "pass", re.compile(f"^http 404 from {base}:8080/no in ")),
                ("host-http 8080 --contains hello", "pass", re.compile(f"^http 200 from {base}:8080 in ")),
                ("host-http /no", "fail", re.compile(f"^no answer from {base}/no: ")),
                ("host-http page", "fail", re.compile("^usage: host-http URL ")),
                ("host-http http://{address}:8080/ --what", "fail", re.compile("^usage: http URL ")),
                (f"host-plugin {plugin} 0 'at {{address}}'", "pass", f"at {card(2)}"),
                (f"host-plugin {plugin} 1 'at {{address}}'", "pass", f"at {card(2)}", [f"bad: plugin {plugin} 1 at {{address}} warning"]),
                (f"host-plugin {plugin} 2 no", "fail", "no"),
                ("host-plugin check_nowhere", "fail", re.compile("^there is no plugin check_nowhere")),
                ("host-plugin", "fail", re.compile("^usage: host-plugin NAME")))

    @unittest.skipUnless(os.path.exists("/usr/lib/nagios/plugins/check_tcp"), "needs monitoring-plugins-basic")
    def test_the_plugins_of_debian_on_the_host(self):
        self.assert_checks(
            self.name,
            ("host-plugin check_tcp -H {address} -p 8080", "pass", re.compile(f"^TCP OK - .* {card(2)} port 8080 *$")),
            ("host-plugin check_tcp -H {address} -p 8082", "fail", re.compile("refused")),
            ("host-plugin check_http -I {address} -p 8080 -s hello", "pass", re.compile("^HTTP OK: ")),
            ("host-plugin check_http -I {address} -p 8080 -u /no", "pass", re.compile("^HTTP WARNING: .* 404 "),
             ["bad: plugin check_http -I {address} -p 8080 -u /no warning"]),
            ("host-plugin check_dummy 3 what", "fail", "UNKNOWN: what"))

    def test_an_instance_without_an_address_and_one_with_ipv6_alone(self):
        self.assert_checks(self.instance(), ("host-tcp 80", "not-yet", re.compile("has no address yet$")))
        if socket.has_dualstack_ipv6():
            address = f"fd42:{os.getpid() & 0xffff:x}::2"
            name = self.enterContext(reachable(address, rc="#!/bin/sh\nhttpd -p '[::]:8080' -h /etc\n"))
            live.wait_until(lambda: readings(name, "host-tcp 8080")[0]["result"] == "pass", 20, "it is reached")
            self.assert_checks(name, ("host-tcp 8080", "pass", f"[{address}]:8080 accepts connections"),
                               ("host-http http://{address}:8080/passwd", "pass", re.compile(rf"^http 200 from http://\[{address}\]:8080/passwd in ")))

    def test_interfaces_that_the_instance_made_itself_do_not_count(self):
        live.sh(self.name, "ip link add a0 type bridge; ip addr add 10.250.1.1/24 dev a0; ip link set a0 up")
        self.addCleanup(live.sh, self.name, "ip link delete a0")
        self.assert_checks(self.name, ("host-tcp 8080", "pass", f"{card(2)}:8080 accepts connections"))

    def test_nothing_is_left_behind(self):
        before = live.tree(self.name)
        readings(self.name, "tcp 8080", "tcp 8082", "http http://127.0.0.1:8080/", "udp-dns a A", "unit a", "process a", "disk-free / 1",
                 "file-contains /etc/passwd a", "command true", "journal-errors", "plugin check_fake 0 a")
        self.assert_same_tree(before, live.tree(self.name))

    def test_a_warning_of_a_plugin_fails_an_upgrade_only_when_it_is_new(self):
        push(self.name, "/opt/check_file", "#!/bin/sh\necho seen\nexit $(cat /opt/status)\n")

        def upgrade(before, after):
            live.sh(self.name, f"echo {before} > /opt/status")
            return live.report("run", "--no-checks", "--soak", "0", "--retry-for", "0", "--check", "plugin /opt/check_file", self.name,
                               "--", "sh", "-c", f"echo {after} > /opt/status")
        code, report = upgrade(0, 1)
        self.assertEqual((code, report["checks"][0]["new_bad"]), (1, ["plugin /opt/check_file warning"]))
        self.assertEqual(upgrade(1, 1)[0], 0)
        self.assertEqual(upgrade(1, 2)[0], 1)


def timed(kind, text):
    """Of `--timings`: when each of a kind began and ended, in milliseconds, and what it was; by the beginning."""
    lines = re.findall(rf"^{kind} +([0-9.]+) ms at +([0-9.]+) ms  (.*)", text, re.MULTILINE)
    return sorted((float(begin), float(begin) + float(took), what) for took, begin, what in lines)


class Together(Instances):
    """Checks that are one program in the instance."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.name = cls.enterClassContext(live.instance())
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(dir="/var/tmp")))

    def check(self, name, text, timeout="20s"):
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n# belay: timeout={timeout} together=yes\n{text}\n")
        file.chmod(0o755)
        return str(file)

    def test_one_that_hangs_is_ended_and_the_others_are_read(self):
        asleep = lambda: live.sh(self.name, "cat /proc/[0-9]*/comm").split().count("sleep")
        before = asleep()
        self.assert_checks(
            self.name,
            (self.check("hangs", "echo good: x; sleep 1234 & sleep 1234", "1s"), "fail", "did not end within 1s"),
            (self.check("deaf", "trap '' TERM HUP INT; while :; do sleep 1; done", "2s"), "fail", "did not end within 2s"),
            (self.check("fine", "echo good: there; echo fine"), "pass", "fine", ["good: there"]),
            (self.check("late", "sleep 1.5; echo late", "10s"), "pass", "late"),
            (self.check("mad", "while :; do echo mad; done"), "fail", "printed more than 1024 KiB and was ended"),
            (self.check("sly", "printf '2o bad: forged\\n2x 1\\n\\n'; echo sly; kill -9 $$"), "fail", "sly"))
        live.wait_until(lambda: asleep() <= before, 10, "what hung is swept away")

    def test_a_round_is_one_program(self):
        done = live.belay("run", "--soak", "0", "--timings", self.name, "--", "true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(timed("exec", done.stdout + done.stderr)), 3, done.stderr)  # baseline, command, verify

    def test_without_checks_the_command_is_behind_the_list_of_packages_in_one_program(self):
        done = live.belay("run", "--no-checks", "--soak", "0", "--timings", self.name, "--", "true")
        self.assertEqual(done.returncode, 0, done.stderr)
        command, *proof = timed("exec", done.stdout + done.stderr)
        self.assertRegex(command[2], "^sh -c .* sh true$")
        self.assertIn([one[2] for one in proof], ([], ["true"]), "who stands by proves, and else the daemon is asked")

    def test_where_there_are_packages_they_are_listed_behind_the_command_by_the_shell_that_waits(self):
        with live.instance() as name:
            live.sh(name, "mkdir -p /lib/apk/db; printf 'C:Q1x\\nP:musl\\nV:1\\n\\n' >/lib/apk/db/installed")
            done = live.belay("run", "--no-checks", "--soak", "0", "--timings", name, "--", "true")
        self.assertEqual(done.returncode, 0, done.stderr)
        command, shell = timed("exec", done.stdout + done.stderr)
        self.assertRegex(command[2], "^sh -c .* sh true$")
        self.assertEqual(shell[2], "sh -s belay")
        self.assertLessEqual(command[1], shell[0])


# Answers every question of type A with 192.0.2.1.
PERL_NAME_SERVER = r"""
use IO::Socket::INET;
my $socket = IO::Socket::INET->new(LocalAddr => "127.0.0.1:53", Proto => "udp") or die;
while ($socket->recv(my $question, 512)) {
    my $answer = substr($question, 0, 2) . "\x81\x80\0\1\0\1\0\0\0\0" . substr($question, 12);
    $socket->send($answer . "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" . "\xc0\0\2\1");
}
"""

DEBIAN_UNITS = {
    "fine.service": "[Service]\nExecStart=/bin/sleep infinity",
    "fine.timer": "[Timer]\nOnCalendar=yearly",
    "broken.service": "[Service]\nExecStart=/bin/false",
    "slow.service": "[Service]\nType=notify\nExecStart=/bin/sleep infinity",
    "dns.service": "[Service]\nExecStart=/usr/bin/perl /opt/dns",
    "web.service": "[Service]\nExecStart=/opt/busybox httpd -f -p 127.0.0.1:80 -h /opt/www",
}


TOOLS = "cat cut date dd df grep head ls od sed sort tail timeout tr uname"


class Debian(Instances):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.name = cls.enterClassContext(live.instance(image="debian"))
        root = live.rootfs(cls.name)
        shutil.copy(shutil.which("busybox"), root / "opt" / "busybox")
        push(cls.name, "/opt/www/index.html", "hello\n")
        push(cls.name, "/opt/dns", PERL_NAME_SERVER)
        push(cls.name, "/usr/local/lib/nagios/plugins/check_fake", FAKE_PLUGIN)
        for unit, text in DEBIAN_UNITS.items():
            push(cls.name, f"/etc/systemd/system/{unit}", text + "\n", "0644")
        live.wait_until(lambda: live.systemd_is_up(cls.name), 60, "systemd is running")
        live.sh(cls.name, "ln -s /dev/null /etc/systemd/system/masked.service; systemctl daemon-reload")

    def setUp(self):
        # Each time: a rollback ends them.
        live.wait_until(lambda: live.recorded(self.name, "systemctl", "is-system-running", check=False).stdout.strip() in
                        ("running", "degraded"), 60, "systemd is up")
        live.sh(self.name, "systemctl start fine fine.timer dns web; systemctl start --no-block slow broken")
        live.wait_until(lambda: self.listening() == 2, 10, "the servers run")
        live.wait_until(lambda: "failed" in live.sh(self.name, "systemctl is-failed broken", check=False), 10, "broken.service failed")

    def listening(self):
        return len(live.sh(self.name, "ss -Hltun 'sport = :80 or sport = :53'").splitlines())

    def test_checks(self):
        self.assert_checks(
            self.name,
            ("tcp 80", "pass", "127.0.0.1:80 accepts connections"),
            ("tcp 81", "fail", "nothing listens on port 81"),
            ("udp-dns example.org A", "pass", "example.org A is 192.0.2.1"),
            ("udp-dns example.org A =192.0.2.1", "pass", "example.org A is 192.0.2.1"),
            ("udp-dns example.org A =192.0.2.2", "fail", "example.org A is 192.0.2.1, not 192.0.2.2"),
            ("udp-dns example.org AAAA", "fail", "no AAAA of example.org from 127.0.0.1:53"),
            ("udp-dns example.org A @127.0.0.1:54", "fail", "no answer from 127.0.0.1:54 to example.org A"),
            ("http http://127.0.0.1/ --contains hello", "pass", re.compile(r"^http 200 from http://127.0.0.1/ in \d+ ms$")),
            ("http http://127.0.0.1/no", "fail", "http 404 from http://127.0.0.1/no"),
            ("unit fine", "pass", "fine is active"),
            ("unit fine.service fine.timer", "pass", "all 2 units are active"),
            ("unit broken", "fail", "broken.service failed (exit-code)"),
            ("unit slow", "not-yet", "slow.service is activating (start)"),
            ("unit slow fine broken", "fail", "broken.service failed (exit-code), slow.service is activating (start)"),
            ("unit nowhere", "fail", "there is no unit nowhere.service"),
            ("unit masked", "fail", "masked.service is masked"),
            ("unit rescue.service", "fail", "rescue.service is inactive (dead)"),
            ("process systemd", "pass", re.compile("^[0-9]+ systemd process(es)? runs?$")),
            ("process systemd-journald", "pass", "1 systemd-journald process runs"),  # longer than the kernel's name
            ("process infinity", "fail", "no infinity process runs"),
            ("disk-free / 1", "pass", re.compile(r"^/: \d+% free")),
            ("command systemctl is-active fine", "pass", "active"),
            ("plugin check_fake 1 hm", "pass", "hm", ["bad: plugin check_fake 1 hm warning"]),
            ("journal-errors nowhere.service", "pass", "no errors in the journal since the boot"))

    def test_a_process_is_found_by_any_of_its_names(self):
        # It calls itself a worker, which the kernel is told as well.
        live.sh(self.name, "cp /usr/bin/perl /opt/engine; cp /bin/sleep /opt/sleeper; (/opt/engine -e '$0 = \"worker\"; sleep 600' & "
                "bash -c 'exec -a /opt/renamed /opt/sleeper 600' &) >/dev/null 2>&1")
        self.addCleanup(live.sh, self.name, "pkill -x worker; pkill -x sleeper; true")
        live.wait_until(lambda: live.sh(self.name, "pgrep -x 'worker|sleeper'", check=False).count("\n") == 2, 10, "both run")
        live.sh(self.name, "rm /opt/engine")  # an upgrade replaces it
        self.assert_checks(self.name,
                           ("process worker", "pass", "1 worker process runs"),
                           ("process engine", "pass", "1 engine process runs"),
                           ("process sleeper", "pass", "1 sleeper process runs"),
                           ("process renamed", "pass", "1 renamed process runs"),
                           ("process perl", "pass", "1 perl process runs"),  # the name server
                           ("process eng", "fail", "no eng process runs"))

    def test_only_new_kinds_of_errors_fail_an_upgrade(self):
        def log(tag, text):
            return (f"logger -p user.err -t '{tag}' '{text}'; "
                    f"until journalctl --boot --quiet --output cat | grep -qF '{text}'; do sleep 0.1; done")

        def upgrade(script):
            return live.report("run", "--no-checks", "--soak", "0", "--retry-for", "0", "--check", "journal-errors", self.name,
                               "--", "sh", "-c", script)
        live.sh(self.name, log("app[12]", "connection 17 from 10.0.0.5:4711 lost, session 0a1b2c3d4e5f"))
        code, report = upgrade(log("app[99]", "connection 18 from fe80::216:3eff:fe00:1%eth0 lost, session ff00aa11bb22"))
        self.assertEqual(code, 0, report)
        code, report = upgrade(log("app", "disk sda1 is broken"))
        self.assertEqual((code, report["checks"][0]["new_bad"]), (1, ["journal: app: disk sdaN is broken"]))

    def test_the_plugins_of_debian(self):
        source = "/usr/lib/nagios/plugins/check_dummy"
        if not os.path.exists(source):
            self.skipTest("needs monitoring-plugins-basic")
        target = live.rootfs(self.name) / source[1:]
        target.parent.mkdir(parents=True)
        shutil.copy(source, target)
        if "OK" not in live.sh(self.name, f"{source} 0 2>&1", check=False):
            self.skipTest("the plugins of this host do not run on Debian 12")
        self.assert_checks(
            self.name,
            ("plugin check_dummy 0 fine", "pass", "OK: fine"),
            ("plugin check_dummy 1 hm", "pass", "WARNING: hm", ["bad: plugin check_dummy 1 hm warning"]),
            ("plugin check_dummy 2 no", "fail", "CRITICAL: no"),
            ("plugin check_dummy 3 what", "fail", "UNKNOWN: what"))

    def test_with_bash_and_coreutils_alone_as_on_rocky_and_without_bash(self):
        live.sh(self.name, f"mkdir /opt/few; for t in {TOOLS}; do ln -s $(command -v $t) /opt/few/; done; "
                "cp -a /opt/few /opt/rocky; ln -s /bin/bash /opt/rocky/bash; ln -s /bin/bash /opt/rocky/sh; ln -s /bin/dash /opt/few/sh")

        def run(folder, *words):
            done = live.recorded(self.name, "env", f"PATH=/opt/{folder}", "sh", "-c", (CHECKS / words[0]).read_text(), *words, check=False)
            return done.returncode, done.stdout + done.stderr
        self.assertEqual(run("rocky", "tcp", "80"), (0, "127.0.0.1:80 accepts connections\n"))
        self.assertEqual(run("rocky", "tcp", "81"), (1, "nothing listens on port 81\n"))
        self.assertEqual(run("rocky", "udp-dns", "example.org", "A"), (0, "example.org A is 192.0.2.1\n"))
        self.assertRegex(run("rocky", "http", "http://127.0.0.1/", "--contains", "hello")[1], "^http 200 from http://127.0.0.1/ in ")
        self.assertEqual(run("rocky", "process", "httpd")[0], 1)
        self.assertEqual(run("rocky", "file-contains", "/opt/www/index.html", "hello")[0], 0)
        for words in (("tcp", "80"), ("udp-dns", "example.org", "A"), ("http", "http://127.0.0.1/")):
            code, said = run("few", *words)
            self.assertEqual(code, 1)
            self.assertRegex(said, "^cannot (connect|ask): this check needs ")


if __name__ == "__main__":
    unittest.main()
