# SPDX-License-Identifier: Apache-2.0
"""The recipe postgresql: a real PostgreSQL with its data on a custom volume, while rows are written."""

import databases
import live

BROKEN = """#!/bin/sh
su - postgres -c 'psql -qc "drop table numbers"'
echo 'no_such_setting = on' >>/etc/postgresql/15/main/postgresql.conf
systemctl restart postgresql@15-main.service
"""

# A while of writing after the snapshot.
MORE_ROWS = """rows() { runuser -u postgres -- psql -Atqc 'select count(*) from numbers'; }
before=$(rows)
for _ in $(seq 100); do [ "$(rows)" -lt $((before + 50)) ] || break; sleep 0.1; done
"""


class PostgreSQL(databases.TestCase):
    package, recipe, data = "postgresql-15", "postgresql", "/var/lib/postgresql"
    # Not su: it would hold up the stop of the instance.
    client = ("runuser", "-u", "postgres", "--", "psql", "-Atq")
    schema = """create table numbers (id serial primary key, said text);
        insert into numbers (said) select 'in the beginning' from generate_series(1, 10);"""

    def assert_recovered(self, name):
        """The snapshot was taken of a server at work, not of one that had been stopped."""
        self.assertIn("automatic recovery in progress", live.sh(name, "cat /var/log/postgresql/postgresql-15-main.log"))

    def test_upgrades_on_btrfs(self):
        name = self.database()
        with self.subTest("a good one is kept, with all rows"):
            self.assert_a_good_one_is_kept(name)
        with self.subTest("one that drops a table and cannot start with the new configuration"):
            self.publish(name, "worse", BROKEN + "exit 0\n")
            report = self.assert_undone_with_every_row(name, "check-failed")
            self.assertIn("unit postgresql@15-main.service", report["message"])
            self.assert_recovered(name)
        with self.subTest("one that does so and fails"):
            self.publish(name, "worst", BROKEN + "exit 1\n")
            self.assert_undone_with_every_row(name, "command-failed")

    def test_an_upgrade_on_dir(self):
        name = self.database(pool="dir")
        self.assert_undone_with_every_row(name, "command-failed", "sh", "-c", MORE_ROWS + BROKEN + "exit 1\n")
        self.assert_recovered(name)
