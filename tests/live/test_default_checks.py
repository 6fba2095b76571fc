# SPDX-License-Identifier: Apache-2.0
"""The default checks, run as belay runs them: in real containers, and the parsing of `listening` against made-up tables."""

import contextlib
import ipaddress
import os
import pathlib
import shlex
import shutil
import socket
import struct
import subprocess
import tempfile
import textwrap
import unittest

import live

CHECKS = pathlib.Path(__file__).resolve().parents[2] / "hooks" / "checks"
SHELLS = [shell for shell in (["dash"], ["busybox", "ash"], ["bash", "--posix"], ["bash"]) if shutil.which(shell[0])]


def result(done):
    """(exit code, findings, summary) of a finished check, which must not complain on stderr."""
    assert done.stderr == "", done.stderr
    lines = done.stdout.splitlines()
    findings = [line for line in lines if line.startswith(("good: ", "bad: "))]
    others = [line for line in lines if line not in findings]
    return done.returncode, findings, others[-1] if others else None


def check(instance, name, shell=("sh",)):
    text = (CHECKS / name).read_text()
    return result(live.recorded(instance, *shell, "-c", text, name, check=False))


class Head(unittest.TestCase):
    def test_every_check_describes_itself_in_its_first_lines(self):
        for name in "listening", "services", "packages":
            with self.subTest(name):
                head = (CHECKS / name).read_text().splitlines()[:20]
                self.assertEqual(head[0], "#!/bin/sh")
                self.assertEqual(len([line for line in head if line.startswith("# belay: where=guest timeout=30s together=yes summary=")]), 1)
                self.assertTrue(os.access(CHECKS / name, os.X_OK))


# --- the tables of the kernel ------------------------------------------------------------------------

TCP_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
UDP_HEAD = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"
LISTEN, ESTABLISHED, UNCONNECTED = "0A", "01", "07"


def hexadecimal(address, big_endian=False):
    """An address as /proc/net prints it: each word of four bytes in the byte order of the machine."""
    packed = ipaddress.ip_address(address).packed
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words)


