"""Attacks in what follows DATA and BDAT: S1 to S3, S5, S7, S21, S22, S24, S27 to S29."""

import time
from itertools import product

from harness import wait

from attacks.rows import ALL, MX, shown, trial
from attacks.stage import LIMITS, Stage
from attacks.talker import Talker, wants

ENDS = (b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\r\n\n")
TRUE_END = (b"\r\n", b"\r\n")
# Two that differ from the true end in one octet, and are text.
HARMLESS = (b"\r\n. \r\n", b"\r\n..\r\n", b"\r\n .\r\n", b"\r\n.x\r\n")
HIDDEN = b"MAIL FROM:<root@sink.test>\r\nRCPT TO:<taker@sink.test>\r\nDATA\r\nhidden\r\n"
ERRORS_IN_SESSION = 15
SECONDS_MAX = 5


def look_alikes() -> list[bytes]:
    """Everything that some server takes for the end of data, and that is not."""
    return [before + b"." + after for before, after in product(ENDS, ENDS)
            if not ends_truly(before + b"." + after)] + [b"\r\n.\0\r\n", b"\0\r\n.\n", b"\n\n.\n\n"]


def ends_truly(octets: bytes) -> bool:
    return b"\r\n.\r\n" in octets


@trial("S1", ALL)
def ends_of_data(stage: Stage, door: str) -> int:
    for at in range(0, len(look_alikes()), ERRORS_IN_SESSION):
        with stage.talk(door).hello() as client:
            for fake in look_alikes()[at:at + ERRORS_IN_SESSION]:
                client.data()
                client.write(b"text" + fake + HIDDEN + b".\r\n")
                # The end that follows is the only one; nothing that was hidden is answered.
                wants(client.reply(), ("550 5.5.2", "554 5.6.0"), fake)
                client.expect("NOOP", "250")
    for harmless in HARMLESS:
        identity, message = stage.message(b"text" + harmless + b"more\r\n")
        wire = message if harmless == b"\r\n..\r\n" else message.replace(b"\r\n.", b"\r\n..")
        wants(stage.send(door, wire + b".\r\n"), "250", harmless)
        sent = message.replace(b"\r\n..\r\n", b"\r\n.\r\n")
        same(stage.arrived(identity), sent)
    return len(HARMLESS)


def same(arrived: bytes, sent: bytes) -> None:
    if arrived != sent:
        raise AssertionError(f"{sent[-200:]!r} arrived as {arrived[-200:]!r}")


@trial("S2", ALL)
def bare_ends_in_chunks(stage: Stage, door: str) -> int:
    with stage.talk(door).hello() as client:
        for text in (b"a: b\nc: d\r\n", b"a: b\rc: d\r\n", b"a: b\r\n\r\nbody\n", b"a\r", b"\n"):
            client.envelope()
            client.write(b"BDAT %d LAST\r\n%b" % (len(text), text))
            wants(client.reply(), "550 5.5.2", text)
        client.envelope()
        client.write(b"BDAT 2\r\na\rBDAT 2 LAST\r\n\nb")
        wants(client.reply(), "250", "half a line end")
        wants(client.reply(), "250", "the other half")  # together they are one
        for text in (b"Subject: one\nX-Injected: two\r\n\r\nbody\r\n", b"a\rb\r\n"):
            client.data()
            client.write(text + b".\r\n")
            wants(client.reply(), "550 5.5.2", text)
    return 1


@trial("S3", ALL)
def stuffing(stage: Stage, door: str) -> int:
    text = b".\r\n..\r\n...\r\n.x\r\nx.\r\n..x\r\n" + b".\r\n" * 50
    identity, message = stage.message(text)
    wire = message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    with stage.talk(door).hello().data() as client:
        for octet in wire:  # cut at every octet
            client.write(bytes([octet]))
        wants(client.reply(), "250")
    same(stage.arrived(identity), message)
    return 1


@trial("S5", ALL)
def long_lines(stage: Stage, door: str) -> int:
    identity, message = stage.message(b"x" * 200_000 + b"\r\n" + b"y" * 998 + b"\r\n")
    wants(stage.send(door, message + b".\r\n"), "250")
    same(stage.arrived(identity), message)
    return 1


@trial("S7", ALL)
def octets_that_are_no_text(stage: Stage, door: str) -> None:
    with stage.talk(door).hello() as client:
        for line in (b"NOOP \0", b"MAIL FROM:<a\0@b.test>", b"\x01\x02", b"VRFY \x7f", b"\x1b[31m"):
            wants(client.say(line), ("500", "501"), line)
        for text in (b"a\0b\r\n", b"\0" * 1000 + b"\r\n", b"Subject: \0\r\n\r\n"):
            client.data()
            client.write(text + b".\r\n")
            wants(client.reply(), "554 5.6.0", text)


@trial("S21", ALL)
def larger_than_allowed(stage: Stage, door: str) -> None:
    most = LIMITS["message_bytes_max"]
    with stage.talk(door).hello() as client:
        for size in (most + 1, 10 ** 18, 10 ** 19):
            client.expect(f"MAIL FROM:<{client.sender}> SIZE={size}", "552 5.3.4")
        client.data()
        client.write(b"a: b\r\n\r\n" + b"0123456789abcdef\r\n" * (most // 18 + 1) + b".\r\n")
        wants(client.reply(), "552 5.3.4", "a message that is too large as it is")
        client.expect("NOOP", "250")


@trial("S22", ALL)
def chunks(stage: Stage, door: str) -> int:
    with stage.talk(door).hello() as client:
        client.write(b"BDAT 12\r\nQUIT\r\nQUIT\r\n")
        wants(client.reply(), "503", "a chunk without a message")
        client.envelope()
        client.write(b"BDAT 4\r\na: bSTARTTLS\r\nRCPT TO:<b@sink.test>\r\nBDAT 6 LAST\r\nQUIT\r\n")
        for beginning in ("250", "503", "503", "250"):
            wants(client.reply(), beginning, "among chunks")
        client.envelope()
        client.expect("BDAT 0 LAST", "250")
        client.data()
        client.write(b"BDAT 3 LAST\r\n.\r\n")
        wants(client.reply(), "250", "BDAT inside DATA is text")
    for size in ("9223372036854775808", "-1", "abc", "007", "0x7", "1e3", "",
                 "99999999999999999999"):
        with stage.talk(door).hello().envelope() as client:
            client.write(f"BDAT {size}\r\nMAIL FROM:<evil@elsewhere.test>\r\n".encode())
            wants(client.reply(), "501 5.5.4", size)
            client.expect_end()
    with stage.talk(door).hello().envelope() as client:
        client.write(b"BDAT 1000000000 LAST\r\nhalf of it")  # and goes
    with stage.talk(door).hello().envelope() as client:
        client.write(b"BDAT 900000\r\n" + b"0123456789abcdef\r\n" * 50_000)
        wants(client.reply(), "250")
        client.write(b"BDAT 900000 LAST\r\n" + b"0123456789abcdef\r\n" * 50_000)
        wants(client.reply(), "552 5.3.4", "chunks that are too large together")
    octets_as_chunks(stage.talk(door).hello().envelope(), 1_000_000 if stage.full else 2000)
    return 3


def octets_as_chunks(client: Talker, count: int) -> None:
    with client:
        taken = 0
        while taken < count:
            client.write(b"BDAT 1\r\nx" * 100)
            answers = [client.reply() for _ in range(100)]
            taken += sum(answer.startswith("250") for answer in answers)
            if not answers[-1].startswith("250"):
                wants(next(one for one in answers if not one.startswith("250")), "421 4.7.0")
                return
        raise AssertionError(f"{count} chunks of an octet were taken")


@trial("S24", ALL)
def breaks(stage: Stage, door: str) -> int:
    before_end = (b"", b"Subject: half", b"Subject: a\r\n\r\ntext\r\n", b"a: b\r\n\r\ntext\r\n.",
                  b"a: b\r\n\r\ntext\r\n.\r")
    for text in before_end:
        with stage.talk(door).hello().data() as client:
            client.write(text)
        with stage.talk(door).hello().data() as client:
            client.write(text)
            client.reset()
        with stage.talk(door).hello().data() as client:
            client.write(text)
            client.end_writing()
            client.expect_end()
    with stage.talk(door).hello().data() as client:
        client.write(b"QUIT\r\n")  # is text
    with stage.talk(door).hello().data() as client:
        client.write(b"a: b\r\n\r\ntext\r\n.\r\nQUIT\r\n")
        wants(client.reply(), "250")
        wants(client.reply(), "221")
    return 1 + leaves_behind_the_dot(stage, door)


def leaves_behind_the_dot(stage: Stage, door: str) -> int:
    """Who leaves before he hears 250 has sent the message once, or not at all."""
    id_field = stage.message()[1]
    before = stage.main.metrics()["posthorse_messages_accepted_total"]
    with stage.talk(door).hello().data() as client:
        client.write(id_field + b".\r\n")
        client.reset()
    return settled(stage) - int(before)


def settled(stage: Stage) -> int:
    """How many were accepted, once nobody is there."""
    def count() -> int | None:
        metrics = stage.main.metrics()
        quiet = metrics["posthorse_smtp_sessions"] == 0
        return int(metrics["posthorse_messages_accepted_total"]) if quiet else None

    return wait.until(count, "every session is over")


@trial("S27", ALL)
def headers(stage: Stage, door: str) -> int:
    too_much = (b"X-Long: " + b"x" * LIMITS["header_bytes_max"] + b"\r\n\r\n",
                b"X: y\r\n" * 100_000 + b"\r\n")
    with stage.talk(door).hello() as client:
        for fields in too_much:
            client.data()
            client.write(fields + b"body\r\n.\r\n")
            wants(client.reply(), ("552 5.3.4", "554"), "a huge header")
    odd = (b"no colon at all\r\n\r\nbody\r\n",
           b"From: a@sink.test\r\nFrom: b@sink.test\r\n\r\nx\r\n",
           b"Subject: a\r\n \r\n \r\n\tb\r\n\r\nx\r\n", b": no name\r\n\r\nx\r\n",
           b" begins with a blank\r\n\r\nx\r\n", b"\r\nno header\r\n")
    accepted = 0
    with stage.talk(door).hello() as client:
        for text in odd:
            client.data()
            client.write(text + b".\r\n")
            answer = client.reply()
            wants(answer, ("250", "550", "554"), text)
            accepted += answer.startswith("250")
    if door == MX:  # what comes from outside is not altered
        return accepted + untouched(stage)
    return accepted


def untouched(stage: Stage) -> int:
    """A message that lacks Date, and has two From fields, arrives as it was."""
    identity = stage.message()[0]
    message = (f"Message-ID: <{identity}>\r\nFrom: a@sink.test\r\nFrom: b@sink.test\r\n"
               "Subject: a\r\n  \r\n b\r\n\r\nx\r\n").encode()
    wants(stage.send(MX, message + b".\r\n"), "250")
    same(stage.arrived(identity), message)
    return 1


@trial("S28", ALL)
def hops(stage: Stage, door: str) -> int:
    trace = b"Received: from a by b; Thu, 26 Nov 2026 07:00:00 +0000\r\n"
    wants(stage.send(door, trace * 100 + b"\r\nround\r\n.\r\n"), "554 5.4.6")
    wants(stage.send(door, trace * 10_000 + b"\r\nround\r\n.\r\n"), ("554", "552"))
    wants(stage.send(door, trace * 99 + b"\r\nround\r\n.\r\n"), "250")
    return 1


@trial("S29", ALL)
def bombs(stage: Stage, door: str) -> int:
    """Nothing here reads MIME: what it would cost is not paid."""
    nested = b"".join(b'--%d\r\nContent-Type: multipart/mixed; boundary="%d"\r\n\r\n' % (n, n + 1)
                      for n in range(10_000))
    bodies = ((b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="0"\r\n', nested),
              (b"Content-Type: multipart/mixed; boundary=" + b"b" * 200_000 + b"\r\n", b"--\r\n"),
              (b"Content-Type: message/rfc822\r\n",
               b"Content-Type: message/rfc822\r\n\r\n" * 10_000))
    for fields, body in bodies:
        identity, message = stage.message(body, fields)
        began = time.monotonic()
        wants(stage.send(door, message.replace(b"\r\n.", b"\r\n..") + b".\r\n"), "250")
        took = time.monotonic() - began
        if took > SECONDS_MAX:
            raise AssertionError(f"a message of {len(message)} octets took {took:.1f} s")
        same(stage.arrived(identity), message)
    return len(bodies)


shown("S1", "tests/dialog/smuggling.smtp", "tests/dialog/smuggling_in_commands.smtp",
      "tests/unit/proto/smtp/framing_test.cc: no look-alike ends the data")
shown("S21", "tests/unit/daemon/intake/intake_test.cc: a disk that is nearly full answers MAIL "
      "with 452, a failed one with 451")
shown("S24", "tests/dialog/chunks_cut.smtp",
      "tests/unit/daemon/intake/intake_test.cc: a client that leaves before the final dot leaves "
      "nothing behind")
