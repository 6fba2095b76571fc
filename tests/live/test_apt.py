# SPDX-License-Identifier: Apache-2.0
"""From Debian 12 to Debian 13 for real, by the recipe apt-full: what the new release breaks is undone, and says how to
accept it; and packages of an archive that break a service, by the recipe apt."""

import hashlib
import pathlib
import shlex
import tempfile

import live
import software
import test_debian

SOON = ("--soak", "3s", "--retry-for", "10s")
# What changes by itself while a Debian runs; and what apt fetches before the snapshot.
LIVELY = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp", "/var/log", "/var/lib/systemd", "/var/lib/apt/lists", "/var/cache/apt")

GIT_DAEMON = """GIT_DAEMON_ENABLE=true
GIT_DAEMON_USER=gitdaemon
GIT_DAEMON_BASE_PATH=/srv/git
GIT_DAEMON_DIRECTORY=/srv/git
GIT_DAEMON_OPTIONS="--export-all --reuseaddr"
"""


def pasted(message):
    """The options that a message tells to run again with, as a shell would read them."""
    words = shlex.split(message[message.index("--expect-lost"):])
    options = []
    while words[:1] == ["--expect-lost"]:
        options, words = options + words[:2], words[2:]
    return options


class Release(software.TestCase):
    """Debian 13 has no git-daemon-sysvinit any more, and its git does not go with that of Debian 12: the package that
    serves the repositories is removed by the upgrade."""

    def setUp(self):
        self.name, _ = self.server("git-daemon-sysvinit")
        live.incus("file", "push", "-", f"{self.name}/etc/default/git-daemon", input=GIT_DAEMON)
        live.sh(self.name, """set -e
            git init -q --bare /srv/git/app.git
            chown -R gitdaemon /srv/git
            systemctl restart git-daemon
            # This file differs in the new release, and dpkg would ask.
            sed -i 's/^UMASK.*/UMASK 077/' /etc/login.defs
            sed -i s/bookworm/trixie/ /etc/apt/sources.list""")
        live.wait_until(self.serves, 20, "git is served")

    def serves(self):
        return live.recorded(self.name, "git", "ls-remote", "git://127.0.0.1/app.git", check=False).returncode == 0

    def installed(self, package):
        return live.sh(self.name, f"dpkg-query -W -f '${{db:Status-Status}}' {package}", check=False) == "installed"

    def release(self):
        return live.sh(self.name, "cat /etc/debian_version").partition(".")[0]

    def test_a_service_that_the_new_release_lacks(self):
        umask = live.sh(self.name, "grep ^UMASK /etc/login.defs")
        before = live.tree(self.name, LIVELY)
        with self.subTest("is missed, and the upgrade undone"):
            code, report = live.report("run", "-r", "apt-full", *SOON, self.name, timeout=600)
            self.assertEqual((code, report["outcome"], report["reason"]), (1, "rolled-back", "check-failed"), report["message"])
            self.assertEqual(report["command_exit"], 0)
            self.assertEqual(self.release(), "12")
            self.assertTrue(self.installed("git-daemon-sysvinit"))
            self.assertTrue(self.serves())
            self.assert_same_tree(before, live.tree(self.name, LIVELY))
        accepted = pasted(report["message"])
        self.assertIn("tcp/9418 any", accepted)
        with self.subTest("may be lost when what the message says is pasted"):
            code, report = live.report("run", "-r", "apt-full", *SOON, *accepted, self.name, timeout=600)
            self.assertEqual((code, report["outcome"]), (0, "committed"), report["message"])
            self.assertEqual(self.release(), "13")
            self.assertFalse(self.installed("git-daemon-sysvinit"))
            self.assertFalse(self.serves())
        with self.subTest("and the configuration stays as it was edited"):
            self.assertEqual(live.sh(self.name, "grep ^UMASK /etc/login.defs"), umask)
            self.assertNotEqual(live.sh(self.name, "find /etc -name login.defs.dpkg-dist"), "", "dpkg would not have asked")


