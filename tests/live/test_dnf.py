# SPDX-License-Identifier: Apache-2.0
"""The recipe dnf, with the dnf and rpm of Debian and an archive of one package, version by version."""

import live
import software
import test_debian

SPEC = """Name: belay-test
Version: {version}
Release: 1
Summary: A server of the test
License: none
BuildArch: noarch
# What Debian has is not known to its rpm.
Provides: /bin/sh
%description
A server of the test.
%install
mkdir -p %{{buildroot}}
cp -r /root/files/. %{{buildroot}}
%post
{post}
%files
/usr/lib/systemd/system/belay-test.service
%config(noreplace) /etc/belay-test.conf
"""

START = "systemctl daemon-reload; systemctl enable -q --now belay-test.service; systemctl restart belay-test.service"
# What changes by itself while a Debian runs; and what dnf fetches before the snapshot.
LIVELY = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp", "/var/log", "/var/lib/systemd", "/var/cache/dnf",
          "/var/lib/dnf/history.sqlite-*", "/srv/archive")


class Dnf(software.TestCase):
    def setUp(self):
        self.name, _ = self.server("dnf", "rpm", "createrepo-c")
        self.put("/etc/yum.repos.d/test.repo", "[test]\nname=test\nbaseurl=file:///srv/archive\ngpgcheck=0\n")
        # Debian's own choice is a folder of the user.
        self.put("/etc/rpm/macros", "%_dbpath /var/lib/rpm\n")
        live.sh(self.name, "mkdir /srv/archive")
        self.publish("1", START)
        live.sh(self.name, "dnf -y install belay-test; echo edited >/etc/belay-test.conf")
        live.wait_until(self.active, 10, "the server runs")

    def put(self, path, text):
        live.incus("file", "push", "-", self.name + path, "--create-dirs", input=text)

    def publish(self, version, post):
        """Makes this version the newest one of the archive."""
        self.put("/root/files/usr/lib/systemd/system/belay-test.service", test_debian.UNIT)
        self.put("/root/files/etc/belay-test.conf", f"version = {version}\n")
        self.put("/root/spec", SPEC.format(version=version, post=post))
        live.sh(self.name, "rpmbuild -bb --quiet --define '_rpmdir /srv/archive' /root/spec && createrepo_c -q /srv/archive")

    def active(self):
        return live.sh(self.name, "systemctl is-active belay-test", check=False).strip() == "active"

    def upgrade(self):
        return live.report("run", "-r", "dnf", "--soak", "3s", "--retry-for", "8s", self.name)

    def state(self):
        return live.sh(self.name, "rpm -q belay-test; cat /etc/belay-test.conf").split(), self.active()

    def assert_undone(self, version):
        before = live.tree(self.name, LIVELY)
        code, report = self.upgrade()
        self.assertEqual((code, report["outcome"], report["reason"]), (1, "rolled-back", "check-failed"), report["message"])
        self.assertEqual(report["command_exit"], 0)
        self.assertIn("unit belay-test.service", report["message"])
        self.assertEqual(self.state(), ([f"belay-test-{version}-1.noarch", "edited"], True))
        self.assert_same_tree(before, live.tree(self.name, LIVELY))

    def test_upgrades_of_an_archive(self):
        with self.subTest("nothing new: no snapshot is kept"):
            code, report = self.upgrade()
            self.assertEqual((code, report["outcome"]), (0, "unchanged"), report["message"])
        with self.subTest("a good one is kept, and so is the edited configuration"):
            self.publish("2", START)
            code, report = self.upgrade()
            self.assertEqual((code, report["outcome"]), (0, "committed"), report["message"])
            self.assertEqual(self.state(), (["belay-test-2-1.noarch", "edited"], True))
            self.assertEqual(live.sh(self.name, "cat /etc/belay-test.conf.rpmnew"), "version = 2\n")
            packages, = (c for c in report["checks"] if c["name"] == "packages")
            self.assertEqual((packages["final"], packages["summary"]), ("pass", "dpkg: consistent, rpm: consistent"))
        with self.subTest("one that succeeds, but disables its service"):
            self.publish("3", "systemctl disable -q --now belay-test.service")
            self.assert_undone("2")
        with self.subTest("one whose scriptlet fails half-way, which is a warning for dnf"):
            self.publish("4", "systemctl stop belay-test.service\nexit 1\nsystemctl start belay-test.service")
            self.assert_undone("2")
        with self.subTest("one that cannot be fetched: refused, and nothing touched"):
            live.sh(self.name, "rm /srv/archive/noarch/belay-test-4-*")
            code, report = self.upgrade()
            self.assertEqual((code, report["outcome"]), (3, "refused"), report["message"])
            self.assertEqual(self.state(), (["belay-test-2-1.noarch", "edited"], True))
