# SPDX-License-Identifier: Apache-2.0
"""Tools of the live tests: a real Incus, real instances, the real belay.

tests/run starts private daemons and sets BELAY_TEST_LIVE, BELAY_TEST_INCUS_DIR (their directory) and BELAY (the program);
ctest gives each test one of them. By hand BELAY_TEST_INCUS_DIR is that of one daemon, and what makes `incus` and belay talk
to it is set as well. Without them the tests of a live.TestCase are skipped.
"""

import contextlib
import fnmatch
import functools
import hashlib
import itertools
import json
import os
import pathlib
import re
import stat
import subprocess
import tempfile
import time
import unittest


def _use_own_daemon():
    """Of the daemons that tests/run has started the one that ctest gave to this test."""
    number = re.match(r"id:(\w+)", os.environ.get("CTEST_RESOURCE_GROUP_0_INCUS", ""))
    if number and os.environ.get("BELAY_TEST_INCUS_DIR"):
        folder = f"{os.environ['BELAY_TEST_INCUS_DIR']}/{number[1]}"
        os.environ |= {"BELAY_TEST_INCUS_DIR": folder, "INCUS_DIR": f"{folder}/incus", "INCUS_CONF": f"{folder}/conf",
                       "INCUS_LXC_TEMPLATE_CONFIG": f"{folder}/lxc"}


_use_own_daemon()
_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_PRIVATE_INCUS = _ROOT / "tests" / "support" / "private-incus"
_numbers = itertools.count(1)

DESCRIPTION = "what people wrote: 'a' & \"b\""  # of every instance here; it stays what it is


class TestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not os.environ.get("BELAY_TEST_LIVE"):
            raise unittest.SkipTest("BELAY_TEST_LIVE is not set: tests/run starts a private Incus for this test")

    def instance(self, **options):
        """The name of a new running instance that is deleted after the test; options: see instance()."""
        return self.enterContext(instance(**options))

    def assert_same_tree(self, before, after):
        lines = differences(before, after)
        if lines:
            self.fail(f"{len(lines)} differences:\n" + "\n".join(lines[:40]))


def run(*command, check=False, env=None, input=None, timeout=120):
    """Runs a command with text in and out. env is added to ours; a value of None removes a variable."""
    environment = {k: v for k, v in (os.environ | (env or {})).items() if v is not None}
    stdin = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True,
                          errors="replace", timeout=timeout, **stdin)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def incus(*args, check=True, **options):
    return run("incus", *args, check=check, **options)


def belay(*args, env=None, **options):
    """Runs belay with a state directory of this test process."""
    return run(os.environ["BELAY"], *args, env={"BELAY_STATE_DIR": state_dir()} | (env or {}), **options)


def report(command, *args, **options):
    """Runs `belay COMMAND --format json ARGS`: its exit code and its report."""
    done = belay(command, "--format", "json", *args, **options)
    try:
        document = json.loads(done.stdout)
    except ValueError as error:
        raise AssertionError(f"no report ({error}), exit code {done.returncode}\n{done.stdout}\n{done.stderr}") from None
    schema().validate(document)
    return done.returncode, document


@functools.cache
def schema():
    """What every report of a test is validated against: the schema as it is installed."""
    import jsonschema

    with open(_ROOT / "src" / "report" / "report.schema.json") as file:
        text = json.load(file)
    jsonschema.Draft202012Validator.check_schema(text)
    return jsonschema.Draft202012Validator(text)


@functools.cache
def _state():
    return tempfile.TemporaryDirectory(prefix="belay-state-")


def state_dir():
    return _state().name


@contextlib.contextmanager
def instance(pool="btrfs", image="tiny", rc=None, name=None, config=(), start=True):
    """A running instance, deleted at the end. rc: the text of its /etc/rc (a script, run by the tiny image's init)."""
    name = name or f"t{os.getpid()}-{next(_numbers)}"
    try:
        incus("init", image, name, "--storage", pool, *itertools.chain(*(("--config", word) for word in config)))
        incus("query", "-X", "PATCH", "-d", json.dumps({"description": DESCRIPTION}), f"/1.0/instances/{name}")
        if rc is not None:
            incus("file", "push", "-", f"{name}/etc/rc", "--mode", "0755", input=rc)
        if start:
            incus("start", name)
        yield name
    finally:
        delete(name)


def settings(name):
    """What the daemon says of an instance."""
    return json.loads(incus("query", f"/1.0/instances/{name}").stdout)


def delete(name):
    """Also when the test has killed the daemon, or when the daemon is at it: a snapshot of a schedule, or one that expires."""
    problem = ""

    def try_it():
        nonlocal problem
        done = incus("delete", "--force", name, check=False)
        problem = done.stderr
        return done.returncode == 0 or "not found" in problem

    if not try_it():
        start_daemon()
        wait_until(try_it, 30, lambda: f"{name} is deleted: {problem}")


@contextlib.contextmanager
def volume(pool):
    """The name of a custom volume that is deleted at the end."""
    name = f"v{os.getpid()}-{next(_numbers)}"
    incus("storage", "volume", "create", pool, name)
    try:
        yield name
    finally:
        incus("storage", "volume", "delete", pool, name)


