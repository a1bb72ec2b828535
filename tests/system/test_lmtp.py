"""Mail into mailboxes by LMTP: a real Dovecot, and a server that breaks off where we want it to."""

import email
import smtplib

import pytest

from harness import wait
from harness.dovecot import Dovecot
from harness.mailboxes import Mailboxes
from harness.node import TRUSTING, Node, merged
from harness.ports import free_port

MAIL = (b"Date: Thu, 26 Nov 2026 07:00:00 +0000\r\nMessage-ID: <1@home.test>\r\n"
        b"From: ann@home.test\r\nSubject: to a mailbox\r\n\r\n.one dot\r\nlast line\r\n")
SOON = {"queue": {"min_retry_age": "1s", "max_retry_age": "1s"}}


def node_with(routes: dict[str, str], settings: dict | None = None) -> Node:
    table = {"delivery": {"route": [{"domain": domain, "next_hop": next_hop}
                                    for domain, next_hop in routes.items()]}}
    node = Node()
    node.write_config(merged(merged(merged(table, TRUSTING), SOON), settings or {}))
    return node


def send(node: Node, recipients: list[str], rcpt_options: tuple[str, ...] = ()) -> None:
    with smtplib.SMTP("127.0.0.1", node.ports["submission"], "client.test") as client:
        client.sendmail("ann@home.test", recipients, MAIL, (), rcpt_options)


def reports_of(content: bytes) -> dict[str, email.message.Message]:
    """What a notice says of each recipient."""
    found = {}
    for part in email.message_from_bytes(content).walk():
        if part["Final-Recipient"]:
            found[part["Final-Recipient"].split(";")[1].strip()] = part
    return found


@pytest.fixture(name="dovecot")
def _dovecot():
    with Dovecot({"ann@box.test": "", "bob@box.test": "*:storage=1B"}) as server:
        yield server


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_dovecot_answers_for_each_recipient_and_the_sender_hears_what_became_of_it(
        dovecot, sink, way):
    next_hop = (f"lmtp:[127.0.0.1]:{dovecot.port}" if way == "tcp" else
                f"lmtp:unix:{dovecot.socket}")
    routes = {"box.test": next_hop, "home.test": f"smtp:[127.0.0.1]:{sink.port}"}
    with node_with(routes) as node:
        send(node, ["ann@box.test", "bob@box.test", "nobody@box.test"],
             ("NOTIFY=SUCCESS,FAILURE",))
        wait.until(lambda: len(sink.received) == 2, "both notices arrive")
        wait.until(lambda: node.queue() == [], "the queue is empty")
        log = node.logged("delivery_told")
    [mail] = dovecot.mails("ann")
    assert mail.replace(b"\r\n", b"\n").endswith(MAIL.replace(b"\r\n", b"\n"))
    assert not dovecot.mails("bob")
    said = {}
    for notice in sink.received:
        said |= {one: (report["Action"], report["Status"])
                 for one, report in reports_of(notice.content).items()}
    assert said == {"ann@box.test": ("delivered", "2.0.0"), "bob@box.test": ("failed", "5.2.2"),
                    "nobody@box.test": ("failed", "5.1.1")}
    assert "delivery_told" in log and "relay_told" not in log
    ann = next(line for line in log.splitlines() if "to=<ann@box.test>" in line)
    assert "dsn=2.0.0, stat=Sent" in ann
    assert f"relay={dovecot.socket}," in ann or f"relay=[127.0.0.1]:{dovecot.port}," in ann
    assert "dsn=5.2.2" in next(line for line in log.splitlines() if "to=<bob@box.test>" in line)


def test_only_those_without_a_reply_are_sent_again():
    with Mailboxes(["250 2.0.0 saved", "452 4.2.2 full"]) as box:
        with node_with({"box.test": f"lmtp:[127.0.0.1]:{box.port}"}) as node:
            send(node, [f"{name}@box.test" for name in ("ann", "bob", "carol", "dave")])
            wait.until(lambda: node.queue() == [], "the queue is empty")
    assert box.heard == [["ann@box.test", "bob@box.test", "carol@box.test", "dave@box.test"],
                         ["bob@box.test", "carol@box.test", "dave@box.test"]]


def test_what_is_in_doubt_is_held_when_the_policy_says_so_and_nothing_else():
    with Mailboxes(["250 2.0.0 saved"]) as box:
        with node_with({"box.test": f"lmtp:[127.0.0.1]:{box.port}"},
                       {"queue": {"in_doubt": "hold"}}) as node:
            send(node, ["ann@box.test", "bob@box.test"])
            wait.until(lambda: node.queue("--state", "held"), "it is held")
            [held] = node.queue()
    assert {one["address"]: one["state"] for one in held["recipients"]} == {
        "ann@box.test": "delivered", "bob@box.test": "pending"}
    assert "in doubt" in held["held_reason"]
    assert box.heard == [["ann@box.test", "bob@box.test"]]


def test_mail_waits_for_mailboxes_that_are_away():
    port = free_port()
    with node_with({"box.test": f"lmtp:[127.0.0.1]:{port}"}) as node:
        send(node, ["ann@box.test"])
        wait.until(lambda: "stat=Deferred" in node.log.read_text(), "it is deferred")
        with Mailboxes(port=port) as box:
            node.cli("queue", "flush")
            wait.until(lambda: node.queue() == [], "the queue is empty")
        assert box.heard == [["ann@box.test"]]
