# SPDX-License-Identifier: Apache-2.0
"""Tools of the tests with real software: Debian instances with an address and the package mirror, and a client outside
that asks them all the time."""

import contextlib
import datetime
import os
import threading
import time

import live

ADDRESS_UNIT = """[Unit]
Description=Address of the test network
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip address replace {address}/24 dev eth0; ip link set eth0 up; ip route replace default via {router}'
[Install]
WantedBy=multi-user.target
"""


class TestCase(live.TestCase):
    """Each class has a network of its own, from which the package mirror is reached."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.network, cls.subnet = cls.enterClassContext(network())
        cls.hosts = 1

    def server(self, *packages, name=None, pool="btrfs"):
        """A new Debian 12 with these packages: its name and its address."""
        type(self).hosts += 1
        address = f"{self.subnet}.{self.hosts}"
        name = self.instance(image="debian", name=name, pool=pool, start=False)
        live.incus("config", "device", "add", name, "eth0", "nic", f"network={self.network}")
        unit = ADDRESS_UNIT.format(address=address, router=f"{self.subnet}.1")
        with open("/etc/resolv.conf") as file:
            resolv = file.read()
        for path, text in {"/etc/systemd/system/address.service": unit, "/etc/resolv.conf": resolv}.items():
            live.incus("file", "push", "-", name + path, "--mode", "0644", input=text)
        live.incus("start", name)
        live.wait_until(lambda: live.systemd_is_up(name), 60, "systemd is running")
        live.sh(name, "systemctl enable -q --now address.service")
        if packages:
            live.sh(name, "apt-get update -q && DEBIAN_FRONTEND=noninteractive "
                          f"apt-get install -q -y --no-install-recommends {' '.join(packages)}")
        return name, address


@contextlib.contextmanager
def network():
    """A bridge of a name and a subnet that nobody else on this host has, tests of another daemon included."""
    for number in range(os.getpid() % 200, 250):
        name, subnet = f"bt{os.getpid() % 100000}n{number}", f"10.88.{number}"
        if f" {subnet}." in live.run("ip", "-4", "address", check=True).stdout:
            continue
        made = live.incus("network", "create", name, f"ipv4.address={subnet}.1/24", "ipv4.nat=true", "ipv4.dhcp=false",
                          "ipv6.address=none", "dns.mode=none", check=False)
        if made.returncode == 0:
            break
    else:
        raise AssertionError(f"no network can be made: {made.stderr}")
    try:
        yield name, subnet
    finally:
        live.incus("network", "delete", name)


class Client:
    """Asks every 20 ms, in a thread of its own, whether the service answers: ask() is true when it does. A `with` block."""

    def __init__(self, ask, every_seconds=0.02):
        self._ask, self._every = ask, every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.outages = []  # (begin, seconds), monotonic

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    @property
    def downtime(self):
        """Seconds without an answer, in all."""
        return sum(seconds for _, seconds in self.outages)

    def _run(self):
        last_good, down = time.monotonic(), False
        while not self._stop.is_set():
            begin = time.monotonic()
            good = self._ask()
            now = time.monotonic()
            if good:
                if down:
                    self.outages.append((last_good, now - last_good))
                last_good, down = now, False
            else:
                down = True
            self._stop.wait(max(0, self._every - (now - begin)))
        if down:
            self.outages.append((last_good, time.monotonic() - last_good))


# --- what a report says ----------------------------------------------------------------------------------


def phase(report, name):
    return next(phase for phase in report["phases"] if phase["name"] == name)


def begin_of(report, name):
    """When a phase began, on the clock of Client."""
    wall = datetime.datetime.fromisoformat(phase(report, name)["started"]).timestamp()
    return wall - time.time() + time.monotonic()


def check(report, name):
    return next(check for check in report["checks"] if check["name"] == name)


def finals(report):
    """How each check ended: name -> verdict."""
    return {check["name"]: check["final"] for check in report["checks"]}
