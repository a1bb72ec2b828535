"""Crowd and recording sink, tried on each other: what one says it sent, the other says it took."""

import select
import smtplib
import socket

import pytest

from harness import wait
from harness.crowd import Crowd, Habits
from harness.mail_pool import notices_in, partition_of
from harness.recording_sink import Mode, RecordingSink, fingerprint, queue_id_of

RECEIVED = (b"Received: from client.test ([10.0.0.1])\r\n\tby n1.test (Posthorse)\r\n"
            b"\twith ESMTP\r\n\tid 01M8ADN6V1000004R0000G0000;\r\n"
            b"\tWed, 25 Nov 2026 22:36:40 +0000\r\n")
CONTENT = b"Subject: a horse\r\nMessage-ID: <1@load.test>\r\n\r\n..\r\nid 01\r\n"


def send(sink: RecordingSink, habits: Habits = Habits(), messages: int = 40):
    return Crowd([(sink.host, sink.port)], habits).run(messages)


def test_what_is_sent_arrives_as_it_was():
    with RecordingSink() as sink:
        sent = send(sink)
        copies = sink.copies()
    assert len(sent) == 40 and all(one.taken for one in sent)
    assert {one.message_id for one in sent} == set(copies)
    assert {len(one.recipients) for one in sent} == {1, 3}
    assert {one.sender for one in sent} == {"", "load@box.test"}
    for one in sent:
        [copy] = copies[one.message_id]
        assert (copy.sha256, copy.sender, copy.recipients) == (one.sha256, one.sender,
                                                               one.recipients)
        assert one.began < copy.dot < one.replied and copy.peer == "127.0.0.1"
    assert len({recipient for one in sent for recipient in one.recipients}) == sum(
        len(one.recipients) for one in sent)


@pytest.mark.parametrize("mode, reply", [("defer", "421 4.3.2"), ("bounce", "550 5.1.1"),
                                         ("greylist", "450 4.7.1")])
def test_refusals_of_recipients(mode, reply):
    with RecordingSink(mode=mode) as sink:
        with smtplib.SMTP(sink.host, sink.port) as client:
            client.helo()
            client.mail("me@box.test")
            assert client.rcpt("you@sink.test")[0] == int(reply[:3])
            client.rset()
        [attempt] = wait.until(sink.attempts, "it is recorded")
    [(recipient, said)] = attempt.refused
    assert recipient == "you@sink.test" and said.startswith(reply) and not attempt.arrived


def test_what_is_refused_for_good_is_given_up():
    with RecordingSink(mode="bounce") as sink:
        assert [one.reply[:3] for one in send(sink, messages=4)] == ["550"] * 4


def test_who_is_grey_is_taken_later():
    with RecordingSink(mode=Mode(grey_s=0.3)) as sink:
        sent = send(sink, Habits(sessions=2), 3)
    assert all(one.reply.startswith("450") and one.dot is None for one in sent[:2])
    assert len({one.message_id for one in sent if one.taken}) == 3
    assert all(len(copies) == 1 for copies in sink.copies().values())


def test_a_refusal_after_the_data():
    with RecordingSink(mode="defer_data") as sink:
        sent = send(sink, Habits(sends_again=0), 5)
        assert [one.reply[:3] for one in sent] == ["451"] * 5
        assert not sink.copies() and len(sink.attempts()) == 5


def test_replies_that_are_lost():
    with RecordingSink(mode="reply_lost") as sink:
        sent = send(sink, Habits(sends_again=0), 10)
        assert len(sent) == 10 and all(one.unknown for one in sent)
        assert all(copy.withheld and copy.arrived for [copy] in sink.copies().values())
    with RecordingSink(mode=Mode(lost=0.5)) as sink:
        sent = send(sink, Habits(sends_again=1), 20)
        assert len({one.message_id for one in sent if one.taken}) == 20 < len(sent)
        assert len(sink.attempts()) == len(sent)


def test_a_late_reply():
    with RecordingSink(mode=Mode(delay_s=(0.2, 0.3))) as sink:
        sent = send(sink, messages=8)
        assert all(one.replied - one.dot >= 0.2 for one in sent)
        assert all(one.ended - one.dot >= 0.2 for one in sink.attempts())


def begin(sink: RecordingSink) -> socket.socket:
    """A client that is in the middle of a message."""
    client = socket.create_connection((sink.host, sink.port), timeout=10)
    file = client.makefile("rb")
    for line in (b"", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n", b"DATA\r\n"):
        client.sendall(line)
        assert file.readline()[:1] in b"23"
    return client


def test_a_client_that_leaves_before_the_reply():
    with RecordingSink(mode=Mode(delay_s=(60, 60))) as sink:
        client = begin(sink)
        client.sendall(CONTENT + b".\r\n")
        [standing] = wait.until(lambda: [one for one in sink.attempts() if one.arrived], "taken")
        assert standing.message_id == "1@load.test"
        client.shutdown(socket.SHUT_RDWR)
        wait.until(lambda: not sink.standing, "its end is seen")
        [attempt] = sink.attempts()
    assert attempt.arrived and not attempt.reply and not attempt.withheld


def test_a_client_that_leaves_in_the_middle():
    with RecordingSink() as sink:
        begin(sink).shutdown(socket.SHUT_RDWR)
        wait.until(lambda: sink.attempts() and not sink.standing, "its end is seen")
        [attempt] = sink.attempts()
    assert attempt.dot is None and attempt.recipients == ("c@d.test",)


def test_a_window_that_is_closed():
    with RecordingSink(mode="zero_window", small_window=True) as sink:
        client = begin(sink)
        client.setblocking(False)
        sent = 0
        while select.select([], [client], [], 0.5)[1]:
            sent += client.send(b"no horse passes here\r\n" * 1000)
        assert sent and not sink.copies()
        sink.resume()
        client.setblocking(True)
        client.sendall(b"\r\n.\r\n")
        wait.until(sink.copies, "it is read on")


def test_fingerprints_leave_out_what_a_server_adds():
    assert fingerprint(RECEIVED + CONTENT) == fingerprint(CONTENT)
    assert fingerprint(RECEIVED + RECEIVED + CONTENT) == fingerprint(CONTENT)
    assert fingerprint(CONTENT + b"\r\n") != fingerprint(CONTENT)
    assert fingerprint(b"X-Added: 1\r\n" + CONTENT) != fingerprint(CONTENT)
    assert queue_id_of(RECEIVED + CONTENT) == "01M8ADN6V1000004R0000G0000"
    assert queue_id_of(CONTENT) == ""


BOUNCE = """\
Message-ID: <q.0.failed@n1.test>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; n1.test

Final-Recipient: rfc822; c@d.test
Action: failed

Final-Recipient: rfc822; e@d.test
Action: delayed

--b
Content-Type: text/rfc822-headers

Message-ID: <1@load.test>

--b--
"""


def test_bounces_are_read():
    with RecordingSink(keep_content=True) as sink:
        client = begin(sink)
        client.sendall(BOUNCE.replace("\n", "\r\n").encode() + b".\r\n")
        wait.until(sink.copies, "it arrives")
        [notice] = notices_in(sink)
    assert (notice.about, notice.recipients) == ("1@load.test", ("c@d.test",))


def test_a_queue_id_names_its_partition():
    assert partition_of("01M80MGT5G000000G0000G0000") == 2
    assert partition_of("01M8ADN6WX00000180000G0007") == 5
    assert partition_of("01M8ADN6WXZZZZZZZZZZZZZZZZ") == 0xFFFF_FFFF
