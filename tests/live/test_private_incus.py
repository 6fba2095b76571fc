# SPDX-License-Identifier: Apache-2.0
"""The ground that the live tests stand on: the private Incus and its tools."""

import os
import signal

import live


class PrivateIncus(live.TestCase):
    def wait_for_httpd(self, name):
        live.wait_until(lambda: live.sh(name, "netstat -lnt | grep :8080", check=False), 10, "/etc/rc has started httpd")

    def test_a_restored_snapshot_brings_every_file_back_on_both_pools(self):
        for pool in "dir", "btrfs":
            with self.subTest(pool=pool):
                name = self.instance(pool=pool, rc="#!/bin/sh\nhttpd -p 8080\n")
                self.wait_for_httpd(name)
                live.sh(name, "mkdir -p /data/deep && echo 1 > /data/deep/file && ln -s file /data/deep/link")
                before = live.tree(name)
                live.incus("snapshot", "create", name, "s")
                live.sh(name, "echo 22 > /data/deep/file; ln -sf / /data/deep/link; chmod 700 /data; rm -r /var; touch /new")
                self.assertEqual([line.split()[:2] for line in live.differences(before, live.tree(name))], [
                    ["changed:", "/data/deep/file:"],  # sha256
                    ["changed:", "/data/deep/file:"],  # size
                    ["changed:", "/data/deep/link:"],
                    ["changed:", "/data:"],
                    ["gone:", "/var"],
                    ["new:", "/new"]])
                live.incus("snapshot", "restore", name, "s")
                self.assertEqual(live.status(name), "RUNNING")
                self.wait_for_httpd(name)
                self.assert_same_tree(before, live.tree(name))
                live.incus("stop", "--force", name)
                self.assert_same_tree(before, live.tree(name))

    def test_a_tree_leaves_out_what_is_excluded(self):
        tree = live.tree(self.instance(), exclude=["/bin", "/etc/p*"])
        self.assertFalse([path for path in tree if path.startswith("/bin") or path == "/etc/passwd"])
        self.assertEqual(tree["/sbin/init"]["type"], "file")

    def test_an_instance_is_deleted_also_when_its_test_fails(self):
        with self.assertRaises(ZeroDivisionError):
            with live.instance() as name:
                self.assertEqual(live.status(name), "RUNNING")
                1 / 0
        self.assertEqual(live.status(name), "")

    def test_the_debian_image_comes_up_with_systemd(self):
        name = self.instance(image="debian")
        live.wait_until(lambda: live.systemd_is_up(name), 60, "systemd is running")

    def test_a_killed_daemon_comes_back_with_its_instances_running(self):
        name = self.instance()
        os.kill(live.daemon_pid(), signal.SIGKILL)
        live.wait_until(lambda: live.daemon_pid() is None, 10, "the daemon is gone")
        live.start_daemon()
        self.assertIsNotNone(live.daemon_pid())
        self.assertEqual(live.sh(name, "echo alive"), "alive\n")

    def test_commands_see_the_private_incus_only(self):
        self.assertEqual(os.environ["INCUS_DIR"], os.environ["BELAY_TEST_INCUS_DIR"] + "/incus")
        self.assertIn(os.environ["INCUS_DIR"], live.incus("storage", "show", "btrfs").stdout)
