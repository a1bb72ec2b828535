"""Attacks by the servers that a node delivers to: C1 to C9, C14, C15.

All cases go at once, each to a domain of its own; each is then judged by its line in the log, by
what its server heard, and by the notice that its sender got or did not get.
"""

import re
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import wait
from harness.node import Node, merged, routes_to
from harness.recording_sink import RecordingSink

from attacks.hostile import Hostile, close, dribble, endless, hang, some, starttls
from attacks.rows import OUT, shown, trial
from attacks.stage import Stage
from attacks.talker import Talker, wants

SENDER = "ann@home.test"
PATIENCE = {name: "2s" for name in ("connect", "greeting", "command", "data_start", "data_block",
                                    "final_dot", "tls_handshake")}
SLOW_MAILS, SLOW_MAILS_FULL = 300, 100_000
OTHERS_MAX_S = 10
NOTICE_BYTES_MAX = 300_000


@dataclass(frozen=True)
class Case:
    """What a server does, and what must come of it: the status in the log, and whether the sender
    hears of a failure."""

    number: str
    name: str
    answers: dict
    status: str
    bounced: bool = False
    server_heard: Callable[[Hostile], bool] = lambda _: True
    recipients: int = 1
    body: bytes = b"text\r\n"


FORGED = (b"550-5.1.1 no\r\n550-\x1b[31mred\x00\xff\r\n550-From: boss@home.test\r\n"
          b"550 5.1.1 --=_end\t\r\n")


def cases(contexts: dict[str, ssl.SSLContext]) -> list[Case]:
    return [*endings(), *malformed(), *refusals(), *traps(contexts), *lies()]


def endings() -> list[Case]:
    return [
        Case("C1", "line", {"greeting": endless(b"220-" + b"x" * 60_000)}, "4."),
        Case("C1", "lines", {"greeting": endless(b"220-more\r\n" * 100)}, "4."),
        Case("C1", "ehlo-lines", {"EHLO": endless(b"250-SIZE\r\n" * 100)}, "4."),
        Case("C1", "dribble", {"greeting": dribble(b"220-x\r\n", 0.05)}, "4."),
        Case("C1", "dribble-reply", {"MAIL": dribble(b"250-x\r\n", 0.05)}, "4."),
        Case("C1", "silence", {"greeting": hang}, "4."),
        Case("C1", "silence-data", {"DATA": hang}, "4."),
        Case("C1", "reply-10k", {"RCPT": b"550 5.1.1 " + b"y" * 10_000 + b"\r\n"}, "4."),
        Case("C4", "dot-close", {".": close}, "4."),
        Case("C4", "dot-silence", {".": hang}, "4."),
    ]


def malformed() -> list[Case]:
    replies = (b"850 ok\r\n", b"2\r\n", b"25\r\n", b"250_ok\r\n", b"250ok\r\n", b"2500 ok\r\n",
               b"250-a\r\n251 b\r\n", b"250 ok\n", b"\r\n", b"ok\r\n", b"\x00\x00\r\n",
               b"+250 ok\r\n", b" 250 ok\r\n", b"250\x00ok\n\r\n")
    found = [Case("C2", f"mail-{n}", {"MAIL": reply}, "4.") for n, reply in enumerate(replies)]
    found += [Case("C2", f"dot-{n}", {".": reply}, "4.") for n, reply in enumerate(replies)]
    found.append(Case("C2", "early", {"greeting": b"220 a\r\n" + b"250 ok\r\n" * 8}, "4.",
                      server_heard=lambda server: not server.bodies))
    return found


