"""The extensions of SMTP on the real binary, with other people's programs."""

import re
import smtplib
import ssl
from datetime import datetime, timedelta, timezone

import pytest
from aiosmtpd.controller import Controller

from harness import wait
from harness.certificates import Certificates, make
from harness.dns_server import DnsServer
from harness.node import LOGIN, PASSWORD, TRUSTING, Node, merged, routes_to
from harness.ports import free_port
from harness.rawclient import RawClient
from harness.sinks import Sink
from harness.speaker import Speaker

# A header that lacks nothing stays as it is.
HEAD = (b"Date: Thu, 26 Nov 2026 07:00:00 +0000\r\nMessage-ID: <1@home.test>\r\n"
        b"From: ann@home.test\r\n")
PLAIN = HEAD + b"Subject: plain\r\n\r\nhello\r\n"
UMLAUTS = HEAD + "Subject: Grüße\r\n\r\nschöne Grüße\r\n".encode()


def node_with(routes: dict[str, int]) -> Node:
    return Node(merged(routes_to(routes), TRUSTING))


@pytest.fixture
def home():
    """Where notices to senders arrive."""
    with Sink() as one:
        yield one


def send(node: Node, mail: bytes, sender: str, recipients: list[str], options: tuple[str, ...] = (),
         recipient_options: tuple[str, ...] = ()) -> None:
    with smtplib.SMTP("127.0.0.1", node.ports["submission"], "client.test") as client:
        client.ehlo()
        client.sendmail(sender, recipients, mail, options, recipient_options)


