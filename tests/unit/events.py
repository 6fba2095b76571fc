#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The notifications of hooks/events: what arrives, from reports of every kind, under the shells that /bin/sh may be.

The mail system is a stand-in that keeps what it gets. curl is the real one and talks to a server of this test; tests that
need it are skipped where there is none.
"""
import contextlib
import email
import email.policy
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

HOOKS = pathlib.Path(__file__).resolve().parent.parent.parent / "hooks" / "events"
PLAIN = "the command exited with 7"
HOSTILE = ('a "quote\\", a \\ and \\\\" two,\n.\nBcc: evil@example.org\r\n\x1b[31mred\x7f $(touch /nope) `id` ü€ '
           '", "outcome": "committed", {[ }}} : "')


def report(message=PLAIN, **others):
    """With the same keys and texts elsewhere in the document, before and after the ones that are meant."""
    return {"before": [{"message": "nested", "outcome": "committed"}, '"message": "a text"', ":", "\\", "outcome"],
            "transaction": "20261124t160638z-c0d4", "instance": "web1", "project": "default", "command": ["message", ":"],
            "outcome": "rolled-back", "reason": "check-failed", "message": message, "exit_code": 1, "snapshot": None,
            "started": "2026-11-24T16:06:38.217Z", "seconds": 1.5, "log": "/var/lib/belay/upgrade.log",
            "phases": [{"name": "upgrade", "message": "nested", "ok": False, "log": {"message": "deep"}}],
            "warnings": []} | others


def shells():
    for words in (["dash"], ["bash", "--posix"], ["busybox", "ash"]):
        if shutil.which(words[0]):
            yield words


class Answering(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers, body))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:  # hangs, until the test is over
            self.server.over.wait(60)
            return
        self.send_response(answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def server(*answers):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as it:
        it.got, it.answers, it.over = [], list(answers or (200,)), threading.Event()
        thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield it
        finally:
            it.over.set()
            it.shutdown()
            thread.join()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="events.")))
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.settings = self.folder / "notify.conf"

    def stand_in(self, name, script):
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def each_awk(self):
        for words in ("mawk", "gawk", "original-awk", "busybox awk"):
            program = shutil.which(words.split()[0])
            if program:
                self.stand_in("awk", f"exec {program} {words.partition(' ')[2]} \"$@\"")
                yield words

    def bare(self, *without):
        """From now on there are no programs but those that every host has."""
        for name in ("awk", "cat", "dirname", "readlink", "find", "fold", "id", "sed", "sh", "tr", "uname", "curl"):
            if name not in without and shutil.which(name):
                (self.bin / name).symlink_to(shutil.which(name))
        self.path = str(self.bin)

    path = None

    def hook(self, name, document, settings, shell=(), text=None, linked=True, **environment):
        self.settings.write_text(settings)
        program = HOOKS / name
        if linked:  # as people install it
            program = self.folder / name
            program.unlink(missing_ok=True)
            program.symlink_to(HOOKS / name)
        variables = {"PATH": self.path or f"{self.bin}:{os.environ['PATH']}", "BELAY_NOTIFY_CONF": str(self.settings),
                     "BELAY_INSTANCE": "web1", "BELAY_PROJECT": "default", "BELAY_PHASE": "rolled-back",
                     "BELAY_TXN": "20261124t160638z-c0d4", "HOME": str(self.folder)}
        words = [shutil.which(shell[0]), *shell[1:]] if shell else []
        return subprocess.run([*words, str(program)], env=variables | environment, capture_output=True, timeout=60,
                              input=(json.dumps(document, indent=2, ensure_ascii=False) if text is None else text).encode())

    def succeeds(self, *args, **options):
        done = self.hook(*args, **options)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done)

    def fails(self, sentence, *args, **options):
        done = self.hook(*args, **options)
        self.assertEqual(done.returncode, 1, done)
        self.assertRegex(done.stderr.decode(), sentence)


class Mail(Case):
    SETTINGS = "MAIL_TO='root, admin@example.org'\n"

    def setUp(self):
        super().setUp()
        self.sent, self.options = self.folder / "sent", self.folder / "options"
        self.stand_in("sendmail", f"echo \"$@\" >'{self.options}'; exec cat >'{self.sent}'")

    def mail(self, document, **options):
        self.sent.unlink(missing_ok=True)
        self.succeeds("mail", document, options.pop("settings", self.SETTINGS), **options)
        return email.message_from_bytes(self.sent.read_bytes(), policy=email.policy.default)

    def test_says_in_the_subject_what_became_of_the_instance_and_has_the_report(self):
        for shell in shells():
            with self.subTest(shell=shell):
                mail = self.mail(report(), shell=shell)
                self.assertEqual(mail["Subject"], "belay: web1 rolled-back (check-failed)")
                self.assertEqual(mail["To"], "root, admin@example.org")
                self.assertIsNone(mail["From"])
                self.assertEqual(self.options.read_text(), "-i -t\n")
                text = mail.get_content()
                self.assertIn(f"web1 rolled-back (check-failed)\n\n{PLAIN}\n", text)
                self.assertIn("started      2026-11-24T16:06:38.217Z\n", text)
                self.assertIn("log          /var/lib/belay/upgrade.log\n", text)
                self.assertIn("belay show 20261124t160638z-c0d4\n", text)
                self.assertEqual(json.loads(text[text.index("\n{"):]), report())

    def test_a_kept_upgrade_needs_no_reason_and_another_project_is_named(self):
        document = report(outcome="committed", reason="ok", log=None)
        self.assertEqual(self.mail(document)["Subject"], "belay: web1 committed")
        mail = self.mail(report(project="shop"), BELAY_PROJECT="shop")
        self.assertEqual(mail["Subject"], "belay: web1 of project shop rolled-back (check-failed)")
        self.assertIn("log          none\n", self.mail(document).get_content())

    def test_no_text_gets_into_the_headers_or_passes_for_another_key(self):
        document = report(HOSTILE, reason="x\r\nBcc: evil@example.org", instance="web1\nBcc: evil@example.org")
        wanted = {"To", "Subject", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted"}
        for shell in shells():
            for text in (json.dumps(document, indent=2, ensure_ascii=False), json.dumps(document, ensure_ascii=False),
                         json.dumps(document, indent=4, separators=(" , ", " : "))):
                with self.subTest(shell=shell, text=text):
                    mail = self.mail(None, text=text, shell=shell, BELAY_INSTANCE="web1\nBcc: evil@example.org")
                    self.assertEqual(set(mail.keys()), wanted)
                    self.assertEqual(mail["Subject"], "belay: web1Bccevilexample.org rolled-back (xBccevilexample.org)")
                    readable = HOSTILE
                    for control in "\n\r\x1b\x7f":
                        readable = readable.replace(control, " ")
                    if "\\u00fc" in text:
                        readable = readable.replace("ü€", "??")
                    self.assertEqual(mail.get_content().splitlines()[2], readable)
                    self.assertFalse(os.path.exists("/nope"))

    def test_every_awk_reads_the_same(self):
        for words in self.each_awk():
            with self.subTest(awk=words):
                self.assertIn('a "quote\\", a \\ and \\\\" two', self.mail(report(HOSTILE)).get_content())

    def test_no_line_is_too_long_for_a_mail_system(self):
        self.mail(report("word " * 2000 + "x" * 5000))
        self.assertLess(max(len(line) for line in self.sent.read_bytes().splitlines()), 998)

    def test_a_large_report_takes_no_long_time(self):
        checks = [{"name": f'plugin "{n}" \\', "new_bad": ["unit x" * 20, '"'] * 20} for n in range(1000)]
        text = json.dumps(report(checks=checks) | {"message": "at the end"})
        self.assertGreater(len(text), 2_000_000)
        begin = time.monotonic()
        self.assertIn("\nat the end\n", self.mail(None, text=text).get_content())
        self.assertLess(time.monotonic() - begin, 10)

    def test_what_is_no_report_is_mailed_all_the_same(self):
        for text in ("", "{", "[]", '"', "no json \\"):
            with self.subTest(text=text):
                self.assertEqual(self.mail(None, text=text)["Subject"], "belay: web1 rolled-back")

    def test_settings(self):
        self.assertEqual(self.mail(report(), settings=self.SETTINGS + "MAIL_FROM=belay@example.org\n")["From"],
                         "belay@example.org")
        self.fails("mail: MAIL_TO is not set: write MAIL_TO=... into .*notify.conf\n", "mail", report(), "")
        self.fails("MAIL_TO is not set", "mail", report(), "", BELAY_NOTIFY_CONF=str(self.folder / "none"))
        self.settings.chmod(0o666)
        self.fails("others may write to .*notify.conf: chmod go-w ", "mail", report(), self.SETTINGS)

    def test_a_mail_system_that_is_missing_or_fails(self):
        self.stand_in("sendmail", "cat >/dev/null; exit 75")
        self.fails("mail: sendmail ended with 75\n", "mail", report(), self.SETTINGS)
        self.bare()
        (self.bin / "sendmail").unlink()
        if not os.path.exists("/usr/sbin/sendmail") and not os.path.exists("/usr/lib/sendmail"):
            self.fails("mail: there is no program sendmail here: install ", "mail", report(), self.SETTINGS)


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class Curl(Case):
    @contextlib.contextmanager
    def at(self, *answers):
        with server(*answers) as here:
            here.url = f"http://127.0.0.1:{here.server_address[1]}"
            yield here

    def test_a_webhook_gets_the_report_byte_for_byte(self):
        text = json.dumps(report(HOSTILE), indent=2, ensure_ascii=False) + "\n\n"
        header = "'X-Token: a \"b\" \\ c\n\nX-Other: d'"
        for shell in shells():
            with self.subTest(shell=shell), self.at() as here:
                self.succeeds("webhook", None, f"WEBHOOK_URL='{here.url}/a?b=\"c\"'\nWEBHOOK_HEADER={header}\n",
                              text=text, shell=shell)
                [(path, headers, body)] = here.got
                self.assertEqual(body, text.encode())
                self.assertIn(path, ('/a?b="c"', "/a?b=%22c%22"))
                self.assertEqual(headers.get_all("Content-Type"), ["application/json"])
                self.assertEqual((headers["X-Token"], headers["X-Other"]), ('a "b" \\ c', "d"))

    def test_ntfy_gets_title_priority_and_tags_by_outcome(self):
        wanted = {"committed": ("low", "white_check_mark"), "unchanged": ("low", "white_check_mark"),
                  "rolled-back": ("high", "leftwards_arrow_with_hook"), "refused": ("default", "no_entry"),
                  "rolled-back-unhealthy": ("urgent", "warning"), "stuck": ("urgent", "rotating_light")}
        for shell in shells():
            for outcome, (priority, tags) in wanted.items():
                with self.subTest(shell=shell, outcome=outcome), self.at() as here:
                    self.succeeds("ntfy", report(HOSTILE, outcome=outcome),
                                  f"NTFY_URL={here.url}/topic\nNTFY_TOKEN=tk_1\n", shell=shell)
                    [(path, headers, body)] = here.got
                    self.assertEqual((path, headers["Title"]), ("/topic", f"belay: web1 {outcome} (check-failed)"))
                    self.assertEqual((headers["Priority"], headers["Tags"]), (priority, tags))
                    self.assertEqual(headers["Authorization"], "Bearer tk_1")
                    first, second = body.decode().splitlines()
                    self.assertTrue(first.startswith('a "quote\\", a \\ and \\\\" two,'), first)
                    self.assertTrue(second.endswith(": belay show 20261124t160638z-c0d4"), second)

    def test_ntfy_without_a_token_and_with_a_long_message(self):
        for awk, character in ((awk, c) for awk in self.each_awk() for c in "xü€"):
            with self.subTest(awk=awk, character=character), self.at() as here:
                self.succeeds("ntfy", report("a" + 3000 * character), f"NTFY_URL={here.url}/topic\n")
                [(_, headers, body)] = here.got
                self.assertIsNone(headers["Authorization"])
                self.assertLess(len(body), 2200)
                self.assertRegex(body.decode(), f"^a{character}+\\.\\.\\.\n")

    def test_an_answer_that_is_an_error_is_a_failure(self):
        for hook in ("webhook", "ntfy"):
            with self.subTest(hook=hook), self.at(404) as here:
                self.fails(f"error: 404\n{hook}: curl ended with 22\n", hook, report(),
                           f"WEBHOOK_URL={here.url}\nNTFY_URL={here.url}\n")
                self.assertEqual(len(here.got), 1)

    def test_what_may_pass_is_tried_again(self):
        with self.at(503, 200) as here:
            done = self.hook("webhook", report(), f"WEBHOOK_URL={here.url}\n")
            self.assertEqual(done.returncode, 0, done)
            self.assertEqual([json.loads(body) for _, _, body in here.got], [report()] * 2)

    def test_a_server_that_hangs_is_given_up_before_belay_gives_up_the_hook(self):
        begin = time.monotonic()
        with self.at(None) as here:
            self.fails("curl ended with 28", "webhook", report(), f"WEBHOOK_URL={here.url}\n")
        self.assertLess(time.monotonic() - begin, 28)

    def test_a_server_that_is_not_there(self):
        self.fails("curl ended with 7", "webhook", report(), "WEBHOOK_URL=http://127.0.0.1:9/\n")


class Settings(Case):
    def test_secrets_are_not_on_a_command_line(self):
        seen = self.folder / "seen"
        self.stand_in("curl", f"printf '%s\\n' \"$@\" >'{seen}'; cat >/dev/null")
        self.succeeds("webhook", report(), "WEBHOOK_URL=https://example.org/hidden\nWEBHOOK_HEADER='X: hidden'\n")
        self.succeeds("ntfy", report(), "NTFY_URL=https://example.org/hidden\nNTFY_TOKEN=hidden\n")
        self.assertIn("--fail\n", seen.read_text())
        self.assertNotIn("hidden", seen.read_text())

    def test_what_is_missing_is_named(self):
        self.fails("webhook: WEBHOOK_URL is not set: write ", "webhook", report(), "")
        self.fails("ntfy: NTFY_URL is not set: write ", "ntfy", report(), "", linked=False)
        self.bare("curl")
        if not any(os.path.exists(f"{folder}/curl") for folder in ("/usr/sbin", "/sbin", "/usr/lib")):
            self.fails("there is no program curl here: install curl\n", "webhook", report(), "WEBHOOK_URL=http://x/\n")

    def test_descriptions_fit_in_the_first_lines(self):
        for name in ("mail", "webhook", "ntfy"):
            lines = (HOOKS / name).read_text().splitlines()[:20]
            [line] = [line for line in lines if line.startswith("# belay:")]
            self.assertRegex(line, r"^# belay: where=host timeout=30s summary=\S")
            self.assertTrue(os.access(HOOKS / name, os.X_OK))


if __name__ == "__main__":
    unittest.main()
