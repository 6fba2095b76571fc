# SPDX-License-Identifier: Apache-2.0
"""The checks that ask a server, against servers of this test, in every shell and by every means of connecting that is here."""

import concurrent.futures
import contextlib
import functools
import http.server
import os
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import live

CHECKS = pathlib.Path(__file__).resolve().parents[2] / "hooks" / "checks"
SHELLS = {name: words for name, words in {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "ash"]}.items()
          if shutil.which(words[0])}
TOOLS = "cat cut date dd df grep head ls od sed sort tail timeout tr uname".split()


@functools.cache
def folder_of(means):
    """A directory for PATH with the usual tools and one means of connecting; None when this host does not have it."""
    program = "/usr/bin/python3" if means == "python3" else shutil.which(means.split()[0])
    if means != "nothing" and not (program and os.path.exists(program)):
        return None
    folder = unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="belay-means-"))
    for tool in TOOLS:
        os.symlink(shutil.which(tool), f"{folder}/{tool}")
    if means.startswith("busybox "):
        applet = means.split()[1]
        path = pathlib.Path(folder, applet)
        path.write_text(f"#!{program} sh\nexec {program} {applet} \"$@\"\n")
        path.chmod(0o755)
    elif means != "nothing":
        os.symlink(program, f"{folder}/{means}")
    return folder


def run_check(*words, shell="dash", means=None, env=None):
    """(exit code, last line) of a check on this host, sent as belay sends it; it must not complain on stderr."""
    text = (CHECKS / words[0]).read_text()
    path = {"PATH": folder_of(means)} if means else {}
    program = [shutil.which(SHELLS[shell][0]), *SHELLS[shell][1:]]
    done = live.run(*program, "-c", text, *words, env=path | (env or {}), timeout=60)
    if done.stderr:
        raise AssertionError(f"{words} by {means or shell}: {done.stderr}")
    return done.returncode, (done.stdout.splitlines() or [""])[-1]


class Files(unittest.TestCase):
    def test_every_check_describes_itself(self):
        for check in sorted(CHECKS.iterdir()):
            if check.name.startswith("."):
                continue
            with self.subTest(check.name):
                lines = check.read_text().splitlines()
                self.assertEqual(lines[0], "#!/bin/sh")
                where = "host" if check.name.startswith("host-") else "guest"
                described = [line for line in lines[:20] if line.startswith("# belay:")]
                self.assertEqual(len(described), 1)
                self.assertRegex(described[0], f"^# belay: where={where} timeout=[1-9][0-9]s( together=yes)? summary=[A-Z]")
                self.assertTrue(os.access(check, os.X_OK))

    def test_no_check_of_the_instance_keeps_belay_from_marking_its_end(self):
        for check in CHECKS.iterdir():
            if not check.name.startswith(("host-", ".")):
                self.assertNotRegex(check.read_text(), r"\b(trap|exec)\b", check.name)

    def test_wrong_usage_is_a_failure_that_says_how_it_is_used(self):
        for words in ("tcp", "tcp 0", "tcp 65536", "tcp a:b:c", "tcp :80", "tcp 80 81", "tcp x;y:80", "tcp -v:80", "tcp [127.0.0.1]:80",
                      "udp-dns", "udp-dns example.org", "udp-dns example.org FOO", "udp-dns a..b A", "udp-dns a A @x:0",
                      "udp-dns a A b", "udp-dns a A =", "udp-dns a AAAA =nonsense", f"udp-dns {'x' * 64}.org A", "udp-dns a%s A",
                      "http", "http ftp://x/", "http http://", "http http://u@x/", "http http://x:0/", "http http://x/ --status",
                      "http http://x/ --status 2x", "http http://x/ --max-ms 0", "http http://x/ --what", "http http://x/ http://y/",
                      "http http://::1/", "unit", "unit *", "unit -a", "unit a/b", "process", "process a b", "process a --min",
                      "process a --min 0", "process a --min x", "process /bin/a", "disk-free", "disk-free /", "disk-free x 1",
                      "disk-free / 101", "disk-free / x", "disk-free / 1 2", "file-contains", "file-contains /a", "file-contains a b",
                      "file-contains /a b --what", "journal-errors -f", "journal-errors a/b", "command", "plugin", "plugin -x"):
            for shell in SHELLS:
                with self.subTest(words, shell=shell):
                    code, said = run_check(*words.split(), shell=shell)
                    self.assertEqual(code, 1)
                    self.assertTrue(said.startswith(f"usage: {words.split()[0]} "), said)
        for words in ("http", "http://x/\r\nHost: y"), ("file-contains", "/a", ""), ("udp-dns", "", "A"), ("unit", ""), ("command", ""):
            self.assertRegex(run_check(*words)[1], f"^usage: {words[0]} ")