def report_of(notice: bytes) -> dict[str, str]:
    """The fields about the message and its recipient; Python's parser knows only the older form."""
    report = re.split(rb"Content-Type: message/[a-z-]*delivery-status\r\n", notice)[1]
    lines = report.split(b"\r\n--", 1)[0].decode("utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


class Utf8Recorder:
    def __init__(self) -> None:
        self.received = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.received.append((envelope.mail_from, tuple(envelope.rcpt_tos), envelope.smtp_utf8,
                              envelope.original_content))
        return "250 2.0.0 taken"


@pytest.fixture
def utf8_server():
    """aiosmtpd with SMTPUTF8."""
    recorder = Utf8Recorder()
    server = Controller(recorder, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True)
    server.start()
    recorder.port = server.port
    yield recorder
    server.stop()


def test_an_address_beyond_ascii_goes_from_smtplib_to_aiosmtpd(utf8_server):
    # The route is written as the DNS knows the domain, the recipient as people do.
    with node_with({"xn--mil-qla.test": utf8_server.port}) as node:
        send(node, UMLAUTS, "bö@home.test", ["jürgen@mäil.test"], ("SMTPUTF8", "BODY=8BITMIME"))
        wait.until(lambda: utf8_server.received, "the mail arrives")
        node.logged("jürgen@mäil.test")
    [(sender, recipients, utf8, content)] = utf8_server.received
    assert (sender, recipients, utf8) == ("bö@home.test", ("jürgen@mäil.test",), True)
    assert content.endswith(UMLAUTS)
    assert b"with UTF8SMTP" in content and "for <jürgen@mäil.test>".encode() in content


def test_what_a_server_cannot_be_told_comes_back(home):
    with Speaker("8BITMIME") as old:
        with node_with({"old.test": old.port, "home.test": home.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@old.test", "bö@old.test"], ("SMTPUTF8",))
            wait.until(lambda: home.received, "the notice arrives")
            wait.until(lambda: old.heard, "the other recipient gets the mail")
            wait.until(lambda: node.queue() == [], "the queue is empty")
    assert old.heard[0].commands[0].startswith("MAIL FROM:<ann@home.test>")
    assert "SMTPUTF8" not in old.heard[0].commands[0]
    assert old.heard[0].commands[1] == "RCPT TO:<bob@old.test>"
    notice = home.received[0].content
    assert b"report-type=global-delivery-status" in notice
    assert report_of(notice)["Final-Recipient"] == "utf-8; bö@old.test"
    assert report_of(notice)["Status"] == "5.6.7"


def test_what_is_asked_of_notices_is_passed_on(home):
    with Speaker("DSN") as next_hop:
        with node_with({"next.test": next_hop.port, "home.test": home.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@next.test"], ("RET=HDRS", "ENVID=QQ+2B1"),
                 ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;rob+2Bx@next.test"))
            wait.until(lambda: next_hop.heard, "the mail arrives")
            wait.until(lambda: node.queue() == [], "the queue is empty")
    mail, rcpt, _ = next_hop.heard[0].commands
    assert mail.endswith(" RET=HDRS ENVID=QQ+2B1")
    assert rcpt == "RCPT TO:<bob@next.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;rob+2Bx@next.test"
    assert not home.received


def test_a_relay_is_told_when_the_next_server_cannot_tell(home):
    with Sink() as next_hop:
        with node_with({"next.test": next_hop.port, "home.test": home.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@next.test"], ("ENVID=QQ+2B1",),
                 ("NOTIFY=SUCCESS", "ORCPT=rfc822;rob+2Bx@next.test"))
            wait.until(lambda: home.received, "the notice arrives")
            node.logged("relay_told")
    report = report_of(home.received[0].content)
    assert report["Action"] == "relayed" and report["Status"].startswith("2.")
    assert report["Original-Envelope-Id"] == "QQ+1"
    assert report["Original-Recipient"] == "rfc822;rob+x@next.test"


def test_who_wants_no_notice_gets_none_and_who_wants_all_gets_all(home):
    with Sink("bounce") as refusing:
        with node_with({"gone.test": refusing.port, "home.test": home.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@gone.test"], (), ("NOTIFY=NEVER",))
            wait.until(lambda: refusing.refused == 1 and node.queue() == [], "it is refused")
            assert not home.received
            send(node, PLAIN, "ann@home.test", ["bob@gone.test"], ("RET=FULL",))
            wait.until(lambda: home.received, "the notice arrives")
    assert b"message/rfc822" in home.received[0].content
    assert b"\r\nhello\r\n" in home.received[0].content


def test_a_message_in_chunks_arrives_as_it_was_sent(home):
    body = HEAD + b"\r\n.\r\n..two\r\nQUIT\r\n" + b"0123456789abcde\r\n" * 40_000
    with node_with({"home.test": home.port}) as node:
        with RawClient(node.ports["submission"]) as client:
            assert "CHUNKING" in client.say("EHLO client.test")
            client.say("MAIL FROM:<ann@home.test>")
            client.say("RCPT TO:<bob@home.test>")
            for at in range(0, len(body), 100_000):
                chunk = body[at:at + 100_000]
                last = " LAST" if at + len(chunk) == len(body) else ""
                client.write(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
                assert client.reply().startswith("250")
        wait.until(lambda: home.received, "the mail arrives")
    assert home.received[0].content.endswith(body)


def test_recipients_go_in_as_many_messages_as_the_server_wants():
    with Speaker("LIMITS RCPTMAX=2", "PIPELINING") as small:
        with node_with({"small.test": small.port}) as node:
            names = [f"user{i}@small.test" for i in range(5)]
            send(node, PLAIN, "ann@home.test", names)
            wait.until(lambda: node.queue() == [], "the queue is empty")
    counts = [sum(line.startswith("RCPT") for line in one.commands) for one in small.heard]
    assert counts == [2, 2, 1]
    assert all(one.content.endswith(PLAIN) for one in small.heard)


def test_8_bit_octets_go_nowhere_without_8bitmime(home):
    with Speaker("SIZE") as old:
        with node_with({"old.test": old.port, "home.test": home.port}) as node:
            send(node, PLAIN + b"\xe4\r\n", "ann@home.test", ["bob@old.test"])
            wait.until(lambda: home.received, "the notice arrives")
    assert report_of(home.received[0].content)["Status"] == "5.6.3"
    assert not old.heard


def release_of(message: dict) -> datetime:
    return datetime.fromisoformat(message["release_time"].replace("Z", "+00:00"))


def test_a_message_for_later_waits_through_a_restart_and_an_operators_retry(home):
    settings = merged(routes_to({"home.test": home.port}), TRUSTING)
    node = Node(merged(settings, {"intake": {"future_release_max": "1d"}}))
    with node:
        send(node, PLAIN, "ann@home.test", ["bob@home.test"], ("HOLDFOR=4",))
        [message] = node.queue()
        release = release_of(message)
        assert f"waits for its release: {release:%Y-%m-%dT%H:%M:%S}Z" in node.cli("queue", "ls")
        assert "asks         HOLDFOR=4\n" in node.cli("queue", "show", message["id"])
        node.kill()
        node.start()
        assert "retry: done" in node.cli("queue", "retry", message["id"])
        assert "0 made due now" in node.cli("queue", "flush")
        wait.until(lambda: home.received, "the mail arrives")
        assert datetime.now(timezone.utc) >= release
        wait.until(lambda: node.queue() == [], "the queue is empty")


def test_what_is_for_later_may_be_bounced_before(home):
    settings = merged(routes_to({"home.test": home.port}), TRUSTING)
    with Node(merged(settings, {"intake": {"future_release_max": "1d"}})) as node:
        until = datetime.now(timezone.utc) + timedelta(hours=1)
        send(node, PLAIN, "ann@home.test", ["bob@home.test"],
             (f"HOLDUNTIL={until:%Y-%m-%dT%H:%M:%SZ}",))
        assert node.metrics()["posthorse_future_releases_total"] == 1
        [message] = node.queue()
        node.cli("queue", "bounce", message["id"])
        wait.until(lambda: home.received, "the notice arrives")
    report = report_of(home.received[0].content)
    assert report["Future-Release-Request"] == f"until;{until:%Y-%m-%dT%H:%M:%SZ}"
    assert "Arrival-Date" in report and report["Status"] == "5.0.0"


def quick_to(ports: dict[str, int]) -> Node:
    """It takes any time of delivery, and tries again after minutes, not before."""
    return Node(merged(merged(routes_to(ports), TRUSTING), {"intake": {"deliver_by_min": "0s"}}))


def test_the_time_of_delivery_goes_on_with_what_is_left_of_it(home):
    with Speaker("DELIVERBY 60") as next_hop:
        with quick_to({"next.test": next_hop.port, "home.test": home.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@next.test"], ("BY=900;RT",))
            wait.until(lambda: home.received, "the notice of relay arrives")
    [by] = re.findall(r" BY=(\d+);RT$", next_hop.heard[0].commands[0])
    assert 800 < int(by) <= 900
    assert report_of(home.received[0].content)["Action"] == "relayed"


def test_what_must_not_be_late_comes_back_in_time_and_is_not_tried_again(home):
    with Speaker("DELIVERBY", refuses={"MAIL": "451 4.3.0 later"}) as busy:
        with quick_to({"busy.test": busy.port, "home.test": home.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@busy.test"], ("BY=3;R",))
            wait.until(lambda: home.received, "the notice arrives")
            assert node.queue() == []
    report = report_of(home.received[0].content)
    assert (report["Action"], report["Status"]) == ("failed", "5.4.7")
    assert "Deliver-By-Date" in report and "Arrival-Date" in report


def test_what_must_not_be_late_does_not_go_where_nobody_knows_of_it(home):
    with Speaker("DSN") as old:
        with quick_to({"old.test": old.port, "home.test": home.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@old.test"], ("BY=900;R",))
            wait.until(lambda: home.received, "the notice arrives")
            assert not old.heard
            assert report_of(home.received[0].content)["Status"] == "5.3.3"
            send(node, PLAIN, "ann@home.test", ["bob@old.test"], ("BY=900;N",))
            wait.until(lambda: len(home.received) == 2, "the notice of relay arrives")
    assert old.heard[0].commands[:2] == [old.heard[0].commands[0],
                                         "RCPT TO:<bob@old.test> NOTIFY=FAILURE,DELAY"]
    assert "BY=" not in old.heard[0].commands[0]
    assert report_of(home.received[1].content)["Action"] == "relayed"


def test_a_sender_hears_of_a_delay_when_it_wanted_to(home):
    with Speaker(refuses={"MAIL": "451 4.3.0 later"}) as busy:
        with quick_to({"busy.test": busy.port, "home.test": home.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@busy.test"], ("BY=3;N",))
            wait.until(lambda: home.received, "the notice arrives")
            [message] = node.queue()
            assert message["recipients"][0]["attempts"] == 1
            assert "asks         BY=3;N\n" in node.cli("queue", "show", message["id"])
    report = report_of(home.received[0].content)
    assert (report["Action"], report["Status"]) == ("delayed", "4.4.7")


def test_a_priority_goes_on_and_is_bounded():
    with Speaker("MT-PRIORITY") as next_hop:
        with node_with({"next.test": next_hop.port}) as node:
            send(node, PLAIN, "ann@home.test", ["bob@next.test"], ("MT-PRIORITY=9",))
            send(node, PLAIN, "ann@home.test", ["bob@next.test"], ("MT-PRIORITY=-2",))
            wait.until(lambda: len(next_hop.heard) == 2, "the mail arrives")
            node.logged("priority_given")
    said = {heard.commands[0].rsplit(" ", 1)[1] for heard in next_hop.heard}
    assert said == {"MT-PRIORITY=4", "MT-PRIORITY=-2"}
    assert any(b"\r\n\tpriority -2;" in heard.content for heard in next_hop.heard)


def server_tls(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    return context


def send_guarded(node: Node) -> None:
    """REQUIRETLS is for a session in TLS, whose client logged in."""
    context = ssl.create_default_context(cafile=node.certificates.ca)
    with smtplib.SMTP_SSL("localhost", node.ports["submissions"], "client.test",
                          context=context) as client:
        client.login(LOGIN, PASSWORD)
        client.sendmail(LOGIN, ["you@far.test"], PLAIN, ["REQUIRETLS"])


@pytest.mark.parametrize(("keywords", "tls", "sent"), [
    (("REQUIRETLS",), "known", True),
    (("REQUIRETLS",), "unknown", False),
    ((), "known", False),
    (("REQUIRETLS",), None, False),
], ids=["as it should be", "a certificate of nobody", "not offered", "in clear"])
def test_what_must_go_in_tls_goes_so_or_comes_back(tmp_path, keywords, tls, sent):
    """What comes back must go in TLS, too."""
    known, unknown = make(tmp_path / "known"), make(tmp_path / "unknown")
    context = server_tls({"known": known, "unknown": unknown}[tls]) if tls else None
    names = {("mx.posthorse.test", "A"): ["127.0.0.1"]}
    with Speaker(*keywords, tls=context) as far, DnsServer(names) as dns, \
            Speaker("REQUIRETLS", tls=server_tls(known)) as back:
        routes = [{"domain": domain, "next_hop": f"smtp:[mx.posthorse.test]:{port}"}
                  for domain, port in (("far.test", far.port), ("posthorse.test", back.port))]
        node = Node({"delivery": {"route": routes, "dns_servers": [dns.address]}})
        node.add_user()
        node.start(["env", f"SSL_CERT_FILE={known.ca}"])
        try:
            send_guarded(node)
            message = wait.until(lambda: far.heard + back.heard, "it arrives, or comes back")[0]
            mail = next(line for line in message.commands if line.startswith("MAIL"))
            assert mail.split()[-1] == "REQUIRETLS"
            assert len(far.heard) == (1 if sent else 0)
            assert sent or report_of(message.content)["Status"] == "5.7.30"
        finally:
            node.stop()