class Tables(unittest.TestCase):
    """`listening` with /proc elsewhere. A socket: (protocol, address, port[, state[, remote port]])."""

    def run_check(self, *sockets, proc=(), ip=None, shell=("dash",), big_endian=False, without=()):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            rows = {"tcp": [TCP_HEAD], "tcp6": [TCP_HEAD], "udp": [UDP_HEAD], "udp6": [UDP_HEAD]}
            for protocol, address, port, *rest in sockets:
                state = rest[0] if rest else LISTEN if protocol == "tcp" else UNCONNECTED
                remote = rest[1] if len(rest) > 1 else 0
                local = hexadecimal(address, big_endian)
                table = rows[protocol + ("6" if len(local) == 32 else "")]
                table.append(f"{len(table) + 998:4d}: {local}:{port:04X} {'0' * len(local)}:{remote:04X} {state} "
                             "00000000:00000000 00:00000000 00000000     0        0 1000 1 0000000000000000 100 0 0 10 0")
            files = {f"net/{name}": "\n".join(lines) + "\n" for name, lines in rows.items()}
            files |= {"sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
                      "sys/kernel/arch": "s390x\n" if big_endian else "x86_64\n", "net/if_inet6": ""} | dict(proc)
            for name, text in files.items():
                path = folder / "proc" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if name not in without:
                    path.write_text(text)
            text = (CHECKS / "listening").read_text().replace("/proc/", f"{folder}/proc/")
            # A function, because the shell of busybox prefers its own ip to any on the PATH.
            text = "ip() { " + (f"echo {shlex.quote(ip)}" if ip else "return 1") + "; }\n" + text
            done = live.run(*shell, "-c", text, "listening")
            done.stdout = done.stdout.replace(str(folder), "")
            return result(done)

    def findings(self, *sockets, **options):
        """What every shell here agrees on."""
        results = [self.run_check(*sockets, shell=shell, **options) for shell in SHELLS]
        for shell, other in zip(SHELLS, results):
            self.assertEqual(results[0], other, shell)
        self.assertEqual(results[0][0], 0)
        return [line.removeprefix("good: ") for line in results[0][1]]

    def test_any_and_loopback_are_the_same_for_both_families(self):
        self.assertEqual(self.findings(
            ("tcp", "0.0.0.0", 80), ("tcp", "::", 80), ("tcp", "::", 81), ("tcp", "0.0.0.0", 82), ("tcp", "::ffff:0.0.0.0", 83),
            ("tcp", "127.0.0.1", 25), ("tcp", "::1", 25), ("tcp", "127.1.2.3", 26), ("tcp", "::ffff:127.0.0.1", 27),
            ("udp", "::", 123), ("udp", "127.0.0.1", 323)), [
            "tcp/25 loopback", "tcp/26 loopback", "tcp/27 loopback", "tcp/80 any", "tcp/81 any", "tcp/82 any", "tcp/83 any",
            "udp/123 any", "udp/323 loopback"])

    def test_a_service_that_moves_to_dual_stack_is_not_lost(self):
        self.assertEqual(self.findings(("tcp", "0.0.0.0", 53)), self.findings(("tcp", "::", 53)))

    def test_one_finding_for_each_scope_in_the_order_of_the_ports(self):
        code, findings, summary = self.run_check(
            ("udp", "0.0.0.0", 53), ("tcp", "0.0.0.0", 8080), ("tcp", "10.0.0.5", 53), ("tcp", "127.0.0.1", 53),
            ("tcp", "10.0.0.5", 53))
        self.assertEqual((code, findings), (0, [
            "good: tcp/53 10.0.0.5", "good: tcp/53 loopback", "good: tcp/8080 any", "good: udp/53 any"]))
        self.assertEqual(summary, "3 ports listen")
        self.assertEqual(self.run_check(("tcp", "0.0.0.0", 1))[2], "1 port listens")

    def test_addresses_are_written_as_people_write_them(self):
        for address in ("10.0.0.5", "192.168.255.1", "2001:db8::1", "fe80::216:3eff:fe00:1", "2001:db8:0:1:1:1:1:1",
                        "2001:db8:1:2:3:4:5:6", "2001:0:0:1::1", "2001:db8::", "::2", "ff02::fb", "1:0:0:2::", "::1:0:0:2",
                        "abcd:ef01:2345:6789:abcd:ef01:2345:6789"):
            with self.subTest(address):
                expected = str(ipaddress.ip_address(address))
                self.assertEqual(self.findings(("tcp", address, 80)), [f"tcp/80 {expected}"])
        self.assertEqual(self.findings(("tcp", "::ffff:10.0.0.5", 80)), ["tcp/80 10.0.0.5"])

    def test_a_big_endian_kernel_prints_the_other_way_round(self):
        self.assertEqual(self.findings(
            ("tcp", "0.0.0.0", 1), ("tcp", "127.0.0.1", 2), ("tcp", "10.0.0.5", 3), ("tcp", "::1", 4), ("tcp", "::ffff:10.0.0.5", 5),
            ("tcp", "2001:db8::1", 6), big_endian=True),
            ["tcp/1 any", "tcp/2 loopback", "tcp/3 10.0.0.5", "tcp/4 loopback", "tcp/5 10.0.0.5", "tcp/6 2001:db8::1"])

    def test_connections_do_not_count(self):
        self.assertEqual(self.findings(
            ("tcp", "10.0.0.5", 22, ESTABLISHED, 50000), ("tcp", "0.0.0.0", 23, ESTABLISHED), ("udp", "10.0.0.5", 161, ESTABLISHED, 162),
            ("udp", "0.0.0.0", 162, UNCONNECTED, 1), ("udp", "::", 163, UNCONNECTED, 1)), [])

    def test_ports_of_the_ephemeral_range_do_not_count(self):
        edges = [("tcp", "0.0.0.0", port) for port in (32767, 32768, 60999, 61000)] + [("udp", "::", 40000)]
        self.assertEqual(self.findings(*edges), ["tcp/32767 any", "tcp/61000 any"])
        self.assertEqual(self.findings(*edges, without=["sys/net/ipv4/ip_local_port_range"]), ["tcp/32767 any", "tcp/61000 any"])
        self.assertEqual(self.findings(*edges, proc={"sys/net/ipv4/ip_local_port_range": "1024\t33000\n"}.items()),
                         ["tcp/60999 any", "tcp/61000 any", "udp/40000 any"])

    def test_clients_with_low_ports_do_not_count(self):
        self.assertEqual(self.findings(
            ("udp", "10.0.0.5", 68), ("udp", "0.0.0.0", 68), ("udp", "fe80::1", 546), ("tcp", "127.0.0.1", 6010), ("tcp", "::1", 6010),
            ("tcp", "0.0.0.0", 6010), ("tcp", "0.0.0.0", 68)), ["tcp/68 any", "tcp/6010 any"])

    def test_the_random_ports_of_a_name_server_do_not_count(self):
        high = [("udp", "0.0.0.0", 13371), ("udp", "0.0.0.0", 1194), ("udp", "::", 5060), ("tcp", "0.0.0.0", 8081)]
        self.assertEqual(self.findings(*high[:2], high[3]), ["tcp/8081 any", "udp/1194 any", "udp/13371 any"])
        self.assertEqual(self.findings(("udp", "10.0.0.5", 53), ("udp", "0.0.0.0", 123), *high),
                         ["tcp/8081 any", "udp/53 10.0.0.5", "udp/123 any", "udp/5060 any"])
        self.assertEqual(self.findings(("udp", "127.0.0.53", 53), ("udp", "127.0.0.54", 53), *high[:2]),
                         ["udp/53 loopback", "udp/1194 any", "udp/13371 any"])

    def test_a_dynamic_address_is_named_by_its_interface(self):
        ip = ("1: lo    inet 127.0.0.1/8 scope host lo       valid_lft forever preferred_lft forever\n"
              "2: eth0    inet 10.0.0.50/24 brd 10.0.0.255 scope global dynamic eth0       valid_lft 3000sec preferred_lft 3000sec\n"
              "3: eth1    inet 10.0.1.5/24 brd 10.0.1.255 scope global eth1       valid_lft forever preferred_lft forever")
        inet6 = ("20010db8000000000000000000000005 02 40 00 80     eth0\n"
                 "20010db8000000000000000000000006 02 40 00 00     eth0\n"
                 "20010db8000000000000000000000007 02 40 00 01     eth1\n")
        sockets = [("tcp", address, port) for port, address in enumerate(
            ("10.0.0.50", "10.0.0.5", "10.0.1.5", "::ffff:10.0.0.50", "2001:db8::5", "2001:db8::6", "2001:db8::7"), start=1)]
        sockets.append(("udp", "10.0.0.255", 137))
        self.assertEqual(self.findings(*sockets, ip=ip, proc={"net/if_inet6": inet6}.items()), [
            "tcp/1 eth0", "tcp/2 10.0.0.5", "tcp/3 10.0.1.5", "tcp/4 eth0", "tcp/5 2001:db8::5", "tcp/6 eth0", "tcp/7 eth1",
            "udp/137 eth0"])
        self.assertEqual(self.findings(("tcp", "10.0.0.50", 1)), ["tcp/1 10.0.0.50"], "without ip nothing is known to be dynamic")

    def test_nothing_listens_is_a_pass(self):
        self.assertEqual(self.run_check(), (0, [], "nothing listens"))

    def test_a_table_of_which_the_kernel_counts_no_socket_is_not_read(self):
        sockets = [("tcp", "0.0.0.0", 1), ("tcp", "::", 2), ("udp", "0.0.0.0", 3), ("udp", "::", 4)]
        found = ["tcp/1 any", "tcp/2 any", "udp/3 any", "udp/4 any"]
        heads = {"TCP": 0, "TCP6": 1, "UDP": 2, "UDP6": 3}
        for unused, at in heads.items():
            counts = {protocol: f"{protocol}: inuse {0 if protocol == unused else 10} orphan 0 tw 0 alloc 5 mem 0\n" for protocol in heads}
            proc = {"net/sockstat": "sockets: used 0\n" + counts["TCP"] + counts["UDP"], "net/sockstat6": counts["TCP6"] + counts["UDP6"]}
            with self.subTest(unused):
                self.assertEqual(self.findings(*sockets, proc=proc.items()), found[:at] + found[at + 1:])
        none = {"net/sockstat": "TCP: inuse 0\nUDP: inuse 0\n", "net/sockstat6": "TCP6: inuse 0\nUDP6: inuse 0\n"}
        self.assertEqual(self.run_check(*sockets, proc=none.items()), (0, [], "nothing listens"))

    def test_without_tables_it_does_not_apply(self):
        self.assertEqual(self.run_check(without=["net/tcp"]), (77, [], "/proc/net/tcp cannot be read"))
        self.assertEqual(self.run_check(without=["net/tcp6", "net/udp6"]), (0, [], "nothing listens"))
        empty = {f"net/{table}": "" for table in ("tcp", "tcp6", "udp", "udp6")}
        self.assertEqual(self.run_check(proc=empty.items()), (77, [], "/proc/net/tcp cannot be read"))

    def test_many_connections_do_not_make_it_slow(self):
        sockets = [("tcp", "10.0.0.5", 443, ESTABLISHED, port) for port in range(1024, 6024)] + [("tcp", "0.0.0.0", 443)]
        self.assertEqual(self.findings(*sockets), ["tcp/443 any"])

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "needs root and unshare")
    def test_real_sockets_of_this_kernel(self):
        program = textwrap.dedent("""
            import socket, subprocess, sys
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            subprocess.run(["ip", "address", "add", "10.9.8.7/24", "dev", "lo"], check=True)
            subprocess.run(["ip", "address", "add", "10.9.8.6/24", "dev", "lo", "valid_lft", "600", "preferred_lft", "600"], check=True)
            kept = []
            def bind(kind, address, port, connect=False):
                s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
                s.bind((address, port))
                s.connect(("127.0.0.1", 9)) if connect else s.listen() if kind == socket.SOCK_STREAM else None
                kept.append(s)
            tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
            bind(tcp, "0.0.0.0", 80), bind(tcp, "127.0.0.1", 81), bind(tcp, "10.9.8.7", 82), bind(tcp, "10.9.8.6", 83)
            bind(udp, "0.0.0.0", 161), bind(udp, "0.0.0.0", 162, connect=True), bind(udp, "127.0.0.1", 0)
            if socket.has_dualstack_ipv6():
                bind(tcp, "::ffff:127.0.0.1", 84)
            else:
                bind(tcp, "127.0.0.1", 84)
            for s in kept: s.set_inheritable(False)
            for shell in sys.argv[2:]:
                done = subprocess.run([*shell.split(), "-c", sys.argv[1], "listening"], capture_output=True, text=True)
                print(shell, done.returncode, done.stdout, done.stderr, sep="|")
        """)
        shells = [" ".join(shell) for shell in SHELLS]
        done = live.run("unshare", "--net", "python3", "-c", program, (CHECKS / "listening").read_text(), *shells, check=True)
        expected = ("good: tcp/80 any\ngood: tcp/81 loopback\ngood: tcp/82 10.9.8.7\ngood: tcp/83 lo\n"
                    "good: tcp/84 loopback\ngood: udp/161 any\n6 ports listen\n")
        self.assertEqual(done.stdout, "".join(f"{shell}|0|{expected}|\n" for shell in shells))


