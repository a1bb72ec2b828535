"""Behind HAProxy, as the load balancer of an MX pool: who the client is stays known."""

import contextlib
import http.client
import smtplib
import ssl
import urllib.request

import pytest

from harness import wait
from harness.node import LOGIN, PASSWORD, Node, merged, routes_to
from harness.ports import free_port
from harness.processes import Process

CLIENT = "127.0.0.9"
MAIL = b"From: ann@elsewhere.test\r\nSubject: hello\r\n\r\nHi.\r\n"
HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 5s
"""
PAIR = """
listen {name}
    bind 127.0.0.1:{port}
    server node 127.0.0.1:{behind} {header} check check-send-proxy inter 100ms
"""


class Balancer:
    """HAProxy before the `mx` and `submissions` listeners of a node, with this kind of header."""

    def __init__(self, node: Node, header: str) -> None:
        self.ports = {name: free_port() for name in ("mx", "submissions")}
        self._config = node.folder / "haproxy.cfg"
        self._config.write_text(HAPROXY + "".join(
            PAIR.format(name=name, port=port, behind=node.ports[name], header=header)
            for name, port in self.ports.items()))
        self._log = node.folder / "haproxy.log"

    def __enter__(self) -> "Balancer":
        self._process = Process(["haproxy", "-db", "-f", str(self._config)], self._log)
        wait.until(self._serves, "HAProxy finds the node", 20)
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()

    def _serves(self) -> bool:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            with smtplib.SMTP("127.0.0.1", self.ports["mx"], timeout=5):
                return True
        return False


@pytest.fixture
def node(sink):
    settings = merged(routes_to({"sink.test": sink.port}),
                      {"intake": {"relay_domains": ["sink.test"]}})
    made = Node()
    listeners = [{"name": name, "kind": name, "address": "127.0.0.1", "port": port,
                  "proxies": ["127.0.0.1/32"], "greet_pause": pause}
                 for name, port, pause in (("mx", made.ports["mx"], "300ms"),
                                           ("submissions", made.ports["submissions"], "0s"))]
    made.write_config(merged(settings, {"listener": listeners}))
    made.add_user()
    with made:
        yield made


@pytest.mark.parametrize("header", ["send-proxy", "send-proxy-v2"])
def test_the_client_behind_the_balancer_is_in_the_trace(node, sink, header):
    with Balancer(node, header) as balancer:
        with smtplib.SMTP("127.0.0.1", balancer.ports["mx"], "client.test",
                          source_address=(CLIENT, 0)) as client:
            client.sendmail("ann@elsewhere.test", "you@sink.test", MAIL)
        context = ssl.create_default_context(cafile=node.certificates.ca)
        with smtplib.SMTP_SSL("localhost", balancer.ports["submissions"], "client.test",
                              context=context, source_address=(CLIENT, 0)) as client:
            client.login(LOGIN, PASSWORD)
            client.sendmail(LOGIN, "you@sink.test", MAIL)
        wait.until(lambda: len(sink.received) == 2, "both mails arrive")
        for mail in sink.received:
            assert f"[{CLIENT}]".encode() in mail.content.split(b"Subject:")[0]
    # HAProxy has asked ten times a second whether the node lives: that is no fault of anybody's.
    log = node.log.read_text()
    assert "proxy_header_missing" not in log and "talked_early" not in log
    assert "[warning]" not in log and "[error]" not in log


def test_who_talks_early_through_the_balancer_is_cut_off(node):
    with Balancer(node, "send-proxy-v2") as balancer:
        with pytest.raises(http.client.BadStatusLine, match="554 5.5.0"):
            urllib.request.urlopen(f"http://127.0.0.1:{balancer.ports['mx']}/", timeout=20)
    wait.until(lambda: "talked_early" in node.log.read_text(), "it is noted")