class Archive(live.TestCase):
    """An archive in the instance, and a package of which it has one version after another."""

    def setUp(self):
        self.name = self.instance(image="debian")
        live.wait_until(lambda: live.systemd_is_up(self.name), 60, "systemd is running")
        live.sh(self.name, """mkdir /srv/archive; rm -rf /etc/apt/sources.list.d/*
            echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list""")
        self.publish("1", test_debian.START)
        live.sh(self.name, "apt-get -q update && apt-get -q -y install belay-test")
        self.before = live.tree(self.name, (*LIVELY, "/srv/archive"))

    def publish(self, version, postinst, control=""):
        """Makes this version the newest one of the archive. control: more lines of its control file."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        file = test_debian.deb(folder, version, postinst)
        if control:
            root = pathlib.Path(folder, f"root-{version}")
            with open(root / "DEBIAN" / "control", "a") as its:
                its.write(control)
            live.run("dpkg-deb", "--root-owner-group", "-b", root, file, check=True)
        control = live.run("dpkg-deb", "--field", file, check=True).stdout
        content = file.read_bytes()
        index = f"{control}Filename: ./{file.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        live.incus("file", "push", file, f"{self.name}/srv/archive/{file.name}")
        live.incus("file", "push", "-", f"{self.name}/srv/archive/Packages", input=index)

    def upgrade(self, recipe, *options):
        return live.report("run", "-r", recipe, *SOON, *options, self.name)

    def version(self):
        return live.sh(self.name, "dpkg-query -W -f '${Status} ${Version}' belay-test")

    def active(self):
        return live.sh(self.name, "systemctl is-active belay-test", check=False).strip() == "active"

    def assert_undone(self, code, report, reason):
        self.assertEqual((code, report["outcome"], report["reason"]), (1, "rolled-back", reason), report["message"])
        self.assertEqual((self.version(), self.active()), ("install ok installed 1", True))
        self.assert_same_tree(self.before, live.tree(self.name, (*LIVELY, "/srv/archive")))

    def test_upgrades_of_an_archive(self):
        with self.subTest("nothing new: no snapshot is kept"):
            code, report = self.upgrade("apt")
            self.assertEqual((code, report["outcome"]), (0, "unchanged"), report["message"])
        with self.subTest("a package whose postinst fails"):
            self.publish("2", "#!/bin/sh\nexit 1\n")
            self.assert_undone(*self.upgrade("apt"), "command-failed")
        with self.subTest("one that succeeds, but disables its service"):
            self.publish("3", "#!/bin/sh\nsystemctl disable --now belay-test.service\n")
            code, report = self.upgrade("apt-full")
            self.assert_undone(code, report, "check-failed")
            self.assertEqual(pasted(report["message"])[1::2], ["tcp/5380 any", "unit belay-test.service"])
        with self.subTest("an archive that does not answer: refused, with nothing touched"):
            live.sh(self.name, "echo 'deb [trusted=yes] http://127.0.0.1:9 ./' >/etc/apt/sources.list.d/away.list")
            code, report = self.upgrade("apt")
            live.sh(self.name, "rm /etc/apt/sources.list.d/away.list")
            self.assertEqual((code, report["outcome"], self.active()), (3, "refused", True), report["message"])
        with self.subTest("what needs a removal is kept back by apt, and done by apt-full"):
            self.publish("4", test_debian.START, "Breaks: sqlite3\n")
            code, report = self.upgrade("apt")
            self.assertEqual((code, report["outcome"], self.version()), (0, "unchanged", "install ok installed 1"), report["message"])
            code, report = self.upgrade("apt-full")
            self.assertEqual((code, report["outcome"], self.version()), (0, "committed", "install ok installed 4"), report["message"])
            self.assertNotIn("ok installed", live.sh(self.name, "dpkg-query -W -f '${Status}' sqlite3", check=False))
        self.assertTrue(self.active())
