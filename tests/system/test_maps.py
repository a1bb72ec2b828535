"""Maps as sendmail has them: recipients and senders by file, read anew by a reload."""

import smtplib

import pytest

from harness import wait
from harness.node import Node, answer_of, merged, routes_to

MAIL = b"From: Root <root@web1.posthorse.test>\r\nSubject: hello\r\n\r\nHi.\r\n"


def send(port: int, sender: str, recipient: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, "client.test") as client:
        client.sendmail(sender, recipient, MAIL)


def test_recipients_are_taken_one_by_one_and_a_reload_brings_new_ones(sink):
    node = Node()
    access = node.folder / "access"
    access.write_text("To:ann@sink.test RELAY\nTo:sink.test REJECT\nspam nonsense\n")
    node.write_config(merged(routes_to({"sink.test": sink.port}),
                             {"intake": {"recipient_map": access}}))
    with node:
        node.logged("access:3: 'spam' does not begin with To:")
        send(node.ports["mx"], "a@elsewhere.test", "ann@sink.test")
        wait.until(lambda: sink.received, "ann gets her mail")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(node.ports["mx"], "a@elsewhere.test", "bob@sink.test")
        assert refused.value.recipients["bob@sink.test"] == (550, b"5.1.1 no such recipient here")
        access.write_text("To:bob@sink.test RELAY\nTo:ann@sink.test 450 4.2.1 moving\n")
        node.cli("reload")
        send(node.ports["mx"], "a@elsewhere.test", "bob@sink.test")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(node.ports["mx"], "a@elsewhere.test", "ann@sink.test")
        assert refused.value.recipients["ann@sink.test"] == (450, b"4.2.1 moving")
        access.unlink()  # what cannot be read changes nothing
        answer = answer_of("--config", str(node.config), "reload")
        assert answer.returncode == 1 and "cannot be read" in answer.stdout + answer.stderr
        send(node.ports["mx"], "a@elsewhere.test", "bob@sink.test")
        wait.until(lambda: len(sink.received) == 3, "bob gets both")


def test_senders_get_the_names_that_the_maps_give_them(sink):
    node = Node()
    (node.folder / "generics").write_text("cron@node.posthorse.test ops@posthorse.test\n")
    node.write_config(merged(routes_to({"sink.test": sink.port}), {"intake": {
        "sender_map": node.folder / "generics", "masquerade_domains": ["posthorse.test"],
        "trusted_networks": ["127.0.0.0/8"]}}))
    with node:
        send(node.ports["submission"], "cron@node.posthorse.test", "you@sink.test")
        send(node.ports["submission"], "root@web1.posthorse.test", "you@sink.test")
        wait.until(lambda: len(sink.received) == 2, "both mails arrive")
    assert {mail.sender for mail in sink.received} == {"ops@posthorse.test", "root@posthorse.test"}
    for mail in sink.received:
        assert b"\r\nFrom: Root <root@posthorse.test>\r\n" in mail.content
