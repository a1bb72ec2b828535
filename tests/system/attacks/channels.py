"""Attacks on TLS: S11, S12."""

import socket
import ssl
import subprocess
import time

from harness import wait

from attacks.commands import closed_without_a_reply
from attacks.rows import LOGINS, MX, SUBMISSION, SUBMISSIONS, shown, trial
from attacks.stage import Stage
from attacks.talker import Talker, plain, unverified, wants

UNDER_TLS = (MX, SUBMISSION, SUBMISSIONS)
CLIENT_HELLO_HALF = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)
GARBAGE = (b"\x16\x03\x01\xff\xff" + bytes(600), b"\x17\x03\x03\x00\x20" + bytes(32),
           b"\x15\x03\x03\x00\x02\x02\x28", bytes(range(256)) * 8, b"\x16\x03\x01\x00\x00" * 50)


@trial("S11", (MX, SUBMISSION))
def injected(stage: Stage, door: str) -> None:
    with stage.talk(door) as client:
        client.expect("EHLO plain.test", "250")
        client.expect("STARTTLS now", "501")
        client.write(b"STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@sink.test>\r\n")
        wants(client.reply(), "220", "STARTTLS")
        client.start_tls()
        # Neither a reply to what was injected, nor what was said in clear, is left.
        client.expect("NOOP", "250 2.0.0")
        client.expect("MAIL FROM:<a@sink.test>", "503")
        client.expect("EHLO client.test", "250")
        client.expect("STARTTLS", "503")
    if door == MX:
        with stage.talk(door).hello() as client:
            client.envelope()
            client.expect("STARTTLS", "220")
            client.start_tls()
            client.expect("DATA", "503")
            client.expect("RCPT TO:<taker@sink.test>", "503")
        with stage.talk(door).hello().envelope() as client:
            client.write(b"BDAT 4\r\na: bSTARTTLS\r\n")
            wants(client.reply(), "250")
            wants(client.reply(), "503", "STARTTLS in the middle of chunks")


@trial("S11", (SUBMISSIONS,))
def twice(stage: Stage, door: str) -> None:
    with stage.talk(door) as client:
        client.expect("EHLO client.test", "250")
        client.expect("STARTTLS", "503")
        client.expect("AUTH PLAIN " + plain(), "235")


def at_handshake(stage: Stage, door: str, hasty: bool = False) -> Talker:
    """A client whose next octet belongs to TLS."""
    node = stage.hasty if hasty else stage.main
    client = Talker(node, door, greet=door != SUBMISSIONS)
    if door != SUBMISSIONS:
        client.expect("EHLO client.test", "250")
        client.expect("STARTTLS", "220")
    return client


def refused(client: Talker, context: ssl.SSLContext) -> str:
    """Why the server ends a handshake."""
    with client:
        try:
            client.start_tls(context)
        except (ssl.SSLError, ConnectionResetError) as error:
            return str(error)
    raise AssertionError("the handshake went through")


@trial("S12", UNDER_TLS)
def old_versions(stage: Stage, door: str) -> None:
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = unverified()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        why = refused(at_handshake(stage, door), context)
        if "alert" not in why.lower():
            raise AssertionError(f"it is not the server that refused {version.name}: {why}")


@trial("S12", UNDER_TLS)
def other_applications(stage: Stage, door: str) -> None:
    context = unverified()
    context.set_alpn_protocols(["h2", "http/1.1"])
    refused(at_handshake(stage, door), context)
    context = unverified()
    context.set_alpn_protocols(["http/1.1", "smtp"])
    with at_handshake(stage, door) as client:
        client.start_tls(context)
        if client.socket.selected_alpn_protocol() != "smtp":
            raise AssertionError("smtp was not chosen")


@trial("S12", UNDER_TLS)
def renegotiation(stage: Stage, door: str) -> None:
    starttls = [] if door == SUBMISSIONS else ["-starttls", "smtp"]
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{stage.main.ports[door]}", "-tls1_2",
         *starttls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with client:
        heard = []  # up to the greeting, or what came before STARTTLS: nothing is under way then
        while line := client.stdout.readline():
            heard.append(line)
            if line.startswith((b"220 ", b"250 ")):
                break
        said = b"".join(heard) + client.communicate(b"R\n" * 3, timeout=30)[0]
    if b"RENEGOTIATING" not in said or b"no renegotiation" not in said:
        raise AssertionError(f"renegotiation was not refused: {said[-600:]!r}")


@trial("S12", UNDER_TLS)
def garbage(stage: Stage, door: str) -> None:
    for octets in GARBAGE:
        with at_handshake(stage, door) as client:
            client.write(octets)
            client.end_writing()
            closed_without_a_reply(client)
    with at_handshake(stage, door) as client:  # a record that cannot be decrypted, later
        client.start_tls()
        with below(client) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
            while raw.recv(4096):
                pass


def below(client: Talker) -> socket.socket:
    """The connection that carries a client's TLS; the client is of no use any more."""
    raw = socket.socket(fileno=client.socket.detach())
    raw.settimeout(30)
    return raw


@trial("S12", UNDER_TLS)
def stalled(stage: Stage, door: str) -> None:
    for octets in (b"", CLIENT_HELLO_HALF):
        with at_handshake(stage, door, hasty=True) as client:
            client.write(octets)
            began = time.monotonic()
            closed_without_a_reply(client)
            if time.monotonic() - began > 10:
                raise AssertionError("a handshake that stalls has more than its time")


@trial("S12", LOGINS)
def cut_in_data(stage: Stage, door: str) -> None:
    """The connection below TLS ends, without close_notify: what came is no message."""
    for text in (b"a: b\r\n\r\nhalf", b"a: b\r\n\r\nhalf\r\n.\r"):
        client = stage.talk(door).hello().data()
        client.write(text)
        with below(client) as raw:
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
    wait.until(lambda: stage.main.metrics()["posthorse_smtp_sessions"] == 0, "sessions are over")


shown("S11", "tests/dialog/starttls.smtp")
shown("S12", "tests/system/proofs/tls.py::testssl", "tests/system/proofs/tls.py::sslscan",
      "tests/unit/daemon/runtime/stream_test.cc: ")
