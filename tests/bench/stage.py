# SPDX-License-Identifier: Apache-2.0
"""What is measured on: a private Incus, its REST API, a tiny instance and a Debian with a web server."""

import contextlib
import functools
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

import live
import software

import measure

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_PRIVATE_INCUS = _ROOT / "tests" / "support" / "private-incus"

WEB_UNIT = """[Unit]
Description=Web server
After=address.service
[Service]
ExecStart=/usr/local/bin/busybox httpd -f -p 80 -h /srv
[Install]
WantedBy=multi-user.target
"""


@contextlib.contextmanager
def private_incus():
    """The one of the environment, or one that is made and ended here: with one kind of storage, as most hosts have."""
    if os.environ.get("BELAY_TEST_LIVE"):
        yield
        return
    folder = tempfile.mkdtemp(prefix="belay-bench-incus.", dir="/var/tmp")
    before = dict(os.environ)
    try:
        for what in ("up", "tiny-image"):
            subprocess.run([_PRIVATE_INCUS, what, folder], check=True, stdin=subprocess.DEVNULL)
        script = 'eval "$("$0" env "$1")" && env -0'
        printed = subprocess.run(["bash", "-c", script, _PRIVATE_INCUS, folder], check=True, capture_output=True, text=True)
        _set_environment(dict(line.split("=", 1) for line in printed.stdout.split("\0") if line))
        os.environ |= {"BELAY_TEST_LIVE": "1", "BELAY_TEST_INCUS_DIR": folder}
        live.incus("storage", "delete", "dir")
        yield
    finally:
        _set_environment(before)
        if subprocess.run([_PRIVATE_INCUS, "down", folder]).returncode != 0:
            raise measure.Failed(f"the private Incus is left over: {_PRIVATE_INCUS} down {folder}")


def _set_environment(wanted):
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


class Daemon:
    """The REST API of the daemon, on one connection, or on a new one after a pause: the daemon closes those that are idle."""

    def __init__(self):
        self._connection = _UnixConnection(f"{os.environ['INCUS_DIR']}/unix.socket")
        self._used = 0

    def ask(self, method, path, body=None):
        """(path of the operation, metadata) of the answer."""
        if time.monotonic() - self._used > 5:
            self._connection.close()
        self._connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = json.loads(self._connection.getresponse().read())
        self._used = time.monotonic()
        if answer["type"] == "error":
            raise measure.Failed(f"{method} {path}: {answer['error']}")
        return answer["operation"], answer["metadata"]

    def get(self, path):
        return self.ask("GET", path)[1]

    def do(self, method, path, body=None):
        """Waits for the operation."""
        operation, _ = self.ask(method, path, body)
        ended = self.get(f"{operation}/wait?timeout=60")
        if ended["status_code"] != 200:
            raise measure.Failed(f"{method} {path}: {ended['status']} {ended['err']}")

    def is_idle(self):
        return not self.get("/1.0/operations").keys() & {"running", "pending", "cancelling"}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("incus", timeout=120)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Stage(contextlib.ExitStack):
    """The instances are made when they are first asked for, and deleted at the end."""

    def __init__(self, belay):
        super().__init__()
        self.belay = belay
        self.daemon = Daemon()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="belay-bench.", dir="/var/tmp")))
        self.state = self.folder / "state"
        self.output = self.folder / "output"

    @functools.cached_property
    def tiny(self):
        return self.enter_context(live.instance(name=f"bench{os.getpid()}"))

    @functools.cached_property
    def debian(self):
        """(name, address) of a Debian with systemd and a web server on port 80."""
        if "debian" not in {alias["name"] for alias in self.daemon.get("/1.0/images/aliases?recursion=1")}:
            live.run(_PRIVATE_INCUS, "debian-image", os.environ["BELAY_TEST_INCUS_DIR"], check=True, timeout=600)
        network, subnet = self.enter_context(software.network())
        name, address = f"benchd{os.getpid()}", f"{subnet}.2"
        self.enter_context(live.instance(image="debian", name=name, start=False))
        live.incus("config", "device", "add", name, "eth0", "nic", f"network={network}")
        address_unit = software.ADDRESS_UNIT.format(address=address, router=f"{subnet}.1")
        for path, text in {"/etc/systemd/system/address.service": address_unit,
                           "/etc/systemd/system/web.service": WEB_UNIT, "/srv/index.html": "here\n"}.items():
            live.incus("file", "push", "-p", "-", name + path, "--mode", "0644", input=text)
        live.incus("file", "push", "-p", shutil.which("busybox"), f"{name}/usr/local/bin/busybox", "--mode", "0755")
        live.incus("start", name)
        live.wait_until(lambda: live.systemd_is_up(name), 60, "systemd is running")
        live.sh(name, "systemctl enable -q --now address.service web.service")
        # Who is asked while the instance is away must not be looked for first: that takes the kernel a second each time.
        mac = live.incus("config", "get", name, "volatile.eth0.hwaddr").stdout.strip()
        live.run("ip", "neighbour", "replace", address, "lladdr", mac, "dev", network, "nud", "permanent", check=True)
        return name, address

    def clean(self, name):
        """To the state before: no snapshots, an empty history, nothing under way."""
        path = f"/1.0/instances/{name}/snapshots"
        for url in self.daemon.get(path):
            self.daemon.do("DELETE", f"{path}/{urllib.parse.unquote(url.rsplit('/', 1)[1])}")
        transactions = self.state / "transactions"
        if transactions.exists():
            for folder in transactions.iterdir():
                shutil.rmtree(folder)
        live.wait_until(self.daemon.is_idle, 30, "nothing is under way")