# --- real containers ---------------------------------------------------------------------------------

class Tiny(live.TestCase):
    """Busybox and nothing else: no systemd, no packages, no bash."""

    def test_listening_sees_what_listens_and_what_no_longer_does(self):
        name = self.instance()
        self.assertEqual(check(name, "listening"), (0, [], "nothing listens"))
        live.sh(name, "ip link set lo up; httpd -p 8080; httpd -p 127.0.0.1:8081")
        expected = ["good: tcp/8080 any", "good: tcp/8081 loopback"]
        self.assertEqual(check(name, "listening"), (0, expected, "2 ports listen"))
        live.sh(name, "kill $(pidof httpd | tr ' ' '\\n' | sort -n | head -n 1)")
        self.assertEqual(check(name, "listening"), (0, expected[1:], "1 port listens"))
        live.sh(name, "killall httpd")
        self.assertEqual(check(name, "listening"), (0, [], "nothing listens"))

    def test_what_is_not_there_is_skipped(self):
        name = self.instance()
        self.assertEqual(check(name, "services"), (77, [], "neither systemd nor OpenRC runs here"))
        self.assertEqual(check(name, "packages"), (77, [], "no packages of dpkg, rpm or apk here"))

    def test_nothing_is_left_behind(self):
        name = self.instance()
        before = live.tree(name)
        for name_of_check in "listening", "services", "packages":
            check(name, name_of_check)
        self.assert_same_tree(before, live.tree(name))

    def test_openrc(self):
        # As OpenRC keeps it; cron has crashed, hostname has no daemon.
        name = self.instance(rc=textwrap.dedent("""\
            #!/bin/sh
            cd /run && mkdir openrc && cd openrc && mkdir started daemons daemons/cron daemons/nginx failed rc.starting
            for service in cron nginx hostname; do ln -s /etc/init.d/$service started/; done
            ln -s /etc/init.d/ntpd failed/ntpd
            echo default > softlevel
            printf '#!/bin/sh\\n[ "$1" = --crashed ] && echo cron\\n' > /bin/rc-status
            chmod +x /bin/rc-status
            """))
        live.wait_until(lambda: "rc-status" in live.sh(name, "ls /bin"), 10, "/etc/rc has run")
        self.assertEqual(check(name, "services"), (75, [], "OpenRC is still starting"))
        live.sh(name, "rmdir /run/openrc/rc.starting")
        self.assertEqual(check(name, "services"), (
            0, ["bad: service cron crashed", "bad: service ntpd failed", "good: service nginx"], "1 service runs, 2 failed"))
        live.sh(name, "rm -r /run/openrc/daemons/* /run/openrc/failed/*; printf '#!/bin/sh\\nexit 1\\n' > /bin/rc-status")
        self.assertEqual(check(name, "services"), (
            0, ["good: service cron", "good: service hostname", "good: service nginx"], "3 services run"))

    def test_apk(self):
        name = self.instance()
        live.sh(name, """
            printf '#!/bin/sh\\n' > /bin/apk; chmod +x /bin/apk; mkdir -p /lib/apk/db; cd /lib/apk/db; touch lock
            printf 'C:Q1\\nP:musl\\nV:1.2\\nF:lib\\nR:libc.so\\n\\nC:Q1\\nP:nginx\\nV:1\\nF:f\\n\\n' > installed""")
        self.assertEqual(check(name, "packages"), (0, [], "apk: consistent"))
        live.sh(name, "printf 'C:Q1\\nP:post\\nf:s\\nF:etc\\n\\nP:torn\\nf:fs\\n\\nP:digest\\nf:S\\nP:caps\\nf:x\\n' >> /lib/apk/db/installed")
        self.assertEqual(check(name, "packages"), (
            0, ["bad: package post broken-script", "bad: package torn broken-files"], "apk: 2 defects"))
        live.sh(name, "echo garbage > /lib/apk/db/installed")
        self.assertEqual(check(name, "packages"), (1, [], "apk: the database cannot be read: it lists no package"))


