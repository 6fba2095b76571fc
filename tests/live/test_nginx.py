# SPDX-License-Identifier: Apache-2.0
"""A real web server: nginx of Debian 12 gets the release of Debian 13, by the recipe. A client outside asks it all the time."""

import http.client

import live
import software
from software import begin_of, check, finals, phase

PAGE = "The page of this site.\n"

# A module of the site itself, that is: one of which no package knows for which nginx it was made.
SETUP = """set -e
mkdir /opt/modules
cp /usr/lib/nginx/modules/ngx_http_echo_module.so /opt/modules/
DEBIAN_FRONTEND=noninteractive apt-get purge -q -y libnginx-mod-http-echo
systemctl restart nginx
sed s/bookworm/trixie/ /etc/apt/sources.list >/etc/apt/sources.list.d/trixie.list
apt-get update -q
apt-get install -q -y --download-only --only-upgrade nginx nginx-common
"""

USE_MODULE = "echo 'load_module /opt/modules/ngx_http_echo_module.so;' >/etc/nginx/modules-enabled/site.conf"
# The commands end well, whatever becomes of nginx: so do many scripts.
BROKEN = "echo 'no_such_setting on;' >/etc/nginx/conf.d/site.conf; systemctl reload nginx || true"
DEAD_BACKEND = ("sed -i 's,try_files .*,proxy_pass http://127.0.0.1:9;,' /etc/nginx/sites-available/default && "
                "systemctl reload nginx")
LOST_PAGE = "rm /var/www/html/index*.html && systemctl reload nginx"

ITS_PAGE = "http http://127.0.0.1/ --contains 'page of this site'"
AN_ANSWER = "http http://127.0.0.1/ --status 2xx,3xx,4xx"

# Seconds from the stop to the first answer. On a quiet machine it is 2, most of that the boot of the instance.
WAY_BACK = 10


def page(address, timeout=0.5):
    """What is on the first page: (status, text); None without an answer."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request("GET", "/")
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


class Nginx(software.TestCase):
    def setUp(self):
        self.name, self.address = self.server("nginx", "libnginx-mod-http-echo")
        live.sh(self.name, SETUP)
        live.incus("file", "push", "-", f"{self.name}/var/www/html/index.html", "--mode", "0644", input=PAGE)
        live.wait_until(self.answers, 20, "the web server answers")

    def answers(self):
        return page(self.address) == (200, PAGE)

    def version(self):
        return live.sh(self.name, "dpkg-query -W -f '${Status} ${Version}' nginx")

    def by_hand(self):
        """The packages that nobody may remove because nothing needs them any more."""
        return set(live.sh(self.name, "apt-mark showmanual").split())

    def files(self):
        return live.tree(self.name, exclude=["/proc", "/sys", "/dev", "/run", "/tmp", "/var/log", "/var/tmp", "/var/lib/systemd",
                                             "/var/lib/nginx"])

    def upgrade(self, *script, options=()):
        """belay run while a client asks: exit code, report and client."""
        command = ("--", "sh", "-c", *script) if script else ()
        with software.Client(self.answers) as client:
            code, report = live.report("run", "-r", "nginx", "--soak", "3s", *options, self.name, *command, timeout=300)
        return code, report, client

    def assert_undone(self, reason, code, report, client):
        self.assertEqual((code, report["outcome"], report["reason"]), (1, "rolled-back", reason), report["message"])
        self.assertEqual(page(self.address), (200, PAGE))
        self.assertIn("install ok installed 1.22.", self.version())
        live.sh(self.name, "nginx -t -q")
        self.assertTrue(client.outages)
        # How long the broken server was up is a matter of what was broken. From there on only the way back counts.
        back = max(begin + seconds for begin, seconds in client.outages) - begin_of(report, "stop")
        print(f"\n{report['reason']}: from the stop until it answers {back:.2f} s, no answer for {client.downtime:.2f} s "
              f"in all, belay's own downtime {report['downtime_seconds']:.2f} s", flush=True)
        self.assertLess(back, WAY_BACK)
        self.assert_no_outage_before_the_upgrade(report, client)

    def assert_no_outage_before_the_upgrade(self, report, client):
        """Neither the baseline nor the snapshot takes the service away; 50 ms for the last answer."""
        first = min((begin for begin, _ in client.outages), default=float("inf"))
        self.assertGreater(first, begin_of(report, "upgrade") - 0.05)

    def test_upgrades_of_a_real_web_server(self):
        self.assertIn("install ok installed 1.22.", self.version())
        before = self.files()

        with self.subTest("a broken configuration with which the old processes serve on is undone"):
            code, report, client = self.upgrade(BROKEN, options=["--retry-for", "8s"])
            self.assert_undone("check-failed", code, report, client)
            self.assertEqual(failing(report), ["command nginx -t -q"])
            self.assert_same_tree(before, self.files())

        with self.subTest("a server that runs and only says 502 is seen by the question of the recipe, and undone"):
            code, report, client = self.upgrade(DEAD_BACKEND, options=["--retry-for", "8s"])
            self.assert_undone("check-failed", code, report, client)
            self.assertEqual(failing(report), [AN_ANSWER])
            self.assertIn("502", check(report, AN_ANSWER)["summary"])

        with self.subTest("a page that is lost is seen by a question for it, and undone"):
            code, report, client = self.upgrade(LOST_PAGE, options=["--retry-for", "8s", "--check", ITS_PAGE])
            self.assert_undone("check-failed", code, report, client)
            self.assertEqual(failing(report), [ITS_PAGE])

        with self.subTest("a module that was made for the old release is undone"):
            live.sh(self.name, f"{USE_MODULE} && systemctl restart nginx")
            live.wait_until(self.answers, 20, "the web server answers")
            code, report, client = self.upgrade()
            self.assert_undone("command-failed", code, report, client)
            live.sh(self.name, "rm /etc/nginx/modules-enabled/site.conf && systemctl restart nginx")
            live.wait_until(self.answers, 20, "the web server answers")

        with self.subTest("the new release without that module is kept"):
            by_hand = self.by_hand()
            code, report, client = self.upgrade(options=["--check", ITS_PAGE])
            self.assertEqual((code, report["outcome"]), (0, "committed"), report["message"])
            self.assertIn("install ok installed 1.26.", self.version())
            self.assertEqual(page(self.address), (200, PAGE))
            self.assertEqual(set(finals(report).values()), {"pass"})
            self.assertLessEqual(self.by_hand(), by_hand)
            print(f"\nkept: no answer for {client.downtime:.2f} s in all, the command took "
                  f"{phase(report, 'upgrade')['seconds']:.1f} s", flush=True)
            self.assertLess(client.downtime, phase(report, "upgrade")["seconds"] + 1)
            self.assert_no_outage_before_the_upgrade(report, client)


def failing(report):
    return [name for name, final in finals(report).items() if final != "pass"]