def refusals() -> list[Case]:
    steps = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", ".")
    found = [Case("C3", f"421-{step.strip('.') or 'dot'}", {step: b"421 4.3.2 later\r\n"}, "4.")
             for step in steps]
    found += [Case("C3", f"4xx-{step.strip('.') or 'dot'}", {step: b"451 4.3.0 later\r\n"}, "4.")
              for step in ("MAIL", "RCPT", "DATA", ".")]
    found += [Case("C3", f"5xx-{step.strip('.') or 'dot'}", {step: b"550 5.7.1 never\r\n"}, "5.7.1",
                   bounced=True) for step in ("MAIL", "RCPT", "DATA", ".")]
    found += [Case("C3", f"close-{step.strip('.') or 'dot'}", {step: close}, "4.")
              for step in steps]
    return found + [
        Case("C3", "banner-554", {"greeting": b"554 5.3.2 not here\r\n"}, "4."),
        Case("C3", "banner-521", {"greeting": b"521 no mail\r\n"}, "4."),
        Case("C3", "helo", {"EHLO": b"502 5.5.1 what?\r\n"}, "2.",
             server_heard=lambda server: any(line.startswith("HELO") for line in server.heard)),
        Case("C3", "quit", {"QUIT": close}, "2."),
        Case("C3", "quit-5xx", {"QUIT": b"554 5.0.0 stay\r\n"}, "2."),
        Case("C9", "one-of-many", {"RCPT": some((b"550 5.1.1 no\r\n", b"250 2.1.5 ok\r\n"))},
             "5.1.1", bounced=True, recipients=100),
        Case("C9", "all-of-many", {"RCPT": b"550 5.1.1 no\r\n"}, "5.1.1", bounced=True,
             recipients=500, body=b"x" * 76 + b"\r\n"),
        Case("C8", "forged", {"RCPT": FORGED}, "5.1.1", bounced=True),
        Case("C8", "forged-dot", {".": FORGED}, "5.1.1", bounced=True),
    ]


def traps(contexts: dict[str, ssl.SSLContext]) -> list[Case]:
    def offering(answer) -> dict:
        return {"EHLO": b"250-hostile.test\r\n250 STARTTLS\r\n", "STARTTLS": answer}

    injected = b"250 PIPELINING\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n250 2.0.0 taken\r\n"
    return [
        # Opportunistic: without a policy that asks for TLS, mail goes in clear rather than not.
        Case("C5", "454", offering(b"454 4.7.0 not now\r\n"), "2."),
        Case("C5", "554", offering(b"554 5.7.0 never\r\n"), "2."),
        Case("C5", "354", offering(b"354 go on\r\n"), ("2.", "4.")),
        Case("C5", "garbage", offering(starttls(None)), "2."),
        Case("C5", "silence", offering(hang), "4."),
        Case("C5", "injected", offering(starttls(contexts["good"], injected)), ("2.", "4."),
             server_heard=lambda server: all(b"text" in body for body in server.bodies)),
        Case("C6", "self-signed", offering(starttls(contexts["good"])), "2."),
        Case("C6", "expired", offering(starttls(contexts["expired"])), "2."),
        Case("C6", "long-chain", offering(starttls(contexts["long"])), "2."),
    ]


ODD_OFFER = (b"250-hostile.test\r\n250-SIZE -1\r\n250-LIMITS RCPTMAX=0\r\n250-AUTH " + b"X " * 500 +
             b"\r\n250 DSN x\r\n")


def lies() -> list[Case]:
    return [
        Case("C7", "10000-lines", {"EHLO": b"250-X-KEY\r\n" * 10_000 + b"250 ok\r\n"}, "4."),
        Case("C7", "size-1", {"EHLO": b"250-hostile.test\r\n250 SIZE 1\r\n"}, "5.3.4", bounced=True,
             server_heard=lambda server: not server.bodies),
        Case("C7", "no-8bit", {}, "5.6.3", bounced=True, body=b"gr\xc3\xbc\xc3\x9fe\r\n",
             server_heard=lambda server: not server.bodies),
        Case("C7", "odd-values", {"EHLO": ODD_OFFER}, "2."),
    ]


