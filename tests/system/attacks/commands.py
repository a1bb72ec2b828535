"""Attacks in commands: S4, S6, S8 to S10, S18, S19, S23, S25, S26, S30 to S33."""

import threading

from attacks.rows import ALL, LOGINS, MX, SUBMISSION, SUBMISSIONS, TRUSTED, shown, trial
from attacks.stage import Stage
from attacks.talker import TAKER, Talker, wants

FORMS_OF_RELAY = (
    "dave@other.test", "dave%other.test@sink.test@other.test", "@sink.test:dave@other.test",
    '"dave@other.test"', '"x@sink.test"@other.test', "dave@[192.0.2.1]", "dave@[127.0.0.1]",
    "dave@other.test@sink.test", "sink.test!dave@other.test", "dave@sink.test.other.test",
    "dave@other.test.", "dave@sinK.tesT.other.test", "@other.test:dave@other.test",
    "dave@[IPv6:2001:db8::1]", "dave@other.test%", "dave@127.0.0.1")


@trial("S4", ALL)
def long_command_lines(stage: Stage, door: str) -> None:
    with stage.talk(door).hello() as client:
        client.expect("NOOP " + "x" * 507, "250")
        client.expect("NOOP " + "x" * 3000, "500 5.5.2")
        client.expect(b"y" * 1_000_000, "500 5.5.2")
        client.expect("NOOP", "250")
    if door in LOGINS:
        with stage.talk(door) as client:
            client.expect("EHLO client.test", "250")
            if door == SUBMISSION:
                client.secure()
            client.expect("AUTH PLAIN " + "QUFB" * 2900, ("535", "501"))
            client.expect("AUTH PLAIN " + "QUFB" * 4000, "500 5.5.6")
            client.expect("NOOP", "250")


@trial("S6", ALL)
def long_addresses(stage: Stage, door: str) -> None:
    with stage.talk(door).hello() as client:
        for address in ("l" * 65 + "@elsewhere.test", "a@" + ".".join(["d" * 63] * 4) + ".d",
                        "l" * 64 + "@" + ".".join(["d" * 63] * 3), "a@" + "d" * 64 + ".test"):
            client.expect(f"MAIL FROM:<{address}>", ("501 5.1.7", "553", "250"))
            client.expect("RSET", "250")
        client.expect(f"MAIL FROM:<{'l' * 65}@elsewhere.test>", "501 5.1.7")
        client.expect(f"MAIL FROM:<{client.sender}>", "250")
        for address in ("l" * 65 + "@sink.test", "a@" + "d." * 130 + "test"):
            client.expect(f"RCPT TO:<{address}>", "501 5.1.3")
        client.expect(f"RCPT TO:<{'l' * 64}@sink.test>", "250")


@trial("S8", ALL)
def not_ascii(stage: Stage, door: str) -> None:
    with stage.talk(door).hello() as client:
        client.expect("MAIL FROM:<b\u00f6b@elsewhere.test>".encode(), "553 5.6.7")
        for octets in (b"b\xff", b"b\xc0\xaf", b"b\xed\xa0\x80", b"b\xf4\x90\x80\x80", b"b\xc3"):
            wants(client.say(b"MAIL FROM:<" + octets + b"@elsewhere.test> SMTPUTF8"), "501", octets)
        client.expect(f"MAIL FROM:<{client.sender}>", "250")
        client.expect("RCPT TO:<c\u00e4rol@sink.test>".encode(), "553 5.6.7")
        client.expect(b"RCPT TO:<c\xe4rol@sink.test>", "501")


@trial("S9", (MX, SUBMISSION), hasty=True)
def early(stage: Stage, door: str) -> None:
    with Talker(stage.hasty, door, greet=False) as client:
        client.write(b"EHLO robot.test\r\nMAIL FROM:<spam@elsewhere.test>\r\n")
        wants(client.reply(), "554 5.5.0", "words before the greeting")
        client.expect_end()


@trial("S10", ALL)
def out_of_turn(stage: Stage, door: str) -> int:
    with stage.talk(door) as client:
        client.write(b"EHLO robot.test\r\nMAIL FROM:<spam@elsewhere.test>\r\n")
        wants(client.reply(), "250", "EHLO")
        wants(client.reply(), "554 5.5.0", "MAIL in the write of EHLO")
        client.expect_end()
    with stage.talk(door).hello().envelope() as client:
        client.write(b"DATA\r\na: b\r\n\r\nblind\r\n.\r\n")
        wants(client.reply(), "354", "DATA")
        wants(client.reply(), "554 5.5.0", "text in the write of DATA")
        client.expect_end()
    with stage.talk(door).hello() as client:
        client.write(f"MAIL FROM:<{client.sender}>\r\nRCPT TO:<{TAKER}>\r\nRCPT TO:<>\r\nNOOP\r\n"
                     "DATA\r\n".encode())
        for beginning in ("250 2.1.0", "250 2.1.5", "501", "250", "354"):
            wants(client.reply(), beginning, "a group")
        client.write(b"a: b\r\n\r\ntext\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n")
        for beginning in ("250", "250", "250", "221"):
            wants(client.reply(), beginning, "a group behind the dot")
    return 1


