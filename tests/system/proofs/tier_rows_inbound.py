"""Rows of the MX tier, walked on two nodes from deploy/inbound."""

import contextlib
import select
import socket
import time

from harness import wait
from proofs import tier_rows as common
from proofs.figures import require
from proofs.tier_rows import Row, Side, expect

MAIL = ("Date: Thu, 26 Nov 2026 07:00:00 +0000\r\nMessage-ID: <{0}@elsewhere.test>\r\n"
        "From: cat@elsewhere.test\r\nSubject: {0}\r\n\r\nhello\r\n")
KNOWN = "ann@mail.example.org"
IMAP = ("imap.internal.example.org", "A")


def send(side: Side, name: str, recipient: str = KNOWN) -> None:
    with side.client("mx") as client:
        client.sendmail("cat@elsewhere.test", [recipient], MAIL.format(name))


def waits(side: Side, count: int, said: str) -> None:
    """So many messages are deferred, the newest for this reason."""
    wait.until(lambda: len(side.nodes[0].queue("--state", "deferred")) == count, "they wait", 40)
    listed = side.nodes[1].by_name("mailq").stdout
    require(said in listed, f"no {said!r} in\n{listed}")


def greeting(side: Side) -> str:
    began = time.monotonic()
    with side.client("mx") as client:
        took = time.monotonic() - began
        client.ehlo()
        features = client.esmtp_features
    require(took >= 5 and "starttls" in features and "auth" not in features,
            f"after {took:.1f} s {sorted(features)}")
    node = side.nodes[0]
    with socket.create_connection((node.address, 25), 20, side.source()) as early:
        early.sendall(b"EHLO robot\r\n")
        answer = early.recv(1000).decode()
    require(answer.startswith("554 5.5.0"), f"who speaks first hears {answer!r}")
    return f"25 with STARTTLS and without AUTH; greeted after {took:.1f} s, who speaks before: 554"


def recipients(side: Side) -> str:
    wanted = {KNOWN: 250, "ANN@Mail.Example.org": 250, "list@mail.example.org": 450,
              "nobody@mail.example.org": 550, "ann@other.example.org": 550,
              "you@elsewhere.test": 550}
    with side.client("mx") as client:
        client.ehlo()
        client.mail("cat@elsewhere.test")
        heard = {recipient: client.rcpt(recipient)[0] for recipient in wanted}
    require(heard == wanted, f"{heard}")
    return "the access map's rows: RELAY 250, REJECT 550, a reply as written; others 550 at RCPT"


def internal_host(side: Side) -> str:
    """One after another: its name is gone, nobody listens, and it is back."""
    addresses = side.world.zone.records.pop(IMAP)
    send(side, "no-name")
    waits(side, 1, "does not exist")
    side.world.zone.records[IMAP] = addresses
    send(side, "refused")
    waits(side, 2, "onnection refused")
    with side.box() as box:
        side.nodes[1].by_name("sendmail", "-q")
        wait.until(lambda: len(box.heard) == 2, "both are in the mailbox", 40)
        wait.until(lambda: not side.nodes[0].queue(), "the queue is empty", 20)
    return "LMTP to one host; NXDOMAIN and refused: waits; back, and by `sendmail -q`: delivered"


def sessions(side: Side) -> str:
    node = side.nodes[0]
    client, another = side.source(), side.source()

    def connect(source: tuple[str, int]) -> socket.socket:
        return socket.create_connection((node.address, 25), 20, source)

    def has(count: int) -> bool:
        return node.metrics()["posthorse_smtp_sessions"] == count

    with contextlib.ExitStack() as kept:
        for _ in range(20):
            kept.enter_context(connect(client))
        wait.until(lambda: has(20), "20 sessions", 20)
        answers = [kept.enter_context(connect(client)).recv(100).decode()[:9] for _ in range(5)]
        lines = node.logged("sessions_refused").count("sessions_refused")
        require(answers == ["421 4.7.0"] * 5 and lines == 1, f"{answers}, {lines} lines in the log")
        last = [kept.enter_context(connect(another)) for _ in range(20)][-1]
        wait.until(lambda: has(40), "40 sessions", 20)
        waiting = kept.enter_context(connect(side.source()))
        require(not select.select([waiting], [], [], 7)[0], "the 41st is answered")
        last.close()
        waiting.settimeout(20)
        require(waiting.recv(100).startswith(b"220"), "the 41st is not greeted after another left")
    wait.until(lambda: has(0), "they are gone", 20)
    return "40 sessions, the 41st waits; of 20 of one client on: 421, one line in 3 h in the log"


def limits(side: Side) -> str:
    return expect(side, {"listener.0.sessions_max": "40", "intake.sessions_per_client_max": "20",
                         "limits.client_connections_per_second": "5",
                         "listener.0.greet_pause": "5s"})


def reloaded(side: Side) -> str:
    access = side.tier.map("access")
    text = access.read_text()
    with side.client("mx") as client:
        client.ehlo()
        client.mail("cat@elsewhere.test")
        before = client.rcpt("carol@mail.example.org")[0]
        access.write_text("spam nonsense\nTo:carol@mail.example.org RELAY\n" + text)
        side.nodes[0].reload()
        place = f"{access}:1:"
        wait.until(lambda: place in side.nodes[0].log.read_text(), "the reload names the row")
        after = client.rcpt("carol@mail.example.org")[0]
    access.write_text(text)
    require((before, after) == (550, 250), f"{before}, then {after}")
    return "in one session 550 before, 250 after; the bad row skipped with file and line"


def certificate(side: Side) -> str:
    return common.new_certificate(side, "mx")


def memory(side: Side) -> str:
    return common.peak(side, 512)


ROWS = [
    Row("inbound", "25 with STARTTLS, no AUTH; greet pause 5 s", greeting),
    Row("both", "message size 52,428,800", common.size),
    Row("both", "privacy: no EXPN, VRFY 252, HELO first, queue for operators", common.privacy),
    Row("both", "TLS from the environment", common.tls),
    Row("both", "discovery by DNS A records, no fixed identity", common.pool_by_dns),
    Row("both", "client timeouts", common.client_times),
    Row("both", "4 h, 4 d, cadence 15 m, stop 110 s", common.queue_numbers),
    Row("inbound", "the numbers of sessions and connections", limits),
    Row("inbound", "recipient map, relay domains, no catch-all, refused at RCPT", recipients),
    Row("inbound", "one internal host, which is only ever away", internal_host),
    Row("both", "a map's malformed row is skipped; reload drops no session", reloaded),
    Row("both", "40 sessions; repeated rejects are logged once in 3 h", sessions),
    Row("both", "a new certificate without a dropped session", certificate),
    Row("inbound", "memory below 512 MB", memory),
    Row("both", "log compatibility", common.log_lines),
    Row("inbound", "TCP probes are no errors", common.probes),
    Row("both", "a stop within 110 s", common.stop),
]
