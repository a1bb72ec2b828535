"""The tools of `interop` and `bounces`, on servers in this process and on notices made by hand."""

import smtplib
import ssl

import pytest

from harness import bounce_readers, wait
from harness.clients import DoesNotSpeak, Submission, net_smtp, python_smtplib, swaks
from harness.sinks import Doors, Sink
from harness.speaker import Speaker
from harness.tap import Tap

LOGIN = ("ann@home.test", "secret")
NOTICE = """\
From: MAILER-DAEMON@mx.test
To: <ann@home.test>
Subject: Undelivered mail returned to sender
Date: Sun, 22 Nov 2026 02:00:00 +0000
Message-ID: <n1@mx.test>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="n1=_report"

--n1=_report
Content-Type: text/plain; charset=us-ascii

Your message could not be delivered to the recipients below.

<bob@there.test>
    550 5.1.1 no such user

--n1=_report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test

Final-Recipient: rfc822; bob@there.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--n1=_report
Content-Type: text/rfc822-headers; charset=us-ascii

From: ann@home.test
Message-ID: <one@home.test>

--n1=_report--
"""


def reading(*changes: tuple[str, str]) -> bounce_readers.Reading:
    text = NOTICE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    [one] = bounce_readers.read([text.replace("\n", "\r\n").encode()])
    return one


def test_a_tap_hides_what_a_server_offers_and_keeps_what_a_client_says():
    with Speaker("STARTTLS", "DSN", "SIZE 1000") as speaker, \
            Tap(speaker.port, ("STARTTLS", "SIZE")) as tap:
        with smtplib.SMTP("127.0.0.1", tap.port, "client.test") as client:
            client.ehlo()
            assert client.has_extn("dsn")
            assert not client.has_extn("starttls") and not client.has_extn("size")
            client.sendmail("ann@home.test", ["bob@there.test"], "Subject: hi\r\n\r\nhello\r\n")
        assert b"Subject: hi\r\n" in b"".join(tap.turns())
        assert speaker.heard[0].content == b"Subject: hi\r\n\r\nhello\r\n"
        assert tap.turns()[0].startswith(b"ehlo client.test")


def test_a_tap_forgets_and_ends_what_stands():
    with Speaker("STARTTLS") as speaker, Tap(speaker.port) as tap:
        client = smtplib.SMTP("127.0.0.1", tap.port, "client.test")
        client.ehlo()
        tap.forget(("STARTTLS",))
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
        assert tap.turns() == []
        with smtplib.SMTP("127.0.0.1", tap.port, "client.test") as again:
            again.ehlo()
            assert not again.has_extn("starttls")


def test_a_speaker_refuses_what_it_is_told_to():
    with Speaker("DSN", refuses={".": "554 5.7.1 no"}) as speaker:
        with smtplib.SMTP("127.0.0.1", speaker.port, "client.test") as client:
            with pytest.raises(smtplib.SMTPDataError):
                client.sendmail("ann@home.test", ["bob@there.test"], "hello\r\n")
        assert speaker.heard == []


def test_three_programs_read_a_good_notice():
    good = reading()
    assert good.permanent == {"bob@there.test"} and good.temporary == set()
    assert good.is_bounce and good.failures == {"bob@there.test": "5.1.1"}
    assert good.original == "<one@home.test>" and good.faults == []
    assert good.statuses == {"bob@there.test": "5.1.1"} and good.actions == {"failed"}


def test_a_delay_is_no_failure_to_them():
    late = reading(("Action: failed", "Action: delayed"), ("Status: 5", "Status: 4"))
    assert late.temporary == {"bob@there.test"} and late.permanent == set()
    assert not late.is_bounce and late.failures == {}


@pytest.mark.parametrize("change", [
    ("--n1=_report--\n", ""), ("report-type=delivery-status", "report-type=other"),
    ("Auto-Submitted: auto-replied\n", ""), ("multipart/report", "multipart/mixed"),
    ("Your message", "Deine schöne Nachricht"), ("Your message", "x" * 999)])
def test_faults_of_a_notice_are_found(change):
    assert reading(change).faults


@pytest.mark.parametrize("client", [swaks, python_smtplib, net_smtp])
def test_a_wrong_password_is_no_unknown_mechanism(client, certs):
    """Debian's aiosmtpd offers PLAIN and LOGIN."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certs.chain, certs.key)
    with Sink(doors=Doors(tls=context, login=LOGIN)) as sink:
        def job(password: str, mechanism: str) -> Submission:
            return Submission(sink.port, False, certs.ca, LOGIN[0], password, LOGIN[0],
                              "bob@there.test", b"Subject: hi\r\n\r\nhello\r\n", mechanism)

        client(job("secret", "PLAIN"))
        wait.until(lambda: sink.received, "the mail arrives")
        with pytest.raises(AssertionError, match="535") as refused:
            client(job("wrong", "PLAIN"))
        assert not isinstance(refused.value, DoesNotSpeak)
        with pytest.raises(DoesNotSpeak):
            client(job("secret", "SCRAM-SHA-256"))