def volume_path(pool, name):
    """Where the host sees the content of a custom volume of the default project."""
    return pathlib.Path(os.environ["INCUS_DIR"], "storage-pools", pool, "custom", f"default_{name}")


def volume_snapshots(pool, name):
    """Its snapshots: name -> when each expires."""
    listed = incus("query", f"/1.0/storage-pools/{pool}/volumes/custom/{name}/snapshots?recursion=1").stdout
    return {s["name"].rsplit("/")[-1]: s["expires_at"] for s in json.loads(listed)}


def recorded(name, *argv, check=True, timeout=120):
    """Runs a program in the instance. The daemon records its output, because `incus exec` now and then loses that of a
    command that ends within milliseconds."""
    request = {"command": list(argv), "record-output": True, "wait-for-websocket": False, "interactive": False}
    done = incus("query", "--wait", "-X", "POST", "-d", json.dumps(request), f"/1.0/instances/{name}/exec", check=check,
                 timeout=timeout)
    if done.returncode != 0:
        return done
    result = json.loads(done.stdout)["metadata"]
    folder = rootfs(name).parent / "exec-output"
    out, err = (_take(folder / path.rsplit("/", 1)[1]) for path in (result["output"]["1"], result["output"]["2"]))
    if check and result["return"] != 0:
        raise AssertionError(f"{argv} in {name} ended with {result['return']}\n{out}\n{err}")
    return subprocess.CompletedProcess(argv, result["return"], out, err)


def sh(name, script, check=True):
    """Runs a shell script in the instance: its output."""
    return recorded(name, "sh", "-c", script, check=check).stdout


def _take(file):
    text = file.read_text(errors="replace")
    file.unlink()
    return text


def status(name):
    return incus("list", f"^{name}$", "--format", "csv", "--columns", "s").stdout.strip()


def systemd_is_up(name):
    """A condition for wait_until: right after the start even `systemctl --wait` finds no systemd to ask."""
    return recorded(name, "systemctl", "is-system-running", check=False).stdout.strip() == "running"


def daemon_pid():
    """The daemon's process id; None when it does not run."""
    pid = run(_PRIVATE_INCUS, "pid", os.environ["BELAY_TEST_INCUS_DIR"], check=True).stdout.strip()
    return int(pid) if pid else None


def start_daemon():
    """Starts the daemon again after a test killed it; nothing happens when it runs."""
    run(_PRIVATE_INCUS, "start", os.environ["BELAY_TEST_INCUS_DIR"], check=True, timeout=60)


def wait_until(condition, deadline_seconds, what):
    """Asks until condition() is true, and gives its value; fails with `what` (or what() says) when the deadline is over."""
    end = time.monotonic() + deadline_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_seconds} s: {what() if callable(what) else what}")
        time.sleep(0.05)


def rootfs(name, project="default"):
    """Where the host sees the instance's file system, running or stopped. Not with the daemon's pools unmounted."""
    folder = name if project == "default" else f"{project}_{name}"
    path = pathlib.Path(os.environ["INCUS_DIR"], "containers", folder, "rootfs")
    if not path.is_dir():
        raise AssertionError(f"no file system of {name} at {path}: is its pool mounted?")
    return path


def tree(name, exclude=(), project="default"):
    """Every file of the instance: path -> what a restore must bring back.

    exclude: shell patterns of paths ("/var/log/*"); what is below an excluded folder is excluded with it.
    """
    root = str(rootfs(name, project))
    entries = {}

    def walk(folder):
        for entry in os.scandir(folder):
            path = entry.path[len(root):]
            if any(fnmatch.fnmatchcase(path, pattern) for pattern in exclude):
                continue
            with contextlib.suppress(FileNotFoundError):  # the instance may be running
                entries[path] = _facts(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    walk(entry.path)

    entries["/"] = _facts(root)
    walk(root)
    return entries


def _facts(path):
    info = os.lstat(path)
    facts = {"mode": oct(info.st_mode), "owner": f"{info.st_uid}:{info.st_gid}"}
    attributes = {name: os.getxattr(path, name, follow_symlinks=False).hex()
                  for name in os.listxattr(path, follow_symlinks=False)}
    if attributes:
        facts["xattrs"] = attributes
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            facts |= {"type": "file", "size": info.st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    elif stat.S_ISLNK(info.st_mode):
        facts |= {"type": "link", "target": os.readlink(path)}
    elif stat.S_ISDIR(info.st_mode):
        facts |= {"type": "folder"}
    else:
        facts |= {"type": "special", "device": info.st_rdev}
    return facts


def differences(before, after):
    """Lines that say what differs between two trees; none when they are equal."""
    lines = [f"gone:    {path}" for path in before.keys() - after.keys()]
    lines += [f"new:     {path}" for path in after.keys() - before.keys()]
    lines += [f"changed: {path}: {key} was {before[path].get(key)}, is {after[path].get(key)}"
              for path in before.keys() & after.keys()
              for key in sorted(before[path].keys() | after[path].keys())
              if before[path].get(key) != after[path].get(key)]
    return sorted(lines)
