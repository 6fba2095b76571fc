# SPDX-License-Identifier: Apache-2.0
"""Tools of the tests with databases: a server with its data on a custom volume, newer versions of its package, and a
client that writes rows all the time."""

import datetime
import subprocess
import threading
import time

import live
import software

SOON = ("--soak", "3s", "--retry-for", "15s")

# VERSION SCRIPT: packs what was unpacked anew, with an own postinst if SCRIPT says so, as the newest version of the archive.
PUBLISH = """set -e
cd /srv/archive
sed -i "s/^Version: .*/Version: $(cat base)+$1/" root/DEBIAN/control
cp original root/DEBIAN/postinst
[ -z "$2" ] || printf '%s' "$2" >root/DEBIAN/postinst
rm -f ./*.deb
dpkg-deb -Znone --root-owner-group -b root new.deb >/dev/null
{ dpkg-deb -f new.deb; echo "Filename: ./new.deb"; stat -c 'Size: %s' new.deb; sha256sum new.deb | sed 's/^/SHA256: /; s/ *new.deb$//'; } >Packages
echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list.d/archive.list
"""


class TestCase(software.TestCase):
    package = recipe = data = schema = None  # of each database: the package of its server, its recipe, the folder of its data, a table
    prepare = ""  # a shell command that comes before the first statement
    client = ()  # a program that reads statements from stdin and prints their values at once; it must end with SIGTERM

    def database(self, pool="btrfs"):
        """A new Debian with the server, whose data are on a custom volume, and a table with ten rows: its name."""
        volume = self.enterContext(live.volume(pool))
        name, _ = self.server(pool=pool)
        live.incus("storage", "volume", "attach", pool, volume, name, self.data)
        live.sh(name, f"""set -e
            apt-get -q update
            DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends {self.package}
            mkdir -p /srv/archive && cd /srv/archive
            apt-get -q download {self.package}
            apt-get clean
            dpkg-deb -R ./*.deb root
            dpkg-deb -f ./*.deb Version >base
            cp root/DEBIAN/postinst original""")
        live.sh(name, self.prepare)
        self.query(name, self.schema)
        return name

    def publish(self, name, version, postinst=""):
        """Makes this the newest version of the archive; with a postinst of its own if there is one."""
        live.recorded(name, "sh", "-c", PUBLISH, "publish", version, postinst)

    def upgrade(self, name, *command):
        """By the recipe, with its command or with this one."""
        return live.report("run", "-r", self.recipe, *SOON, name, *(("--", *command) if command else ()), timeout=300)

    def query(self, name, statement):
        return live.run("incus", "exec", "-T", name, "--", *self.client, check=True, input=statement + "\n").stdout.strip()

    def rows(self, name):
        return [int(word) for word in self.query(name, "select id from numbers order by id;").split()]

    def version(self, name):
        """What publish() has given to the version that is installed."""
        return live.sh(name, f"dpkg-query -W -f '${{Version}}' {self.package}").rpartition("+")[2]

    def assert_a_good_one_is_kept(self, name):
        self.publish(name, "good")
        code, report = self.upgrade(name)
        self.assertEqual((code, report["outcome"], self.version(name)), (0, "committed", "good"), report["message"])
        self.assertEqual(self.rows(name), list(range(1, 11)))

    def assert_undone_with_every_row(self, name, reason, *command):
        """Upgrades while rows are written: it is undone, and each row that the server had accepted before the snapshot is
        there; of the later ones none."""
        version = self.version(name)
        with Writer(name, self.client) as writer:
            live.wait_until(lambda: len(writer.accepted) > 20, 20, "rows are written")
            code, report = self.upgrade(name, *command)
        self.assertEqual((code, report["outcome"], report["reason"]), (1, "rolled-back", reason), report["message"])
        self.assertEqual(self.version(name), version)
        rows = self.rows(name)
        pause, unpause = moment(report, "pause"), moment(report, "unpause")
        before = [row for at, row in writer.accepted if at < pause]
        after = [row for at, row in writer.accepted if at > unpause + 0.2]  # an answer may have been under way
        self.assertEqual([row for row in before if row not in rows], [])
        self.assertTrue(after, "nothing was written after the snapshot")
        self.assertEqual([row for row in after if row in rows], [])
        return report


class Writer:
    """Writes a row every few milliseconds, in a thread of its own: accepted has the time of each answer and the row's
    number. A `with` block; the end of the server or of its instance is an end, too."""

    STATEMENT = "insert into numbers (said) values ('again') returning id;\n"

    def __init__(self, name, client):
        self.accepted = []
        self._command = ["incus", "exec", "-T", name, "--", *client]
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, text=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._thread.join()
        self._process.communicate()

    def _run(self):
        try:
            while True:
                self._process.stdin.write(self.STATEMENT)
                self._process.stdin.flush()
                line = self._process.stdout.readline()
                if not line.strip().isdigit():
                    return
                self.accepted.append((time.time(), int(line)))
        except OSError:
            return


def moment(report, phase):
    """When this phase began, in seconds since 1970."""
    started, = {p["started"] for p in report["phases"] if p["name"] == phase}
    return datetime.datetime.fromisoformat(started).timestamp()
