"""What the rows of both tiers share: a row, a tier with the servers around it, common rows."""

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness import certificates, wait
from harness.dkim_keys import Key, generate
from harness.dns_server import DnsServer
from harness.mailboxes import Mailboxes
from harness.recording_sink import RecordingSink
from harness.tier import Tier, TierNode
from proofs.figures import require

ROOT = Path(__file__).parents[3]
# sendmail's delivery line, as alerts and runbooks match it.
DELIVERY = re.compile(
    r"\b([0-9A-HJKMNP-TV-Z]{26}): to=<[^<>\s]+@[^<>\s]+>, relay=[^,]+, delay=[0-9.]+, "
    r"attempts=\d+, tls=[^,]+, dsn=([245]\.\d+\.\d+), stat=(Sent|Deferred: |[A-Z][a-z]+ [a-z]+)")


@dataclass(frozen=True)
class Row:
    tier: str  # both, outbound, inbound
    what: str
    show: Callable[["Side"], str]


class Side:
    """One tier, running, and the world as it sees it."""

    def __init__(self, tier: Tier, world: DnsServer, elsewhere: RecordingSink | None = None,
                 home: RecordingSink | None = None,
                 box: Callable[[], AbstractContextManager[Mailboxes]] | None = None) -> None:
        self.tier, self.world = tier, world
        self.elsewhere, self.home, self.box = elsewhere, home, box
        self.keys: list[Key] = []
        self._sources = 0

    @property
    def nodes(self) -> list[TierNode]:
        return self.tier.nodes

    def make_keys(self) -> None:
        """Where the KeyTable says that they are."""
        folder = self.tier.folder / "dkim"
        for selector, kind, file in (("mail", "rsa", "example.org.pem"),
                                     ("mail2", "ed25519", "example.org-ed25519.pem")):
            key = generate(folder, "example.org", selector, kind)
            self.keys.append(Key(key.domain, selector, key.file.rename(folder / file), key.record))

    def source(self) -> tuple[str, int]:
        """Each client has an address of its own: the limits of one are not those of another."""
        self._sources += 1
        return f"127.0.8.{self._sources}", 0

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.tier.certificates.ca)

    def client(self, listener: str, node: int = 0) -> smtplib.SMTP:
        at = self.nodes[node]
        port = at.ports[listener]
        if listener == "submissions":
            return smtplib.SMTP_SSL(at.address, port, "client.test", context=self.context(),
                                    source_address=self.source(), timeout=60)
        return smtplib.SMTP(at.address, port, "client.test", source_address=self.source(),
                            timeout=60)

    def setting(self, name: str) -> str:
        """What is in force, by `posthorse config show`."""
        found = re.search(rf'^{re.escape(name)} = "?([^"\n]*)"?$', self.shown(), re.MULTILINE)
        require(found is not None, f"config show does not name {name}")
        return found[1]

    def shown(self) -> str:
        return self.nodes[0].settings()

    def warnings(self) -> list[str]:
        return [line for line in self.tier.log.splitlines()
                if "[warning]" in line or "[error]" in line]


def expect(side: Side, settings: dict[str, str]) -> str:
    """Each of these is in force."""
    wrong = {name: side.setting(name) for name, value in settings.items()
             if side.setting(name) != value}
    require(not wrong, f"config show says {wrong}")
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def find_fault(place: str) -> str:
    """Why a test or proof that is named so cannot be the one; empty: it is there."""
    if place.startswith("proof "):
        name = place.split()[1]
        text = (ROOT / "tests/system/proofs/__main__.py").read_text()
        return "" if f'Proof("{name}"' in text else f"there is no {place}"
    path, _, name = place.partition("::")
    file = ROOT / path
    if not file.is_file():
        return f"there is no file {path}"
    text = file.read_text()
    wanted = f"def {name}(" if path.endswith(".py") else name
    return "" if wanted in text else f"{path} has no {name}"


# ------------------------------------------------------------------ rows of both tiers

def listener_of(side: Side) -> str:
    return "submission" if "submission" in side.nodes[0].ports else "mx"


def size(side: Side) -> str:
    with side.client(listener_of(side)) as client:
        client.ehlo()
        offered = client.esmtp_features["size"]
        if listener_of(side) == "submission":
            client.starttls(context=side.context())
            client.login("master", "fresh")
        code, text = client.mail("a@example.org", ["SIZE=52428801"])
    require(offered == "52428800" and code == 552, f"SIZE {offered}, then {code} {text!r}")
    return "EHLO says SIZE 52428800; MAIL with one octet more: 552"