@trial("S18", (MX,))
def relays(stage: Stage, door: str) -> None:
    for at in range(0, len(FORMS_OF_RELAY), 8):
        with stage.talk(door).hello() as client:
            client.expect("MAIL FROM:<spam@sink.test>", "250")
            for form in FORMS_OF_RELAY[at:at + 8]:
                wants(client.say(f"RCPT TO:<{form}>"), ("550 5.7.1", "501 5.1.3", "554"), form)
            client.expect("DATA", "554")
    for form in FORMS_OF_RELAY[:4]:
        for sender in ("", "postmaster@sink.test", "x@[127.0.0.1]"):
            with stage.talk(door).hello() as client:
                client.expect(f"MAIL FROM:<{sender}>", "250")
                wants(client.say(f"RCPT TO:{form}"), ("501", "550"), form)
                wants(client.say(f"RCPT TO:<{form}>"), ("501", "550"), form)


@trial("S18", LOGINS)
def relays_without_login(stage: Stage, door: str) -> None:
    with stage.talk(door) as client:
        client.expect("EHLO client.test", "250")
        client.expect("MAIL FROM:<spam@sink.test>", "530 5.7.0")
        client.expect("RCPT TO:<dave@other.test>", "503")


@trial("S19", ALL)
def recipients(stage: Stage, door: str) -> int:
    with stage.talk(door).hello() as client:
        client.expect(f"MAIL FROM:<{client.sender}>", "250")
        counts = {"250": 0, "452": 0, "421": 0}
        for _ in range(1000 if stage.full else 30):
            client.write(f"RCPT TO:<{TAKER}>\r\n".encode() * 100)
            for _ in range(100):
                code = client.reply()[:3]
                if not code:
                    break
                counts[code] += 1
            if counts["421"]:
                break
        if counts["250"] != 1000 or not 1000 <= counts["452"] <= 1100 or counts["421"] != 1:
            raise AssertionError(f"replies to recipients: {counts}")
    wrong = "nobody@other.test" if door == MX else "not an address"
    with stage.talk(door).hello() as client:
        client.expect(f"MAIL FROM:<{client.sender}>", "250")
        refuses_in_the_end(client, f"RCPT TO:<{wrong}>", 25)
    return 0


def refuses_in_the_end(client: Talker, line: str, most: int) -> None:
    """Says a line again and again, until the server has enough."""
    for _ in range(most):
        answer = client.say(line)
        if answer.startswith("421 4.7.0"):
            return client.expect_end()
    raise AssertionError(f"{most} times {line!r} were answered, at last with {answer!r}")


@trial("S23", ALL)
def commands_for_ever(stage: Stage, door: str) -> None:
    for line in ("NOOP", "RSET", "VRFY a", "EXPN a", "HELP", "EHLO client.test"):
        with stage.talk(door).hello() as client:
            refuses_in_the_end(client, line, 110)
    with stage.talk(door).hello() as client:
        refuses_in_the_end(client, "WHATEVER", 25)


@trial("S23", (MX, SUBMISSION, TRUSTED))
def commands_without_listening(stage: Stage, door: str) -> None:
    with stage.talk(door) as client:
        flood = threading.Thread(target=client.write, args=(
            b"NONSENSE\r\n" * (1_000_000 if stage.full else 20_000),))
        flood.start()
        last = answer = client.reply()
        while answer:
            last, answer = answer, client.reply()
        flood.join(30)
        wants(last, "421 4.7.0", "a flood")


@trial("S25", ALL)
def order(stage: Stage, door: str) -> None:
    with stage.talk(door) as client:
        client.expect("MAIL FROM:<a@sink.test>", "503")
        client.expect("DATA", "503")
    with stage.talk(door).hello() as client:
        address = client.sender
        for line, beginning in ((f"RCPT TO:<{TAKER}>", "503"), ("DATA", "503"), ("DATA x", "501"),
                                (f"MAIL FROM:<{address}> SIZE=1 SIZE=2", "501 5.5.4"),
                                (f"MAIL FROM:<{address}> foo", "555 5.5.4"),
                                (f"MAIL FROM:<{address}> BODY=BINARYMIME", ("501", "555")),
                                (f"MAIL FROM: <{address}>", "501"), (f"MAIL <{address}>", "501"),
                                (f"MAIL FROM:<{address}", "501"), ("MAIL", "501"),
                                (f"MAIL FROM:<{address}>", "250"),
                                (f"MAIL FROM:<{address}>", "503"),
                                (f"RCPT TO:<{TAKER}> foo=bar", "555 5.5.4"),
                                ("DATA", "554")):
            wants(client.say(line), beginning, line)