def contexts_in(folder: Path) -> dict[str, ssl.SSLContext]:
    """Of servers that nobody has a reason to believe."""
    found = {}
    for name, days in (("good", "30"), ("expired", "-1")):
        key, chain_file = folder / f"{name}.key", folder / f"{name}.pem"
        request = folder / f"{name}.csr"
        for command in (["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                         "-out", key],
                        ["req", "-new", "-key", key, "-subj", "/CN=elsewhere.test", "-out",
                         request],
                        ["x509", "-req", "-in", request, "-signkey", key, "-days", days, "-out",
                         chain_file]):
            subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
        found[name] = context_of(chain_file, key)
    long_chain = folder / "long.pem"
    long_chain.write_text((folder / "good.pem").read_text() * 50)
    found["long"] = context_of(long_chain, folder / "good.key")
    return found


def context_of(chain_file: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file, key)
    return context


class Out:
    """A node that delivers to hostile servers, each in a domain of its own, and its sender's
    mailbox."""

    def __init__(self, stage: Stage, dns_server: str = "127.0.0.1:9", port: int = 25) -> None:
        self._full = stage.full
        self.home = RecordingSink(keep_content=True)
        self.node = Node()
        self.cases = cases(contexts_in(self.node.folder))
        self.servers = {self.domain(case): Hostile(case.answers) for case in self.cases}
        self.slow = Hostile({"RCPT": hang})
        routes = {name: server.port for name, server in self.servers.items()}
        routes |= {"home.test": self.home.port, "slow.test": self.slow.port,
                   "loop.test": self.node.ports["mx"], "quick.test": self.home.port}
        self.node.write_config(merged(routes_to(routes), {
            "host_name": "node.posthorse.test",
            "intake": {"trusted_networks": ["127.0.0.0/8"], "sessions_per_client_max": 500},
            "timeouts": PATIENCE, "queue": {"min_retry_age": "1h", "max_retry_age": "2h"},
            "delivery": {"dns_servers": [dns_server], "port": port, "private_addresses": False,
                         "connections_max": 500}}))

    @staticmethod
    def domain(case: Case) -> str:
        return f"{case.name}.{case.number.lower()}.test"

    def __enter__(self) -> "Out":
        self.home.__enter__()
        self.node.__enter__()
        return self

    def __exit__(self, *outcome) -> None:
        self.node.__exit__(*outcome)
        self.home.__exit__(*outcome)
        for server in (*self.servers.values(), self.slow):
            server.close()

    def submit(self, recipients: list[str], body: bytes = b"text\r\n",
               sender: str = SENDER) -> None:
        with Talker(self.node, "mx") as client:
            client.expect("EHLO client.test", "250")
            client.expect(f"MAIL FROM:<{sender}>", "250")
            for recipient in recipients:
                client.expect(f"RCPT TO:<{recipient}>", "250")
            client.expect("DATA", "354")
            client.write(b"Subject: attack\r\nFrom: ann@home.test\r\n\r\n" + body + b".\r\n")
            wants(client.reply(), "250")

    def submit_all(self) -> None:
        for case in self.cases:
            self.submit([f"u{n}@{self.domain(case)}" for n in range(case.recipients)], case.body)

    def outcome(self, recipient: str, timeout_s: float = 30) -> tuple[str, str]:
        """The status of the first attempt, and its text."""
        line = re.compile(rf"to=<{re.escape(recipient)}>.*? dsn=([0-9.]+), stat=(.*)")

        def find() -> re.Match | None:
            return line.search(self.node.log.read_text(errors="replace"))

        found = wait.until(find, f"an attempt for {recipient} ends", timeout_s, every_s=0.1)
        return found[1], found[2]

    def notices(self, recipient: str) -> list[bytes]:
        return [content for content in list(self.home.contents.values())
                if b"multipart/report" in content and recipient.encode() in content]


def judge(out: Out, case: Case) -> None:
    recipient = f"u0@{out.domain(case)}"
    status, text = out.outcome(recipient)
    name = f"{case.number} {case.name}"
    if not status.startswith(case.status):
        raise AssertionError(f"{name}: {status} {text}, not {case.status}")
    server = out.servers[out.domain(case)]
    if not case.server_heard(server):
        raise AssertionError(f"{name}: the server heard {server.heard} and {server.bodies}")
    if not case.bounced:
        if out.notices(recipient):
            raise AssertionError(f"{name}: the sender was told of a failure")
        return
    [notice] = wait.until(lambda: out.notices(recipient), f"{name}: the sender is told")
    judge_notice(name, notice)


def judge_notice(name: str, notice: bytes) -> None:
    head = notice.split(b"\r\n\r\n", 1)[0]
    if b"Auto-Submitted: auto-replied" not in head or b"From: boss" in head:
        raise AssertionError(f"{name}: the notice's header: {head!r}")
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]", notice):
        raise AssertionError(f"{name}: raw octets in a notice")
    if re.search(rb"^From: boss", notice, re.MULTILINE):
        raise AssertionError(f"{name}: a reply forged a field of the notice")
    if len(notice) > NOTICE_BYTES_MAX:
        raise AssertionError(f"{name}: a notice of {len(notice)} octets")