UNITS = {
    "plain.service": """
        [Service]
        ExecStart=/bin/sleep infinity
        [Install]
        WantedBy=multi-user.target
        Alias=nickname.service""",
    "byhand.service": "[Service]\nExecStart=/bin/sleep infinity",
    "pool@.service": "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target",
    "once.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true",
    "ondemand.socket": "[Socket]\nListenStream=127.0.0.1:7001",
    "ondemand.service": "[Service]\nExecStart=/bin/sleep infinity",
    "connection.socket": "[Socket]\nListenStream=127.0.0.1:7000\nAccept=yes",
    "connection@.service": "[Service]\nExecStart=/bin/sh -c 'read word; exit 1'\nStandardInput=socket",
    "broken.service": "[Service]\nExecStart=/bin/false",
    "brokenonce.service": "[Service]\nType=oneshot\nExecStart=/bin/false",
    "broken.mount": "[Mount]\nWhat=/nowhere\nWhere=/broken\nType=ext4",
    "looping.service": """
        [Unit]
        StartLimitIntervalSec=0
        [Service]
        ExecStart=/bin/false
        Restart=always
        RestartSec=100ms""",
    "patient.service": "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1h",
    "busy.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity",
    # Caught most often while it seems to run well.
    "staggering.service": """
        [Unit]
        StartLimitIntervalSec=0
        [Service]
        ExecStart=/bin/sh -c 'sleep 0.5; exit 1'
        Restart=always
        RestartSec=1ms""",
    "slow.service": "[Service]\nType=notify\nExecStart=/bin/sleep infinity",
}

