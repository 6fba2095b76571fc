# SPDX-License-Identifier: Apache-2.0
"""A Debian with systemd: packages whose upgrade breaks a service are noticed by the default checks alone."""

import pathlib
import tempfile

import live

UNIT = """[Unit]
Description=A server of the test
[Service]
ExecStart=/usr/bin/perl -e 'use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 5380, Listen => 5, ReuseAddr => 1) or die; while (my $c = $s->accept) { print $c "hello\\n"; close $c }'
[Install]
WantedBy=multi-user.target
"""

START = "#!/bin/sh\nset -e\nsystemctl daemon-reload\nsystemctl enable --now belay-test.service\nsystemctl restart belay-test.service\n"


def deb(folder, version, postinst, files=()):
    """A tiny package of the server, version by version."""
    root = pathlib.Path(folder, f"root-{version}")
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        f"Package: belay-test\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: test\n")
    script = root / "DEBIAN" / "postinst"
    script.write_text(postinst)
    script.chmod(0o755)
    for path, text in {"usr/lib/systemd/system/belay-test.service": UNIT, **dict(files)}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    out = pathlib.Path(folder, f"belay-test_{version}.deb")
    live.run("dpkg-deb", "--root-owner-group", "-b", root, out, check=True)
    return out


class Debian(live.TestCase):
    def setUp(self):
        self.name = self.instance(image="debian")
        live.wait_until(lambda: live.systemd_is_up(self.name), 60, "systemd is running")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.debs = {
            "1": deb(folder.name, "1", START),
            "2": deb(folder.name, "2", START),
            "3": deb(folder.name, "3", "#!/bin/sh\nsystemctl disable --now belay-test.service\n"),  # succeeds, and breaks it
            "4": deb(folder.name, "4", "#!/bin/sh\nexit 1\n"),
            "5": deb(folder.name, "5", START, [("usr/lib/systemd/system/belay-test.service", UNIT.replace(" or die", " or die; sleep 4; exit 1"))]),
        }
        for version, file in self.debs.items():
            live.incus("file", "push", file, f"{self.name}/root/{version}.deb")
        live.sh(self.name, "dpkg -i /root/1.deb && systemctl is-active belay-test.service")
        live.wait_until(self.answers, 10, "the server answers")

    def answers(self):
        return live.sh(self.name, "exec 3<>/dev/tcp/127.0.0.1/5380 && cat <&3".join(["bash -c '", "'"]), check=False) == "hello\n"

    def version(self):
        return live.sh(self.name, "dpkg-query -W -f '${Status} ${Version}' belay-test")

    def upgrade(self, version, *options):
        return live.report("run", "--soak", "8s", "--retry-for", "8s", *options, self.name, "--", "dpkg", "-i", f"/root/{version}.deb")

    def assert_undone(self, code, report, reason):
        self.assertEqual((code, report["outcome"], report["reason"]), (1, "rolled-back", reason), report["message"])
        live.wait_until(self.answers, 20, "the server answers again")
        self.assertEqual(self.version(), "install ok installed 1")

    def test_upgrades_of_a_real_package(self):
        with self.subTest("a good one is kept"):
            code, report = self.upgrade("2")
            self.assertEqual((code, report["outcome"]), (0, "committed"), report["message"])
            self.assertEqual(self.version(), "install ok installed 2")
            self.assertEqual([c["final"] for c in report["checks"]], ["pass"] * 3)
            live.sh(self.name, "dpkg -i --force-downgrade /root/1.deb")
        with self.subTest("one that succeeds, but disables the service"):
            code, report = self.upgrade("3")
            self.assertEqual(report["command_exit"], 0)
            self.assert_undone(code, report, "check-failed")
            self.assertIn("unit belay-test.service", report["message"])
            self.assertIn("tcp/5380", report["message"])
        with self.subTest("one whose postinst fails"):
            code, report = self.upgrade("4")
            self.assert_undone(code, report, "command-failed")
        with self.subTest("one whose service dies after a few seconds"):
            code, report = self.upgrade("5")
            self.assert_undone(code, report, "check-failed")
        with self.subTest("a loss that is expected"):
            code, report = self.upgrade("3", "--expect-lost", "unit belay-test.service", "--expect-lost", "tcp/5380 *")
            self.assertEqual(code, 0, report["message"])