def privacy(side: Side) -> str:
    with side.client(listener_of(side)) as client:
        early = client.docmd("MAIL", "FROM:<a@example.org>")[0]
        client.ehlo()
        vrfy, expn = client.docmd("VRFY", "ann")[0], client.docmd("EXPN", "list")[0]
    mode = (side.nodes[0].folder / "admin.sock").stat().st_mode & 0o777
    require((early, vrfy) == (503, 252) and expn in (500, 502) and mode == 0o600,
            f"MAIL {early}, VRFY {vrfy}, EXPN {expn}, socket {mode:o}")
    return f"MAIL before EHLO 503, VRFY 252, EXPN {expn}; the admin socket has mode 0600"


def tls(side: Side) -> str:
    with side.client(listener_of(side)) as client:
        client.starttls(context=side.context())
        version = client.sock.version()
    require(version in ("TLSv1.2", "TLSv1.3"), f"it spoke {version}")
    require(not side.setting("tls.certificate_file"), "the certificate is from a file")
    return f"{version}, with the certificate of TLS_CERT, TLS_KEY and TLS_CA_BUNDLE"


def pool_by_dns(side: Side) -> str:
    [name] = side.tier.shipped["pool"]["join"]
    asked = (name, "A") in side.world.zone.asked
    members = side.nodes[1].cli("node", "ls")
    require(asked and "n1" in members and "n2" in members, f"{name}: {asked}\n{members}")
    return f"both nodes found each other by the A records of {name}, from empty disks"


def queue_numbers(side: Side) -> str:
    return expect(side, {"queue.lifetime": "4d", "queue.delay_warning": "4h",
                         "queue.max_retry_age": "15m", "stop_budget": "110s",
                         "queue.poison_attempts": "3"})


def client_times(side: Side) -> str:
    return expect(side, {"timeouts.connect": "15s", "timeouts.greeting": "1m",
                         "timeouts.command": "2m", "timeouts.tls_handshake": "2m",
                         "timeouts.data_start": "1m", "timeouts.data_block": "1m",
                         "timeouts.final_dot": "10m"})


def log_lines(side: Side) -> str:
    lines = [line for line in side.tier.log.splitlines() if "stat=" in line or " to=<" in line]
    bad = [line for line in lines if not DELIVERY.search(line)]
    require(lines and not bad, f"{len(lines)} lines; not like sendmail's: {bad[:3]}")
    return f"{len(lines)} lines with to=, relay=, dsn= and stat=, all of attempts"


def metrics(side: Side) -> str:
    samples = side.nodes[0].metrics()
    names = ("posthorse_queue_messages", 'posthorse_smtp_refusals_total{reply="5xx"}',
             "posthorse_messages_accepted_total",
             'posthorse_delivery_outcomes_total{result="failed"}')
    missing = [name for name in names if name not in samples]
    require(not missing, f"/metrics lacks {missing}")
    return "/metrics has the queue's length, refusals by 5xx, and what became of recipients"


def probes(side: Side) -> str:
    before = side.warnings()
    count = 0
    for node in side.nodes:
        for port in node.ports.values():
            for _ in range(5):
                socket.create_connection((node.address, port), 10,
                                         side.source()).close()
                count += 1
    wait.until(lambda: all(node.metrics()["posthorse_smtp_sessions"] == 0 for node in side.nodes),
               "all probes are gone", 20)
    after = side.warnings()
    require(after == before, f"logged: {after[len(before):]}")
    return f"{count} connections that leave at once: no warning, no error"


def peak(side: Side, cap_mb: int) -> str:
    peaks = [node.memory_kib("VmHWM") * 1024 / 1e6 for node in side.nodes]
    require(max(peaks) < cap_mb, f"{peaks} MB")
    return f"peak of the nodes after all this {max(peaks):.0f} MB, of {cap_mb}"


def stop(side: Side) -> str:
    took = []
    for node in side.nodes:
        began = time.monotonic()
        node.stop(110)
        took.append(time.monotonic() - began)
    return f"SIGTERM: exit code 0 after {took[0]:.1f} and {took[1]:.1f} s"


def new_certificate(side: Side, listener: str) -> str:
    """With the certificate in files, as the configuration shows in a comment."""
    files = certificates.make(side.tier.folder / "files", *(
        f"IP:{node.address}" for node in side.nodes))
    node = side.nodes[1]
    node.stop()
    changes = side.tier.changes | {"tls": {"certificate_file": files.chain, "key_file": files.key}}
    node.write_config(changes)
    node.start()
    node.write_config(changes)
    before = ssl.create_default_context(cafile=files.ca)
    with side.client(listener, 1) as client:
        client.starttls(context=before)
        old = client.sock.getpeercert(True)
        certificates.make(side.tier.folder / "files", *(
            f"IP:{one.address}" for one in side.nodes))
        node.cli("reload")
        require(client.noop()[0] == 250, "the session was dropped")
        with side.client(listener, 1) as second:
            second.starttls(context=ssl.create_default_context(cafile=files.ca))
            new = second.sock.getpeercert(True)
        require(old != new and client.noop()[0] == 250, "the certificate is the old one")
    return "a reload serves the new certificate; the session under the old one went on"