IMAGE_UNITS = ["console-getty.service", "dbus.service", "systemd-journald.service", "systemd-logind.service"]


# Held until the process ends. The ways differ, and /proc/locks has both: dpkg and rpm take fcntl locks, apk takes flock.
FCNTL = 'use Fcntl; $lock = pack("s s x4 q q l x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLKW, $lock) or die'
FLOCK = 'use Fcntl ":flock"; flock(F, LOCK_EX) or die'


@contextlib.contextmanager
def locked(instance, path, how):
    perl = f"perl -e 'open F, \">>{path}\"; {how}; open G, \">/run/locked\"; sleep 60'"
    live.sh(instance, f"rm -f /run/locked; {perl} >/dev/null 2>&1 & echo $! > /run/pid")
    live.wait_until(lambda: live.sh(instance, "ls /run/locked", check=False), 10, f"{path} is locked")
    try:
        yield
    finally:
        live.sh(instance, "kill $(cat /run/pid)")


def findings_of(good, bad=()):
    return [f"bad: unit {unit}" for unit in sorted(bad)] + [f"good: unit {unit}" for unit in sorted(good)]


class Services(live.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.name = cls.enterClassContext(live.instance(image="debian"))
        for unit, text in UNITS.items():
            live.incus("file", "push", "-", f"{cls.name}/etc/systemd/system/{unit}", input=textwrap.dedent(text).strip() + "\n")
        live.wait_until(lambda: live.systemd_is_up(cls.name), 60, "systemd is running")
        cls.systemctl("daemon-reload")

    @classmethod
    def systemctl(cls, *words, check=True):
        return live.recorded(cls.name, "systemctl", *words, check=check)

    def setUp(self):
        self.addCleanup(self.systemctl, "reset-failed")
        self.addCleanup(self.systemctl, "stop", *(unit for unit in UNITS if "@" not in unit), "pool@*", "connection@*")

    def assert_units(self, good, bad=(), summary=None):
        code, findings, said = check(self.name, "services")
        self.assertEqual((code, findings), (0, findings_of([*IMAGE_UNITS, *good], bad)))
        if summary:
            self.assertEqual(said, summary)

    def test_running_units_are_good_and_a_stopped_one_is_gone(self):
        self.assert_units([], summary="4 units run")
        self.systemctl("start", "plain", "byhand", "once", "pool@a")
        for shell in ["sh"], ["bash", "--posix"]:
            self.assertEqual(check(self.name, "services", shell), (
                0, findings_of([*IMAGE_UNITS, "byhand.service", "plain.service", "pool@a.service"]), "7 units run"))
        self.systemctl("stop", "plain")
        self.assert_units(["byhand.service", "pool@a.service"], summary="6 units run")

    def test_an_alias_is_its_unit(self):
        self.systemctl("enable", "plain")
        self.addCleanup(self.systemctl, "disable", "plain")
        self.systemctl("start", "nickname")
        self.assert_units(["plain.service"])

    def test_failed_units_are_bad_of_whatever_type(self):
        for unit in "broken.service", "brokenonce.service", "broken.mount":
            self.systemctl("start", unit, check=False)
        live.wait_until(lambda: self.systemctl("is-failed", "broken", check=False).returncode == 0, 10, "broken.service failed")
        self.assert_units([], ["broken.service failed", "brokenonce.service failed", "broken.mount failed"],
                          "4 units run, 3 failed")

    def test_crash_loops_are_bad_at_every_moment_of_them(self):
        self.systemctl("start", "looping", "staggering", "patient")
        restarts = lambda: int(self.systemctl("show", "--value", "-p", "NRestarts", "staggering").stdout)
        live.wait_until(lambda: restarts() >= 2, 20, "staggering.service was restarted twice")
        for _ in range(8):
            self.assert_units([], ["looping.service crash-looping", "patient.service crash-looping", "staggering.service crash-looping"],
                              "4 units run, 3 crash-looping")

    def test_one_restart_is_no_loop(self):
        live.incus("file", "push", "-", f"{self.name}/run/systemd/system/phoenix.service",
                   input="[Service]\nExecStart=/bin/sleep infinity\nRestart=always\nRestartSec=1ms\n")
        self.systemctl("daemon-reload")
        self.addCleanup(self.systemctl, "stop", "phoenix")
        self.systemctl("start", "phoenix")
        self.systemctl("kill", "phoenix")
        state = lambda: self.systemctl("show", "--value", "-p", "NRestarts,SubState", "phoenix").stdout.split()
        live.wait_until(lambda: sorted(state()) == ["1", "running"], 10, "phoenix.service came back")
        self.assert_units(["phoenix.service"])

    def test_what_lives_on_demand_and_what_has_a_passing_name_does_not_count(self):
        self.systemctl("start", "ondemand.socket", "connection.socket")
        live.sh(self.name, "systemd-run -q --unit passing sleep infinity; systemd-run -q false")
        live.sh(self.name, "perl -MIO::Socket::INET -e '"
                "$a = IO::Socket::INET->new(\"127.0.0.1:7000\"); $b = IO::Socket::INET->new(\"127.0.0.1:7000\"); "
                "print $b \"x\\n\"; IO::Socket::INET->new(\"127.0.0.1:7001\"); sleep 60' >/dev/null 2>&1 &")
        self.addCleanup(self.systemctl, "stop", "passing")

        def states():
            return sorted(line.split()[2] for line in
                          self.systemctl("list-units", "--plain", "--no-legend", "connection@*", "ondemand.service").stdout.splitlines())
        live.wait_until(lambda: states() == ["active", "active", "failed"], 10, "two connections, one failed, and ondemand runs")
        self.assert_units([], summary="4 units run")

    def test_a_unit_that_is_still_starting_is_not_yet(self):
        self.systemctl("start", "--no-block", "slow")
        live.wait_until(lambda: self.systemctl("is-active", "slow", check=False).stdout == "activating\n", 10, "slow starts")
        self.assertEqual(check(self.name, "services"), (75, [], "slow.service has not finished to start or to stop"))

    def test_a_job_that_takes_long_is_not_waited_for(self):
        self.systemctl("start", "--no-block", "busy")
        live.wait_until(lambda: self.systemctl("is-active", "busy", check=False).stdout == "activating\n", 10, "busy works")
        self.assert_units([], summary="4 units run")

    def test_a_manager_that_does_not_answer_is_a_failure(self):
        live.sh(self.name, "mv /run/systemd/private /run/systemd/away; mv /run/dbus /run/away")
        try:
            code, findings, summary = check(self.name, "services")
        finally:
            live.sh(self.name, "mv /run/systemd/away /run/systemd/private; mv /run/away /run/dbus")
        self.assertEqual((code, findings), (1, []))
        self.assertIn("systemctl does not answer: ", summary)


class Boot(live.TestCase):
    def test_a_system_that_is_still_starting_is_not_yet(self):
        name = self.instance(image="debian", start=False)
        live.incus("file", "push", "-", f"{name}/etc/systemd/system/gate.service", input=textwrap.dedent("""\
            [Service]
            Type=oneshot
            ExecStart=/bin/sh -c 'until [ -e /run/open ]; do sleep 0.1; done'
            """))
        live.incus("file", "push", "-p", "-", f"{name}/etc/systemd/system/multi-user.target.d/gate.conf",
                   input="[Unit]\nRequires=gate.service\n")
        live.incus("start", name)
        live.wait_until(lambda: "activating" in live.sh(name, "systemctl is-active gate", check=False), 60, "the gate is shut")
        self.assertEqual(check(name, "services"), (75, [], "systemd is still starting"))
        live.sh(name, "touch /run/open")
        live.wait_until(lambda: live.systemd_is_up(name), 60, "systemd is running")
        self.assertEqual(check(name, "services"), (0, findings_of(IMAGE_UNITS), "4 units run"))


class Packages(live.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.name = cls.enterClassContext(live.instance(image="debian"))
        # Its postinst waits while /run/hold is there, and then does what /run/verdict says.
        cls.push_package("stubborn", postinst="#!/bin/sh\nwhile [ -e /run/hold ]; do sleep 0.1; done\n[ ! -e /run/fail ]\n")
        cls.push_package("needy", depends="absent")

    @classmethod
    def push_package(cls, package, depends=None, postinst=None):
        with tempfile.TemporaryDirectory() as folder:
            debian = pathlib.Path(folder, "tree", "DEBIAN")
            debian.mkdir(mode=0o755, parents=True)
            control = f"Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: test\n"
            (debian / "control").write_text(control + (f"Depends: {depends}\n" if depends else ""))
            if postinst:
                (debian / "postinst").write_text(postinst)
                (debian / "postinst").chmod(0o755)
            file = pathlib.Path(folder, "made.deb")
            subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", debian.parent, file], check=True, stdout=subprocess.DEVNULL)
            live.incus("file", "push", file, f"{cls.name}/root/{package}.deb")

    def sh(self, script):
        return live.sh(self.name, script, check=False)

    def setUp(self):
        self.addCleanup(self.sh, "rm -f /run/hold /run/fail; dpkg --purge --force-all stubborn needy")

    def assert_packages(self, bad, summary):
        for shell in ["sh"], ["bash", "--posix"]:
            self.assertEqual(check(self.name, "packages", shell), (0, [f"bad: {finding}" for finding in bad], summary))

    def test_a_consistent_database(self):
        self.assert_packages([], "dpkg: consistent")

    def test_what_dpkg_could_not_finish_is_bad(self):
        self.sh("touch /run/fail; dpkg -i /root/stubborn.deb /root/needy.deb")
        # dpkg leaves needy unpacked, as its dependency is not there
        self.assert_packages(["package needy unpacked", "package stubborn half-configured"], "dpkg: 2 defects")
        self.sh("dpkg --purge needy")
        self.assert_packages(["package stubborn half-configured"], "dpkg: 1 defect")
        self.sh("rm /run/fail; dpkg --configure -a")
        self.assert_packages([], "dpkg: consistent")
        self.sh("dpkg --remove stubborn; echo 'coreutils hold' | dpkg --set-selections")
        self.assert_packages([], "dpkg: consistent")
        self.sh("echo 'coreutils install' | dpkg --set-selections")

    def test_while_dpkg_works_it_is_not_yet_and_a_killed_one_is_bad(self):
        self.sh("touch /run/hold; dpkg -i /root/stubborn.deb >/dev/null 2>&1 & echo $! > /run/dpkg.pid")
        live.wait_until(lambda: "postinst" in self.sh("cat /proc/[0-9]*/cmdline"), 10, "the postinst runs")
        self.assertEqual(check(self.name, "packages"), (75, [], "dpkg is at work: dpkg"))
        self.sh("kill -9 $(cat /run/dpkg.pid)")
        self.assert_packages(["dpkg interrupted", "package stubborn half-configured"], "dpkg: 2 defects")
        self.sh("rm /run/hold; dpkg --configure -a")
        self.assert_packages([], "dpkg: consistent")

    def test_whoever_holds_a_lock_of_a_manager_is_named(self):
        for path in "/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend":
            with locked(self.name, path, FCNTL):
                self.assertEqual(check(self.name, "packages"), (75, [], "dpkg is at work: perl"))
        with locked(self.name, "/run/another-lock", FCNTL):
            self.assert_packages([], "dpkg: consistent")

    def test_several_managers(self):
        self.sh("printf '#!/bin/sh\\n' > /bin/apk; chmod +x /bin/apk; mkdir -p /lib/apk/db; cd /lib/apk/db; touch lock; "
                "printf 'P:musl\\n\\nP:post\\nf:s\\n' > installed")
        self.addCleanup(self.sh, "rm -r /bin/apk /lib/apk")
        self.assert_packages(["package post broken-script"], "dpkg: consistent, apk: 1 defect")
        with locked(self.name, "/lib/apk/db/lock", FLOCK):
            self.assertEqual(check(self.name, "packages"), (75, [], "apk is at work: perl"))

    def test_a_database_that_cannot_be_read_is_a_failure(self):
        self.sh("cp /var/lib/dpkg/status /root/status; echo garbage > /var/lib/dpkg/status")
        self.addCleanup(self.sh, "cp /root/status /var/lib/dpkg/status")
        code, findings, summary = check(self.name, "packages")
        self.assertEqual((code, findings), (1, []))
        self.assertRegex(summary, "^dpkg: the database cannot be read: .*error.*status")


class Rpm(live.TestCase):
    """rpm itself, as the tool that Debian has, with a database where rpm systems keep theirs."""

    SPEC = "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: test\nLicense: none\nBuildArch: noarch\n%description\ntest\n%files\n"

    def install_rpm(self, name):
        """With the host's help, as the instances have no network."""
        host = live.sh(name, "sed -nE 's|^deb http://([^/ ]+).*|\\1|p' /etc/apt/sources.list | head -n 1").strip()
        host, _, port = host.partition(":")
        try:
            address = socket.getaddrinfo(host, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
        except OSError as error:
            self.skipTest(f"the Debian mirror {host} cannot be reached: {error}")
        live.incus("config", "device", "add", name, "mirror", "proxy", "bind=instance", f"listen=tcp:127.0.0.1:{port or 80}",
                   f"connect=tcp:{address}:{port or 80}")
        live.sh(name, f"echo 127.0.0.1 {host} >> /etc/hosts")
        done = live.recorded(name, "sh", "-c",
                             "apt-get update -qq && apt-get install -qq --no-install-recommends rpm", check=False, timeout=300)
        if done.returncode != 0:
            self.skipTest(f"rpm cannot be installed from {host}: {done.stderr[-300:]}")

    def test_rpm(self):
        name = self.instance(image="debian")
        live.wait_until(lambda: live.systemd_is_up(name), 60, "systemd is running")
        self.install_rpm(name)
        live.sh(name, "rpm --dbpath /var/lib/rpm --initdb")
        self.assertEqual(check(name, "packages"), (0, [], "dpkg: consistent"), "rpm is a mere tool here")
        for package, version in ("tiny", 1), ("tiny", 2), ("kernel", 1), ("kernel", 2), ("other", 1):
            live.incus("file", "push", "-", f"{name}/root/{package}-{version}.spec", input=self.SPEC.format(name=package, version=version))
        live.sh(name, "cd /root; for s in *.spec; do rpmbuild -bb --quiet --define '_rpmdir /root' $s; done")
        rpm = "rpm --dbpath /var/lib/rpm --nodeps --force"
        live.sh(name, f"cd /root/noarch; {rpm} -i tiny-1-*.rpm other-*.rpm kernel-1-*.rpm kernel-2-*.rpm")
        self.assertEqual(check(name, "packages"), (0, [], "dpkg: consistent, rpm: consistent"))
        live.sh(name, f"{rpm} -i /root/noarch/tiny-2-*.rpm")
        self.assertEqual(check(name, "packages"), (0, ["bad: package tiny duplicated"], "dpkg: consistent, rpm: 1 defect"))
        live.sh(name, "mv /var/lib/dpkg /root/dpkg")
        self.assertEqual(check(name, "packages"), (0, ["bad: package tiny duplicated"], "rpm: 1 defect"))
        with locked(name, "/var/lib/rpm/.rpm.lock", FCNTL):
            self.assertEqual(check(name, "packages"), (75, [], "rpm is at work: perl"))
        live.sh(name, "cd /var/lib/rpm; rm -f rpmdb.sqlite-*; "
                "dd if=/dev/zero of=rpmdb.sqlite bs=4096 seek=1 count=1 conv=notrunc status=none")
        self.assert_unreadable(name)  # rpm says so, and exits 0
        live.sh(name, "cd /var/lib/rpm; rm -f rpmdb.sqlite-*; echo garbage > rpmdb.sqlite")
        self.assert_unreadable(name)

    def assert_unreadable(self, name):
        code, findings, summary = check(name, "packages")
        self.assertEqual((code, findings), (1, []))
        self.assertRegex(summary, "^rpm: the database cannot be read: error: ")


if __name__ == "__main__":
    unittest.main()
