"""The harness itself, on servers that are not ours: a proof is worth what its tools are worth."""

import base64
import smtplib
import ssl
import subprocess
from pathlib import Path

import dkim
import dns.message
import dns.query
import pytest

from harness import dkim_check, postfix, wait
from harness.clients import CLIENTS, Submission
from harness.dkim_keys import Key
from harness.dns_server import DnsServer
from harness.loader import Loader
from harness.mails import HARD_MAIL
from harness.sinks import Doors, Sink
from harness.strace import custody_faults, parse

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
        master = server.master_pid()
        send(server.port, "you@postfix.test", context)
        taken = wait.until(lambda: postfix.taken_messages(postfix_root), "delivered to the maildir")
    assert taken == [MAIL]
    assert not Path(f"/proc/{master}").exists()


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
    [message] = sink.received
    assert (message.message_id, message.recipients) == ("one@test", ("you@sink.test",))
    assert message.content == MAIL


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


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("client", CLIENTS)
def test_clients_send_every_byte(client, implicit_tls, certs):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.chain, certs.key)
    doors = Doors(context, implicit_tls, ("rider@posthorse.test", "secret word"))
    with Sink(doors=doors) as sink:
        CLIENTS[client](Submission(sink.port, implicit_tls, certs.ca, *doors.login,
                                   "rider@posthorse.test", "you@sink.test", HARD_MAIL))
    assert [m.content for m in sink.received] == [HARD_MAIL]


def test_loader_knows_what_was_taken():
    with Sink() as sink:
        tally = Loader(sink.port, sessions=3, kept=False).run(messages=30)
    assert len(tally.acknowledged) == len(tally.waited_s) == 30
    assert not tally.unknown and set(sink.by_message_id()) == set(tally.acknowledged)


def test_loader_does_not_send_again_what_was_refused():
    with Sink("bounce_data") as sink:
        tally = Loader(sink.port, sessions=2).run(messages=10)
    assert len(tally.refused) == 10 and sink.refused == 10 and not tally.acknowledged


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, check=True,
                          capture_output=True).stdout


def dkim_key(kind: str, folder) -> tuple[Key, bytes]:
    """A key and what dkimpy's signer wants of it: PEM, or the 32 octets of the seed in base64."""
    options = ["-pkeyopt", "rsa_keygen_bits:2048"] if kind == "rsa" else []
    pem = openssl("genpkey", "-algorithm", kind, *options)
    public = openssl("pkey", "-pubout", "-outform", "DER", stdin=pem)
    file = folder / f"{kind}.pem"
    file.write_bytes(pem)
    text = base64.b64encode(public if kind == "rsa" else public[-32:]).decode()
    key = Key("posthorse.test", kind, file, f"v=DKIM1; k={kind}; p={text}")
    if kind == "rsa":
        return key, openssl("rsa", "-traditional", stdin=pem)
    return key, base64.b64encode(openssl("pkey", "-outform", "DER", stdin=pem)[-32:])


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_judges_of_signatures_agree_on_good_and_bad(kind, tmp_path):
    key, private = dkim_key(kind, tmp_path)
    signature = dkim.sign(HARD_MAIL, kind.encode(), b"posthorse.test", private,
                          canonicalize=(b"relaxed", b"relaxed"),
                          signature_algorithm=f"{kind}-sha256".encode())
    good, bad = signature + HARD_MAIL, signature + HARD_MAIL.replace(b"horse", b"mule", 1)
    assert dkim_check.dkimpy_results(good, [key]) == [True]
    assert dkim_check.dkimpy_results(bad, [key]) == [False]
    results = dkim_check.mail_dkim_results([good, bad, HARD_MAIL], [key])
    assert results[0] == [f"{kind}-sha256=pass"] and results[2] == []
    assert results[1][0].startswith(f"{kind}-sha256=fail")


def receipt_trace(sync: str, where: int) -> str:
    """A trace of one mail; its sync comes before line `where`."""
    lines = [
        r'7 recvmsg(20, {msg_iov=[{iov_base="Subject: x\r\n\r\nx\r\n.\r\n", iov_len=9}]}, 0) = 20',
        r'7 sendmsg(20, {msg_iov=[{iov_base="250 2.0.0 taken\r\n", iov_len=17}]}, 0) = 17',
    ]
    return "\n".join(lines[:where] + sync.splitlines() + lines[where:])


INTERRUPTED = """\
8 fdatasync(9 <unfinished ...>
7 read(5, "x", 1) = 1
8 <... fdatasync resumed>)          = 0"""


@pytest.mark.parametrize("sync, where, faults", [
    ("8 fdatasync(9) = 0", 1, 0),
    (INTERRUPTED, 1, 0),
    ("8 fdatasync(9) = 0", 0, 1),                         # before the end of data was read
    ("8 fdatasync(9) = 0", 2, 1),                         # after the 250
    ("8 fdatasync(9) = -1 EIO (Input/output error)", 1, 1),
    ("", 1, 1),
])
def test_a_trace_tells_a_250_without_a_sync(sync, where, faults):
    seen, found = custody_faults(parse(receipt_trace(sync, where)))
    assert (seen, len(found)) == (1, faults)