def register(number: str) -> None:
    def run(stage: Stage, door: str) -> None:
        for case in stage.out.cases:
            if case.number == number:
                judge(stage.out, case)
    run.__name__ = "cases"
    trial(number, OUT)(run)


for row in ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9"):
    register(row)


@trial("C9", OUT)
def nobody_is_told(stage: Stage, door: str) -> int:
    """Mail from nobody that fails makes no notice."""
    domain = next(one for one in stage.out.servers if "5xx-rcpt" in one.lower())
    before = stage.out.home.arrived
    stage.out.submit([f"null@{domain}"], sender="")
    stage.out.outcome(f"null@{domain}")
    wait.until(lambda: not any(one["sender"] == "" for one in stage.out.node.queue()),
               "it is gone from the queue")
    if stage.out.home.arrived != before:
        raise AssertionError("somebody was told of a failure of mail from nobody")
    return 1


@trial("C14", OUT)
def one_slow_server(stage: Stage, door: str) -> int:
    count = SLOW_MAILS_FULL if stage.full else SLOW_MAILS
    out = stage.out
    fill(out, count)
    began = time.monotonic()
    before = out.home.arrived
    for number in range(20):
        out.submit([f"q{number}@quick.test"])
    wait.until(lambda: out.home.arrived >= before + 20, "others' mail is delivered", 60)
    took = time.monotonic() - began
    if took > OTHERS_MAX_S:
        raise AssertionError(f"behind {count} mails of a slow server others waited {took:.1f} s")
    out.node.cli("queue", "rm", "--domain", "slow.test")
    return count + 20


def fill(out: Out, count: int) -> None:
    """Mails for the slow server, over one connection, in groups."""
    with Talker(out.node, "mx", timeout_s=120) as client:
        client.expect("EHLO client.test", "250")
        for _ in range(count):
            client.write(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<a@slow.test>\r\nDATA\r\n".encode())
            for beginning in ("250", "250", "354"):
                wants(client.reply(), beginning, "the slow server's mail")
            client.write(b"Subject: slow\r\n\r\nx\r\n.\r\n")
            wants(client.reply(), "250", "the slow server's mail")


UNIT = "tests/unit/proto/smtp/client_session_test.cc"
shown("C1", f"{UNIT}: endless replies are cut off")
shown("C2", f"{UNIT}: a malformed reply at any turn is a protocol error, never a success")
shown("C3", f"{UNIT}: each recipient hears its own reply",
      f"{UNIT}: a reply of 421 at any turn defers with it")
shown("C4", "tests/unit/daemon/deliver/connection_test.cc: a reply to the final dot that is lost "
      "leaves the attempt in doubt")
shown("C5", f"{UNIT}: STARTTLS as the policy says",
      "tests/unit/daemon/deliver/connection_tls_test.cc: replies slipped in before the handshake "
      "count for nothing inside it")
shown("C8", f"{UNIT}: what a server says is made safe before it is kept",
      "tests/unit/proto/mail/dsn_test.cc: nothing hostile comes through")
shown("C9", "tests/unit/proto/mail/dsn_test.cc: all recipients are in one notice",
      "tests/unit/daemon/report/settle_decision_test.cc: the null sender is never told, and its "
      "mail ends all the same")
shown("C14", "tests/unit/daemon/deliver/delivery_pool_test.cc: a destination that hangs holds up "
      "no other")
SIGNER = "tests/unit/daemon/sign/signer_test.cc"
shown("C15", f"{SIGNER}: what is changed or added breaks the signature, what servers add does not",
      f"{SIGNER}: a signature field is whole lines, oversigned, and says nothing of the body's "
      "length", f"{SIGNER}: repeated, long and 8-bit fields are signed as they are",
      "tests/unit/daemon/intake/intake_test.cc: mail that must be signed and cannot be gets 451 "
      "and is not kept", "tests/system/proofs/dkim.py::main")
