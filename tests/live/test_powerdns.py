# SPDX-License-Identifier: Apache-2.0
"""A real DNS server: PowerDNS with SQLite of Debian 12 gets the release of Debian 13, by the recipe. A client outside asks it
all the time."""

import socket
import struct

import live
import software
from software import begin_of, check, finals, phase

PACKAGES = ("pdns-server", "pdns-backend-sqlite3", "sqlite3")
DATABASE = "/var/lib/powerdns/pdns.sqlite3"

# `master` is an old name of `primary`: 4.7 takes it, 4.9 ends when it reads it.
SETUP = f"""set -e
sed -i '/^launch=/d' /etc/powerdns/pdns.conf
cat >/etc/powerdns/pdns.d/site.conf <<END
launch=gsqlite3
gsqlite3-database={DATABASE}
master=yes
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
END
sqlite3 {DATABASE} </usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql
chown pdns:pdns {DATABASE}
pdnsutil create-zone example.org ns1.example.org
pdnsutil replace-rrset example.org @ SOA 'ns1.example.org hostmaster.example.org 1 10800 3600 604800 3600'
pdnsutil add-record example.org ns1 A 192.0.2.53
pdnsutil add-record example.org www A 192.0.2.80
pdnsutil add-record example.org www AAAA 2001:db8::80
pdnsutil add-record example.org @ MX '10 mail.example.org'
pdnsutil add-record example.org mail A 192.0.2.25
for i in $(seq 50); do echo "INSERT INTO records (domain_id, name, type, content, ttl, auth)
    VALUES (1, 'host$i.example.org', 'A', '198.51.100.$i', 300, 1);"; done | sqlite3 {DATABASE}
systemctl restart pdns
sed s/bookworm/trixie/ /etc/apt/sources.list >/etc/apt/sources.list.d/trixie.list
apt-get update -q
apt-get install -q -y --download-only --only-upgrade pdns-server pdns-backend-sqlite3
"""

MENDED = ("sed -i s/^master=/primary=/ /etc/powerdns/pdns.d/site.conf && "
          "apt-get -y install --only-upgrade pdns-server pdns-backend-sqlite3")
# All that listens goes on to listen, and the list of zones is there; but no name can be looked up.
OTHER_SCHEMA = f"sqlite3 {DATABASE} 'ALTER TABLE records RENAME COLUMN auth TO authoritative' && systemctl restart pdns"

A, SOA = 1, 6
SERVFAIL = 2

# Seconds from the stop to the first answer. On a quiet machine it is 3, most of that the boot of the instance.
WAY_BACK = 10


def ask(address, name, kind, timeout=0.25):
    """What a DNS server says over UDP: (response code, number of answers); None when it says nothing."""
    query = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0)
    query += b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    query += struct.pack(">2H", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        try:
            client.connect((address, 53))
            client.send(query)
            reply = client.recv(4096)
        except OSError:
            return None
    number, flags, _, answers = struct.unpack(">4H", reply[:8])
    return (flags & 15, answers) if number == 4711 else None


class PowerDns(software.TestCase):
    def setUp(self):
        self.name, self.address = self.server(*PACKAGES)
        live.sh(self.name, SETUP)
        live.wait_until(self.answers, 20, "the DNS server answers")
        self.before = self.content()

    def answers(self):
        return ask(self.address, "www.example.org", A) == (0, 1)

    def version(self):
        """Of the server that runs."""
        return live.sh(self.name, "pdns_control version").strip()

    def content(self):
        """The zone as the server's tool reads it, and every table as it is in the database."""
        zone = live.sh(self.name, "pdnsutil list-zone example.org")
        self.assertIn("host50.example.org", zone)
        return sorted(zone.splitlines()), live.sh(self.name, f"sqlite3 {DATABASE} .dump")

    def upgrade(self, *command, options=()):
        """belay run while a client asks: exit code, report and client."""
        with software.Client(self.answers) as client:
            code, report = live.report("run", "-r", "powerdns", "--check", "udp-dns example.org SOA", "--soak", "3s",
                                       *options, self.name, *(("--", *command) if command else ()), timeout=300)
        return code, report, client

    def tell(self, what, report, client):
        print(f"\n{what}: no answer for {client.downtime:.2f} s in all, the command took "
              f"{phase(report, 'upgrade')['seconds']:.1f} s, belay's own downtime {report['downtime_seconds']:.2f} s", flush=True)

    def assert_undone(self, what, code, report, client):
        self.assertEqual((code, report["outcome"]), (1, "rolled-back"), report["message"])
        self.assertTrue(self.answers())
        self.assertEqual(self.version().split(".")[:2], ["4", "7"])
        self.assertEqual(self.content(), self.before)
        # How long the broken server was up is a matter of what was broken. From there on only the way back counts.
        back = max(begin + seconds for begin, seconds in client.outages) - begin_of(report, "stop")
        print(f"\n{what}: from the stop until it answers {back:.2f} s", end="", flush=True)
        self.tell(what, report, client)
        self.assertLess(back, WAY_BACK)
        self.assert_no_outage_before_the_upgrade(report, client)

    def assert_no_outage_before_the_upgrade(self, report, client):
        """Neither the baseline nor the snapshot takes the service away; 50 ms for the last answer."""
        self.assertGreater(min(begin for begin, _ in client.outages), begin_of(report, "upgrade") - 0.05)

    def test_upgrades_of_a_real_dns_server(self):
        self.assertEqual(self.version().split(".")[:2], ["4", "7"])

        with self.subTest("a release that no longer takes the configuration is undone"):
            code, report, client = self.upgrade(options=["--retry-for", "8s"])
            self.assert_undone("undone upgrade", code, report, client)
            self.assertEqual(report["reason"], "check-failed")
            found = finals(report)
            self.assertEqual(found["command pdns_server --config=check"], "fail")
            self.assertIn(found["unit pdns"], ("fail", "not-yet"))  # it is restarted again and again
            self.assertIn("udp/53 any", check(report, "listening")["lost_good"])

        with self.subTest("a database that it cannot use, while everything listens and runs, is undone"):
            code, report, client = self.upgrade("sh", "-c", OTHER_SCHEMA, options=["--retry-for", "8s"])
            self.assert_undone("undone change", code, report, client)
            self.assertEqual(report["reason"], "check-failed")
            found = finals(report)
            self.assertEqual(found["udp-dns example.org SOA"], "fail")
            self.assertIn("SERVFAIL", check(report, "udp-dns example.org SOA")["summary"])
            for blind in "listening", "services", "packages", "unit pdns", "command pdns_control rping":
                self.assertEqual(found[blind], "pass", blind)

        with self.subTest("the release with a mended configuration is kept"):
            code, report, client = self.upgrade("sh", "-c", MENDED)
            self.tell("kept upgrade", report, client)
            self.assertEqual((code, report["outcome"]), (0, "committed"), report["message"])
            self.assertEqual(self.version().split(".")[:2], ["4", "9"])
            self.assertEqual(self.content(), self.before)
            self.assertEqual(set(finals(report).values()), {"pass"})
            # The server is away while its packages are exchanged, and at no other time.
            self.assertLess(client.downtime, phase(report, "upgrade")["seconds"] + 1)
            self.assert_no_outage_before_the_upgrade(report, client)

        with self.subTest("what was kept can be taken back"):
            code, report = live.report("rollback", "--yes", self.name)
            self.assertEqual((code, report["outcome"]), (0, "rolled-back"), report["message"])
            self.assertTrue(self.answers())
            self.assertEqual(self.version().split(".")[:2], ["4", "7"])
            self.assertEqual(self.content(), self.before)
