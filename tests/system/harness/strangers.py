"""Mail from strangers for a node that verifies it, and the DNS that they publish in.

Contract  A stranger's address comes in a PROXY header: it can be any, and nothing leaves the
          machine. Every domain is below .test, or a made-up one below a public suffix.
"""

import functools
import smtplib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.dkim_keys import Key, generate
from harness.dns_server import Table
from harness.node import Node, merged, routes_to
from harness.second_opinion import World, signature

AUTHSERV_ID = "mx.xn--mil-qla.test"
AUTHSERV_ID_UTF8 = "mx.m\u00e4il.test"
HERE, THERE, SIX = "192.0.2.1", "198.51.100.9", "2001:db8::1"
DOMAINS = ("signed.test", "strict.test")


def quoted(text: str) -> str:
    """A TXT record's text as a zone file has it."""
    return " ".join(f'"{text[at:at + 250]}"' for at in range(0, len(text), 250))


def hosts(count: int) -> str:
    """So many terms that ask the DNS."""
    return " ".join(f"a:h{n}.hosts.test" for n in range(count))


SPF = {
    "ip4.test": "v=spf1 ip4:192.0.2.0/24 -all",
    "six.test": "v=spf1 ip6:2001:db8::/32 -all",
    "include.test": "v=spf1 include:ip4.test -all",
    "redirect.test": "v=spf1 redirect=ip4.test",
    "soft.test": "v=spf1 ip4:203.0.113.1 ~all",
    "neutral.test": "v=spf1 ?all",
    "open.test": "v=spf1 +all",
    "silent.test": "v=spf1 ip4:203.0.113.1",
    "broken.test": "v=spf1 ip4:192.0.2.0/24 nonsense -all",
    "hosts.test": "v=spf1 a//64 mx -all",
    "macro.test": "v=spf1 exists:%{ir}.%{l1r-}.%{d}.seen.test -all",
    "named.test": "v=spf1 ptr -all",
    "ten.test": f"v=spf1 {hosts(10)} ip4:192.0.2.1 -all",
    "eleven.test": f"v=spf1 {hosts(11)} +all",
    "nested.test": "v=spf1 include:ten.test -all",
    "two-void.test": "v=spf1 a:v1.void.test a:v2.void.test ip4:192.0.2.1 -all",
    "void.test": "v=spf1 a:v1.void.test a:v2.void.test a:v3.void.test ip4:192.0.2.1 -all",
    "loop.test": "v=spf1 include:loop.test -all",
    "to-away.test": "v=spf1 include:away.test -all",
    "to-none.test": "v=spf1 include:none.test -all",
    "mail.signed.test": "v=spf1 ip4:192.0.2.1 -all",
    "mail.strict.test": "v=spf1 ip4:192.0.2.1 -all",
    "evil.co.uk": "v=spf1 +all",
    "helo.test": "v=spf1 ip4:192.0.2.1 -all",
}
DMARC = {
    "signed.test": "v=DMARC1; p=reject; sp=quarantine",
    "strict.test": "v=DMARC1; p=none; adkim=s; aspf=s",
    "bank.co.uk": "v=DMARC1; p=reject",
    "misspelt.test": "v=DMARC1; p=rejekt",
}
OTHERS: Table = {
    ("hosts.test", "MX"): ["10 h1.hosts.test."],
    ("hosts.test", "AAAA"): ["2001:db8::77"],
    ("hosts.test", "A"): ["203.0.113.7"],
    **{(f"h{n}.hosts.test", "A"): ["203.0.113.1" if n != 1 else HERE] for n in range(11)},
    ("1.2.0.192.strong.macro.test.seen.test", "A"): ["127.0.0.2"],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["forged.named.test.", "host.named.test."],
    ("forged.named.test", "A"): ["203.0.113.1"],
    ("host.named.test", "A"): [HERE],
    ("empty.test", "TXT"): ['"nothing of interest"'],
    ("two.test", "TXT"): ['"v=spf1 +all"', '"v=spf1 -all"'],
}
FAILING = {"away.test", "_dmarc.away.test", "away._domainkey.signed.test"}


def records(keys: list[Key]) -> Table:
    table = dict(OTHERS)
    table.update({(name, "TXT"): [quoted(text)] for name, text in SPF.items()})
    table.update({(f"_dmarc.{name}", "TXT"): [quoted(text)] for name, text in DMARC.items()})
    table.update({(key.name, "TXT"): [quoted(key.record)] for key in keys})
    table[("revoked._domainkey.signed.test", "TXT")] = [quoted("v=DKIM1; p=")]
    return table


class Stranger(smtplib.SMTP):
    """A client with an address of its own."""

    def __init__(self, port: int, address: str, helo: str) -> None:
        family = "TCP6" if ":" in address else "TCP4"
        there = "2001:db8::25" if ":" in address else "192.0.2.25"
        self._header = f"PROXY {family} {address} {there} 4711 25\r\n".encode()
        super().__init__("127.0.0.1", port, helo)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = super()._get_socket(host, port, timeout)
        made.sendall(self._header)
        return made


@dataclass(frozen=True)
class Case:
    """One mail, and what must be found out about it."""

    name: str
    spf: str
    sender: str = "ann@none.test"
    client: str = HERE
    helo: str = "helo.test"
    author: str = "ann@none.test"
    dkim: tuple[str, ...] = ("none",)
    dmarc: str = "none"
    policy: str = ""
    # Makes the mail; the plain one is as the author wrote it.
    mail: Callable[[bytes], bytes] = field(default=lambda plain: plain, repr=False)

    @functools.cached_property
    def content(self) -> bytes:
        return self.mail(plain_mail(self.author, self.name))


def plain_mail(author: str, subject: str) -> bytes:
    return (f"From: {author}\r\nTo: you@sink.test\r\nSubject: {subject}\r\n"
            "Date: Thu, 26 Nov 2026 10:00:00 +0000\r\n\r\nHello,\r\n\r\n there.  \r\n").encode()


class Signers:
    """Keys of the domains that sign, and ways to sign with them."""

    def __init__(self, folder: Path) -> None:
        self.keys = [generate(folder / domain, domain, kind, kind)
                     for domain in DOMAINS for kind in ("rsa", "ed25519")]
        missing = [generate(folder / name, "signed.test", name, "rsa")
                   for name in ("missing", "revoked", "away")]
        self._by_name = {(key.domain, key.selector): key for key in self.keys + missing}

    def world(self) -> World:
        return World(records(self.keys), FAILING)

    def by(self, selector: str = "rsa", domain: str = "signed.test", **options):
        """A function that puts a signature in front of a mail."""
        key = self._by_name[domain, selector]
        return lambda mail: signature(mail, key, **options) + mail


def verifying(dns_address: str, sink_port: int, changes: dict | None = None,
              proxied: bool = True) -> Node:
    """A node whose MX listener verifies."""
    node = Node()
    listener = {"name": "mx", "kind": "mx", "address": "127.0.0.1", "port": node.ports["mx"],
                "verify": "monitor"}
    if proxied:
        listener["proxies"] = ["127.0.0.1/32"]
    settings = {"listener": [listener], "verify": {"authserv_id": AUTHSERV_ID},
                "intake": {"relay_domains": ["sink.test"]},
                "delivery": {"dns_servers": [dns_address]}}
    node.write_config(merged(merged(settings, routes_to({"sink.test": sink_port})), changes or {}))
    return node