# --- tcp ---------------------------------------------------------------------------------------------

MEANS_OF_TCP = ["bash", "perl", "python3", "busybox nc"]


def listener(family=socket.AF_INET, address="127.0.0.1"):
    server = socket.socket(family)
    server.bind((address, 0))
    server.listen()
    return server, server.getsockname()[1]


class Tcp(unittest.TestCase):
    def setUp(self):
        self.server, self.port = listener()
        self.addCleanup(self.server.close)
        closed, self.closed = listener()
        closed.close()

    def test_by_every_means(self):
        for means in MEANS_OF_TCP:
            if not folder_of(means):
                continue
            with self.subTest(means):
                self.assertEqual(run_check("tcp", f"{self.port}", means=means), (0, f"127.0.0.1:{self.port} accepts connections"))
                self.assertEqual(run_check("tcp", f"localhost:{self.port}", means=means)[0], 0)
                self.assertEqual(run_check("tcp", f"{self.closed}", means=means), (1, f"nothing listens on port {self.closed}"))
                self.assertEqual(run_check("tcp", f"127.0.0.1:{self.closed}", means=means),
                                 (1, f"127.0.0.1:{self.closed}: connection refused"))
                code, said = run_check("tcp", f"nowhere.invalid:{self.port}", means=means)
                self.assertEqual(code, 1)
                self.assertRegex(said, f"^nowhere.invalid:{self.port}: ")

    def test_in_every_shell(self):
        for shell in SHELLS:
            self.assertEqual(run_check("tcp", f"{self.port}", shell=shell), (0, f"127.0.0.1:{self.port} accepts connections"))
            self.assertEqual(run_check("tcp", f"{self.closed}", shell=shell), (1, f"nothing listens on port {self.closed}"))

    def test_without_any_means_it_says_so(self):
        code, said = run_check("tcp", f"{self.port}", means="nothing")
        self.assertEqual((code, said), (1, "cannot connect: this check needs bash with timeout, perl, python3, or an nc with -z or -e"))

    @unittest.skipUnless(socket.has_dualstack_ipv6(), "needs IPv6")
    def test_ipv6(self):
        server, port = listener(socket.AF_INET6, "::1")
        with server:
            for means in filter(folder_of, MEANS_OF_TCP):
                self.assertEqual(run_check("tcp", f"{port}", means=means), (0, f"[::1]:{port} accepts connections"), means)
                self.assertEqual(run_check("tcp", f"[::1]:{port}", means=means)[0], 0, means)


# --- http --------------------------------------------------------------------------------------------

