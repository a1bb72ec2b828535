"""The harness itself, on servers that are not ours: a proof is worth what its tools are worth."""

import smtplib
import ssl

import dns.message
import dns.query
import pytest

from harness import postfix, wait
from harness.dns_server import DnsServer
from harness.sinks import Sink

MAIL = b"From: a@posthorse.test\r\nMessage-ID: <one@test>\r\n\r\n.dots\r\n..more\r\nend\r\n"


def send(port: int, recipient: str, context: ssl.SSLContext | None = None) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test") as client:
        if context:
            client.starttls(context=context)
        client.sendmail("a@posthorse.test", [recipient], MAIL)


def test_postfix_takes_over_tls_and_keeps_every_byte(postfix_root, certs, tmp_path):
    context = ssl.create_default_context(cafile=certs.ca)
    context.check_hostname = False
    settings = postfix.receiving_settings(certs, postfix_root)
    with postfix.Postfix(postfix_root, tmp_path / "spool", settings) as server:
        assert "virtual_mailbox_domains = postfix.test" in server.postconf()
        send(server.port, "you@postfix.test", context)
        taken = wait.until(lambda: postfix.taken_messages(postfix_root), "delivered to the maildir")
    assert taken == [MAIL]


def test_smtp_source_fills_smtp_sink_through_postfix(postfix_root, tmp_path):
    with postfix.SmtpSink(postfix_root, tmp_path / "sink.log", dump=True) as sink:
        settings = {"default_transport": f"smtp:[127.0.0.1]:{sink.port}"}
        with postfix.Postfix(postfix_root, tmp_path / "spool", settings) as server:
            postfix.smtp_source(postfix_root, server.port, postfix.Load(20, 4, kept=True))
            wait.until(lambda: len(sink.messages()) == 20, "20 messages in the sink")
            assert all(b"Message-Id" in text for text in sink.messages())


def test_smtp_sink_keeps_every_byte(postfix_root, tmp_path):
    with postfix.SmtpSink(postfix_root, tmp_path / "sink.log", dump=True) as sink:
        send(sink.port, "you@sink.test")
        wait.until(sink.messages, "one message in the sink")
        assert sink.messages() == [MAIL]


def test_sink_records_and_changes_its_mind():
    with Sink("defer") as sink:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
            send(sink.port, "you@sink.test")
        assert refusal.value.recipients["you@sink.test"][0] == 421
        sink.set_mode("accept")
        send(sink.port, "you@sink.test")
    assert [(m.message_id, m.recipients) for m in sink.received] == [("one@test", ("you@sink.test",))]
    assert sink.received[0].content == MAIL


def test_dns_answers_from_its_table_alone():
    records = {("sink.test", "MX"): ["10 mx.sink.test."], ("mx.sink.test", "A"): ["127.0.0.1"]}
    with DnsServer(records, failing={"broken.test"}) as server:
        for ask in (dns.query.udp, dns.query.tcp):
            query = dns.message.make_query("sink.test", "MX")
            answer = ask(query, "127.0.0.1", port=server.port, timeout=5)
            assert "10 mx.sink.test." in answer.answer[0].to_text()
        for name, code in (("none.test", 3), ("broken.test", 2), ("mx.sink.test", 0)):
            query = dns.message.make_query(name, "MX")
            answer = dns.query.udp(query, "127.0.0.1", port=server.port, timeout=5)
            assert answer.rcode() == code and not answer.answer
