# SPDX-License-Identifier: Apache-2.0
"""The recipe mariadb: a real MariaDB with its data on a custom volume, while rows are written."""

import databases
import live

BROKEN = """#!/bin/sh
mariadb -e 'drop table shop.numbers'
printf '[mariadbd]\nno_such_setting = on\n' >/etc/mysql/mariadb.conf.d/99-new.cnf
systemctl restart mariadb.service
"""


class MariaDB(databases.TestCase):
    package, recipe, data = "mariadb-server", "mariadb", "/var/lib/mysql"
    client = ("mariadb", "--unbuffered", "--skip-column-names", "--batch", "shop")
    prepare = "mariadb -e 'create database shop'"
    schema = """create table numbers (id bigint primary key auto_increment, said text) engine = InnoDB;
        insert into numbers (said) select 'in the beginning' from seq_1_to_10;"""

    def test_upgrades(self):
        name = self.database()
        # Its socket unit, which listens on all addresses, works from the first boot on.
        live.incus("restart", name)
        live.wait_until(lambda: live.systemd_is_up(name), 60, "systemd is running")
        with self.subTest("a good one is kept, with all rows"):
            self.assert_a_good_one_is_kept(name)
        with self.subTest("one that drops a table and cannot start with the new configuration"):
            self.publish(name, "worse", BROKEN + "exit 0\n")
            report = self.assert_undone_with_every_row(name, "check-failed")
            self.assertIn("unit mariadb.service", report["message"])