@trial("S26", (MX, TRUSTED))
def must_be_taken(stage: Stage, door: str) -> int:
    with stage.talk(door) as client:
        client.expect("ehlo client.test", "250")
        client.expect("mAiL fRoM:<>", "250")
        client.expect("rCpT tO:<POSTMASTER>", "250")
        client.expect("RCPT TO:<postmaster@node.posthorse.test>", "250")
        client.expect("RSET", "250")
        client.expect("MAIL FROM:<>", "250")
        client.expect(f"RCPT TO:<{TAKER}>", "250")
        client.expect("dAtA", "354")
        client.expect("a: b\r\n\r\nx\r\n.", "250")
    return 1


@trial("S26", LOGINS)
def verbs_in_any_case(stage: Stage, door: str) -> None:
    with stage.talk(door).hello() as client:
        client.expect(f"mAiL fRoM:<{client.sender}>", "250")
        client.expect("rCpT tO:<POSTMASTER>", "250")
        client.expect("dAtA x", "501")


@trial("S30", ALL)
def notices(stage: Stage, door: str) -> None:
    with stage.talk(door).hello() as client:
        for parameter in ("ENVID=a+0D+0AX-Evil:+20yes", "ENVID=a+2", "ENVID=a+zz", "RET=ALL",
                          "ENVID=" + "x" * 101, "ENVID="):
            client.expect(f"MAIL FROM:<{client.sender}> {parameter}", "501 5.5.4")
    with stage.talk(door).hello() as client:
        client.expect(f"MAIL FROM:<{client.sender}>", "250")
        for parameter in ("NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY=ALWAYS",
                          "ORCPT=rfc822;a+0D+0A",
                          "ORCPT=rfc822;" + "x" * 501, "ORCPT=a@b", "ORCPT=rfc822;a+zz"):
            client.expect(f"RCPT TO:<{TAKER}> {parameter}", "501 5.5.4")


@trial("S31", ALL)
def names(stage: Stage, door: str) -> None:
    with stage.talk(door) as client:
        for number, name in enumerate((
                b"", b"two words", b"evil(comment", b"<script>", b"\x1b[31mred", b"\xe4.test",
                b"a;b", b"a\\b", b'"a"', b"x" * 300, b"a\tb", b"\0")):
            verb = b"EHLO " if number % 2 else b"HELO "  # they are judged by one function
            wants(client.say(verb + name), ("500", "501"), name)
        client.expect("MAIL FROM:<a@sink.test>", "503")


@trial("S32", (MX, SUBMISSION))
def other_protocols(stage: Stage, door: str) -> None:
    for octets in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n\r\nEHLO x\r\n",
                   b"PUT / HTTP/1.1\r\n\r\n", b"CONNECT x:25 HTTP/1.1\r\n\r\n",
                   b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)):
        with stage.talk(door) as client:
            client.write(octets)
            wants(client.reply(), ("421", "500"), octets[:10])
            client.expect_end()


@trial("S32", (SUBMISSIONS,))
def clear_text_where_tls_is(stage: Stage, door: str) -> None:
    for octets in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"EHLO client.test\r\n"):
        with stage.talk(door, greet=False) as client:
            client.write(octets)
            closed_without_a_reply(client)


def closed_without_a_reply(client: Talker) -> None:
    said = b""
    while octets := receive(client):
        said += octets
    if said[:1] not in (b"", b"\x15"):  # an alert of TLS
        raise AssertionError(f"clear text was answered {said!r}")


def receive(client: Talker) -> bytes:
    try:
        return client.socket.recv(4096)
    except ConnectionResetError:
        return b""


shown("S4", "tests/dialog/long_lines.smtp", "tests/dialog/auth_long_lines.smtp")
shown("S9", "tests/unit/daemon/intake/doorstep_test.cc: who speaks before the greeting hears 554 "
      "and is cut off; who waits is served")
shown("S30", "tests/unit/proto/mail/dsn_test.cc: nothing hostile comes through")
shown("S31", "tests/unit/proto/mail/header_test.cc: nothing that a client says forges a Received "
      "field")