# Of nobody, for nothing but this test.
PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgliaXS6QkKrmldjKM
1YA5xp0VFo4fO4cuasJIkZFtsaChRANCAARuYfxILAvG9TZbN6ZvgXyEXdDkIg0S
k7JNDmX8/1iZ3ssILAkUHUulijqvTkhyKEt7S3hd0zWNZSE/TfUspPqG
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUOlNAB/2oNz676+X0MlXUpuWumwEwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE2MzMyM1oYDzIxMjYxMDMx
MTYzMzIzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARuYfxILAvG9TZbN6ZvgXyEXdDkIg0Sk7JNDmX8/1iZ3ssILAkUHUul
ijqvTkhyKEt7S3hd0zWNZSE/TfUspPqGo1MwUTAdBgNVHQ4EFgQU/abVLE4TZ3rx
SjkF034QX81AUpMwHwYDVR0jBBgwFoAU/abVLE4TZ3rxSjkF034QX81AUpMwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAjwYO+fnEpGEiasS47Vht
057XW7CSTGj5bYhkvPsMZMkCIQCma+hR47zSuM+AK3IrmKKO9+gTGHLk0lGeGXf8
NcSFsA==
-----END CERTIFICATE-----
"""


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    release = threading.Event()

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/":
            self.answer(200, b"hello 100%s \\n world\n")
        elif self.path == "/host?a=b":
            self.answer(200, self.headers["Host"].encode())
        elif self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in b"hel", b"lo wor", b"ld\r\n", b"x" * 300, b"":
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        elif self.path == "/moved":
            self.answer(302, Location="/")
        elif self.path == "/nothing":
            self.answer(204)
        elif self.path == "/bad":
            self.answer(502, b"upstream")
        elif self.path == "/binary":
            self.answer(200, b"\0\1\xff" * 50000 + b"middle" + b"\0\n" * 300000)
        elif self.path == "/slow":
            time.sleep(0.3)
            self.answer(200)
        elif self.path == "/stalls":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"abc")
            self.release.wait(30)
        elif self.path == "/hangs":
            self.release.wait(30)
        else:
            self.answer(404)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that has gone away


@contextlib.contextmanager
def pages(secure=False):
    """The port of a server that answers while the context lasts."""
    Pages.release.clear()
    with Server(("127.0.0.1", 0), Pages) as server:
        if secure:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(PEM)
                file.flush()
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(file.name)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield server.server_address[1]
        finally:
            Pages.release.set()
            server.shutdown()


MEANS_OF_HTTP = ["bash", "perl", "python3", "busybox nc", "curl", "wget"]
MEANS_OF_TLS = ["curl", "openssl", "python3", "wget"]


class Http(unittest.TestCase):
    def assert_answers(self, base, whole=False, **how):
        def ask(path, *words):
            return run_check("http", base + path, *words, **how)

        def passes(result, path, status=200):
            self.assertEqual(result[0], 0, result)
            self.assertRegex(result[1], f"^http {status} from {re.escape(base + path)} in ([0-9]+|less than 10) ms$")

        passes(ask("/", "--contains", "100%s \\n wor"), "/")
        passes(ask("/host?a=b", "--contains", base.partition("//")[2]), "/host?a=b")
        passes(ask("/chunks", "--contains", "hello world"), "/chunks")
        passes(ask("/nothing", "--status", "2xx"), "/nothing", 204)
        passes(ask("/binary", "--contains", "middle"), "/binary")
        self.assertEqual(ask("/bad"), (1, f"http 502 from {base}/bad"))
        self.assertEqual(ask("/moved"), (1, f"http 302 from {base}/moved, to /"))
        if not whole:
            return
        passes(ask("/moved", "--status", "200,3xx"), "/moved", 302)
        passes(ask("/bad", "--status", "502"), "/bad", 502)
        self.assertEqual(ask("/nowhere", "--status", "2xx,500"), (1, f"http 404 from {base}/nowhere"))
        self.assertEqual(ask("/", "--contains", "HTTP"), (1, f"http 200 from {base}/, without 'HTTP'"))
        code, said = ask("/slow", "--max-ms", "250")
        self.assertEqual(code, 1)
        self.assertRegex(said, r"^http 200 from .*/slow in \d{3,} ms, should be at most 250 ms$")
        passes(ask("/slow", "--max-ms", "9000"), "/slow")

    def test_by_every_means(self):
        with pages() as port:
            for means in filter(folder_of, MEANS_OF_HTTP):
                with self.subTest(means):
                    self.assert_answers(f"http://127.0.0.1:{port}", means=means)

    def test_in_every_shell(self):
        with pages() as port:
            for shell in SHELLS:
                with self.subTest(shell):
                    self.assert_answers(f"http://localhost:{port}", whole=True, shell=shell)

    def test_https_with_a_certificate_of_nobody(self):
        with pages(secure=True) as port:
            for means in filter(folder_of, MEANS_OF_TLS):
                with self.subTest(means):
                    self.assert_answers(f"https://127.0.0.1:{port}", means=means)

    def test_no_answer(self):
        server, port = listener()
        server.close()
        for means in filter(folder_of, MEANS_OF_HTTP):
            code, said = run_check("http", f"http://127.0.0.1:{port}/", means=means)
            self.assertEqual(code, 1)
            self.assertRegex(said, f"^no (HTTP )?answer from http://127.0.0.1:{port}/", means)
        self.assertEqual(run_check("http", f"http://127.0.0.1:{port}/", means="bash"),
                         (1, f"no answer from http://127.0.0.1:{port}/: connection refused"))

    def test_what_speaks_something_else(self):
        server, port = listener()

        def greet():
            with server, contextlib.suppress(OSError):
                while True:
                    client = server.accept()[0]
                    client.recv(1000)
                    client.sendall(b"SSH-2.0-test\r\n")
                    client.close()
        threading.Thread(target=greet, daemon=True).start()
        self.addCleanup(server.shutdown, socket.SHUT_RDWR)
        for means in filter(folder_of, MEANS_OF_HTTP[:4]):
            self.assertEqual(run_check("http", f"http://127.0.0.1:{port}", means=means),
                             (1, f"no HTTP answer from http://127.0.0.1:{port}: SSH-2.0-test"), means)

    def test_without_any_means_it_says_so(self):
        self.assertRegex(run_check("http", "http://127.0.0.1/", means="nothing")[1], "^cannot connect: this check needs bash")
        self.assertRegex(run_check("http", "https://127.0.0.1/", means="nothing")[1], "^cannot speak TLS: this check needs curl")


# --- udp-dns -----------------------------------------------------------------------------------------

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
CODES = {"formerr": 1, "servfail": 2, "nxdomain": 3, "notimp": 4, "refused": 5, "odd": 9}


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


ZONE = {
    ("example.org", "A"): [socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.20")],
    ("example.org", "AAAA"): [socket.inet_pton(socket.AF_INET6, "2001:db8::1:0:0:5")],
    ("example.org", "NS"): [wire("ns1.example.org")],
    ("example.org", "MX"): [struct.pack("!H", 10) + wire("Mail.example.org")],
    ("example.org", "TXT"): [b"\x09v=spf1 %s\x0a \"x\\y\" -al\x01l"],
    ("example.org", "SOA"): [wire("ns1.example.org") + wire("host.example.org") + struct.pack("!5I", 4026112401, 1, 2, 3, 4)],
    ("_sip._udp.example.org", "SRV"): [struct.pack("!3H", 0, 5, 5060) + wire("sip.example.org")],
    ("5.2.0.192.in-addr.arpa", "PTR"): [wire("host5.example.org")],
    ("www.example.org", "CNAME"): [wire("Web.example.org")],
    ("web.example.org", "CNAME"): [wire("exactly-10.example.org")],
    ("exactly-10.example.org", "A"): [socket.inet_aton("192.0.2.10")],  # its length is a line feed
    ("out.example.org", "CNAME"): [wire("elsewhere.example.net")],
    ("self.example.org", "CNAME"): [wire("self.example.org")],
    ("lazy.example.org", "A"): [socket.inet_aton("192.0.2.3")],
    (".", "NS"): [wire("a.root-servers.net")],
}


def read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += packet[at] + 1
    return ".".join(labels).lower() or ".", at + 1


class NameServer:
    """Answers on 127.0.0.1:port; some names make it misbehave."""

    def __init__(self, port=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.asked = {}
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                question, client = self.socket.recvfrom(2000)
                for answer in self.answers(question):
                    self.socket.sendto(answer, client)

    def close(self):
        self.socket.close()

    def answers(self, question):
        number, = struct.unpack("!H", question[:2])
        name, end = read_name(question, 12)
        kind, = struct.unpack("!H", question[end:end + 2])
        asked = question[12:end + 4]
        first = name.split(".")[0]
        self.asked[name] = self.asked.get(name, 0) + 1
        if first == "silent" or (first == "lazy" and self.asked[name] < 3):
            return []
        if first == "short":
            return [b"abc"]
        flags = 0x8180 | CODES.get(first, 0) | (0x200 if first == "truncated" else 0)
        number ^= first == "foreign"
        if first == "truncated":
            name = "example.org"
        owner, records = b"\xc0\x0c", []
        while kind != TYPES["CNAME"] and (name, "CNAME") in ZONE and len(records) < 3:
            target, = ZONE[name, "CNAME"]
            records.insert(0, owner + struct.pack("!HHIH", 5, 1, 60, len(target)) + target)  # in the wrong order
            owner, name = target, read_name(target, 0)[0]
        word = {number: word for word, number in TYPES.items()}[kind]
        records += [owner + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for data in ZONE.get((name, word), [])]
        count = len(records)
        if first == "damaged":
            count = 3
        if first == "loop":
            count, records = 1, [b"\xc0" + bytes([12 + len(asked)]) + struct.pack("!HHIH", 1, 1, 0, 4) + b"\1\2\3\4"]
        return [struct.pack("!6H", number, flags, 1, count, 0, 0) + asked + b"".join(records)]


MEANS_OF_UDP = ["bash", "perl", "python3"]


class Dns(unittest.TestCase):
    def setUp(self):
        self.server = NameServer()
        self.addCleanup(self.server.close)
        self.at = f"127.0.0.1:{self.server.port}"

    def cases(self):
        at = self.at
        both = "example.org A is 192.0.2.1, 192.0.2.20"
        return [
            (["example.org", "A"], 0, both),
            (["Example.ORG.", "a", "=192.0.2.20"], 0, both),
            (["example.org", "A", "=192.0.2.2"], 1, both + ", not 192.0.2.2"),
            (["example.org", "AAAA", "=2001:DB8:0:0:1:0:0:5"], 0, "example.org AAAA is 2001:db8::1:0:0:5"),
            (["example.org", "AAAA", "=2001:db8::1"], 1, "example.org AAAA is 2001:db8::1:0:0:5, not 2001:db8::1"),
            (["example.org", "AAAA", "=::"], 1, "example.org AAAA is 2001:db8::1:0:0:5, not ::"),
            (["example.org", "NS", "=NS1.example.org."], 0, "example.org NS is ns1.example.org"),
            (["example.org", "MX", "=mail.Example.org"], 0, "example.org MX is 10 mail.example.org"),
            (["example.org", "MX", "=10 mail.example.org"], 0, "example.org MX is 10 mail.example.org"),
            (["example.org", "MX", "=ail.example.org"], 1, "example.org MX is 10 mail.example.org, not ail.example.org"),
            (["example.org", "TXT", "=v=spf1 %s \"x\\y\" -all"], 0, "example.org TXT is v=spf1 %s \"x\\y\" -all"),
            (["example.org", "TXT", "=V=spf1"], 1, "example.org TXT is v=spf1 %s \"x\\y\" -all, not V=spf1"),
            (["example.org", "SOA", "=4026112401"], 0, "example.org SOA is ns1.example.org 4026112401"),
            (["example.org", "SOA", "=ns1.example.org"], 0, "example.org SOA is ns1.example.org 4026112401"),
            (["example.org", "SOA", "=2"], 1, "example.org SOA is ns1.example.org 4026112401, not 2"),
            (["_sip._udp.example.org", "SRV", "=sip.example.org"], 0, "_sip._udp.example.org SRV is 0 5 5060 sip.example.org"),
            (["_sip._udp.example.org", "SRV", "=0 5 5060 sip.example.org"], 0, "_sip._udp.example.org SRV is 0 5 5060 sip.example.org"),
            (["5.2.0.192.in-addr.arpa", "PTR", "=host5.example.org"], 0, "5.2.0.192.in-addr.arpa PTR is host5.example.org"),
            (["www.example.org", "A", "=192.0.2.10"], 0, "www.example.org A is 192.0.2.10"),
            (["www.example.org", "CNAME", "=web.example.org"], 0, "www.example.org CNAME is web.example.org"),
            (["exactly-10.example.org", "A"], 0, "exactly-10.example.org A is 192.0.2.10"),
            ([".", "NS"], 0, ". NS is a.root-servers.net"),
            (["out.example.org", "A"], 1, f"no A of out.example.org from {at}: its CNAME is elsewhere.example.net, and no more"),
            (["self.example.org", "A"], 1, f"no A of self.example.org from {at}"),
            (["example.org", "SRV"], 1, f"no SRV of example.org from {at}"),
            (["truncated.example.org", "A"], 0, "truncated.example.org A is 192.0.2.1, 192.0.2.20, the answer is truncated"),
            (["truncated.example.org", "SRV"], 1, f"no SRV of truncated.example.org from {at}, the answer is truncated"),
            (["damaged.example.org", "A"], 1, f"the answer from {at} is cut short or damaged"),
            (["loop.example.org", "A"], 1, f"the answer from {at} is damaged"),
            (["short.example.org", "A"], 1, f"no answer from {at} to short.example.org A but bytes that are no answer"),
            (["formerr.x", "A"], 1, f"FORMERR from {at} to formerr.x A"),
            (["servfail.x", "A"], 1, f"SERVFAIL from {at} to servfail.x A"),
            (["nxdomain.x", "A"], 1, f"NXDOMAIN from {at} to nxdomain.x A"),
            (["notimp.x", "A"], 1, f"NOTIMP from {at} to notimp.x A"),
            (["refused.x", "A"], 1, f"REFUSED from {at} to refused.x A"),
            (["odd.x", "A"], 1, f"error 9 from {at} to odd.x A"),
        ]

    def assert_answers(self, **how):
        for words, code, said in self.cases():
            with self.subTest(" ".join(words), **how):
                self.assertEqual(run_check("udp-dns", *words, "@" + self.at, **how), (code, said))

    def test_in_every_shell(self):
        for shell in SHELLS:
            self.assert_answers(shell=shell)

    def test_by_every_means(self):
        for means in filter(folder_of, MEANS_OF_UDP):
            with self.subTest(means):
                self.assertEqual(run_check("udp-dns", "exactly-10.example.org", "A", "@" + self.at, means=means),
                                 (0, "exactly-10.example.org A is 192.0.2.10"))
                code, said = run_check("udp-dns", "foreign.example.org", "A", "@" + self.at, means=means)
                self.assertEqual(code, 1)
                self.assertRegex(said, f"^no answer from {self.at} to foreign.example.org A but one to another question "
                                       r"\(ID [0-9]+, not [0-9]+\)$")

    def test_by_the_nslookup_of_busybox_which_reads_the_answer_itself(self):
        if not folder_of("busybox nslookup") or b"-type=" not in subprocess.run(["busybox", "nslookup"], capture_output=True).stderr:
            self.skipTest("no busybox with an nslookup that knows types")
        for words, code, said in self.cases():
            if words[0].split(".")[0] in ("truncated", "damaged", "loop", "short", "odd", "", "out") or words[1] == "TXT":
                continue  # what it says of those is its own; of a text it has the first string
            with self.subTest(" ".join(words)):
                self.assertEqual(run_check("udp-dns", *words, "@" + self.at, means="busybox nslookup"), (code, said))

    def test_nobody_there(self):
        port = 61000 + os.getpid() % 4000  # none that the kernel draws: a client that gets it by chance answers itself
        for means in filter(folder_of, [*MEANS_OF_UDP, "busybox nslookup"]):
            self.assertEqual(run_check("udp-dns", "example.org", "A", f"@127.0.0.1:{port}", means=means),
                             (1, f"no answer from 127.0.0.1:{port} to example.org A"))


    def test_without_any_means_it_says_so(self):
        said = (1, "cannot ask: this check needs bash with timeout, perl, python3, an nc that knows -u, or the nslookup of busybox")
        self.assertEqual(run_check("udp-dns", "example.org", "A", means="nothing"), said)
        if folder_of("busybox nc") and b"invalid option" in subprocess.run(["busybox", "nc", "-u"], capture_output=True).stderr:
            self.assertEqual(run_check("udp-dns", "example.org", "A", means="busybox nc"), said)


# --- what does not answer ------------------------------------------------------------------------------

class Limits(unittest.TestCase):
    def test_what_does_not_answer_is_not_waited_for_longer_than_the_limit_of_the_check(self):
        name_server = NameServer()
        self.addCleanup(name_server.close)
        web = self.enterContext(pages())
        full = self.full_listener()
        cases = []  # (words, how, result)
        for means in filter(folder_of, MEANS_OF_TCP):
            cases.append((["tcp", f"127.0.0.1:{full}"], {"means": means}, (1, f"127.0.0.1:{full}: no answer within 5 s")))
        shells = [{"shell": shell} for shell in SHELLS]
        for how in shells + [{"means": means} for means in MEANS_OF_HTTP[:5] if folder_of(means)]:
            base = f"http://127.0.0.1:{web}"
            cases.append((["http", f"{base}/hangs"], how, (1, f"no answer from {base}/hangs within 10 s")))
            cases.append((["http", f"{base}/stalls"], how, (1, f"http 200 from {base}/stalls, but it did not end within 10 s")))
        silent = shells + [{"means": means} for means in filter(folder_of, MEANS_OF_UDP)]
        at = f"127.0.0.1:{name_server.port}"
        for how in silent:
            cases.append((["udp-dns", "silent.example.org", "A", "@" + at], how, (1, f"no answer from {at} to silent.example.org A")))
        cases.append((["udp-dns", "lazy.example.org", "A", "@" + at], {}, (0, "lazy.example.org A is 192.0.2.3")))

        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            results = list(pool.map(lambda case: run_check(*case[0], **case[1]), cases))
        self.assertLess(time.monotonic() - begin, 25)
        for (words, how, expected), result in zip(cases, results):
            with self.subTest(words, **how):
                self.assertEqual(result, expected)
        self.assertEqual(name_server.asked["silent.example.org"], 3 * len(silent))

    def full_listener(self):
        """The port of a server that does not get round to accepting."""
        server, port = listener()
        self.addCleanup(server.close)
        server.listen(0)
        for _ in range(4):
            client = socket.socket()
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        return port


if __name__ == "__main__":
    unittest.main()
