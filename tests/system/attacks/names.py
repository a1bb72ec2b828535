"""Attacks by the DNS and by addresses: C10 to C13.

Two nodes ask a DNS that lies: one connects to public addresses alone, as a node does; for the other
private ones are allowed, and all of 127.0.0.0/8 is a trap that counts who comes.
"""

import contextlib
from dataclasses import dataclass

from harness import wait
from harness.node import Node
from harness.ports import free_port

from attacks.false_dns import (FalseDns, chain, forged, multitude, nonsense, silence, truncated)
from attacks.hostile import Conversation, Hostile
from attacks.rows import OUT, shown, trial
from attacks.servers import Out
from attacks.stage import Stage
from attacks.talker import wants

TAKES = "127.0.1.1"  # the one address of the trap where mail is taken
ADDRESSES_MAX = 10
OURS = {"v4loop": ["127.0.0.1"], "v4zero": ["0.0.0.0"], "v4ten": ["10.0.0.1"],
        "v4link": ["169.254.1.1"], "v4many": ["127.0.0.2", "127.255.255.254", "10.1.1.1"]}
OURS_V6 = {"v6loop": ["::1"], "v6mapped": ["::ffff:127.0.0.1"], "v6zero": ["::"],
           "v6link": ["fe80::1"], "v6unique": ["fd00::1"], "v6sixtofour": ["2002:7f00:1::1"],
           "v6translated": ["64:ff9b::7f00:1"]}


@dataclass(frozen=True)
class Named:
    number: str
    domain: str
    status: tuple[str, ...]


REFUSED = [
    Named("C10", "null.test", ("5.1.10",)),
    Named("C11", "self.test", ("5.4.6",)),
    Named("C11", "selfbest.test", ("5.4.6",)),
    *(Named("C12", f"{name}.test", ("5.4.4",)) for name in (*OURS, *OURS_V6)),
    Named("C13", "servfail.test", ("4.4.3",)),
    Named("C13", "nowhere.test", ("5.1.2",)),
    Named("C13", "nodata.test", ("5.1.2",)),
    Named("C13", "nonsense.test", ("4.4.3",)),
    Named("C13", "truncated.test", ("4.4.3", "5.1.2")),
    Named("C13", "loop-of-names.test", ("4.4.3", "5.1.2", "5.4.4")),
    Named("C13", "chain-to-nothing.test", ("4.4.3", "5.1.2", "5.4.4")),
]
TAKEN = ["direct.test", "alias.test", "chain.test", "forged.test", "ttl.test"]


def truths() -> dict:
    records = {
        ("null.test", "MX"): ["0 ."],
        ("self.test", "MX"): ["10 node.posthorse.test.", "20 worse.self.test."],
        ("worse.self.test", "A"): [TAKES],
        ("selfbest.test", "MX"): ["10 NODE.posthorse.test."],
        ("nodata.test", "TXT"): ['"no mail here"'],
        ("direct.test", "MX"): ["10 mx.direct.test."],
        ("mx.direct.test", "A"): [TAKES],
        ("alias.test", "MX"): ["10 mx.alias.test."],
        ("mx.alias.test", "CNAME"): ["mx.direct.test."],
        ("ttl.test", "MX"): ["10 mx.direct.test."],
    }
    for table, kind in ((OURS, "A"), (OURS_V6, "AAAA")):
        for name, addresses in table.items():
            records[(f"{name}.test", "MX")] = [f"10 mx.{name}.test."]
            records[(f"mx.{name}.test", kind)] = addresses
    return records


def lies() -> dict:
    return {
        "nonsense.test": nonsense, "truncated.test": truncated, "silence.test": silence,
        "loop-of-names.test": chain(20, "", loops=True),
        "chain-to-nothing.test": chain(20, "", loops=False),
        "chain.test": chain(8, TAKES), "mx.alias.test": chain(1, TAKES),
        "forged.test": forged("127.0.3.1", TAKES),
        "many.test": multitude(100, lambda host: [f"127.0.2.{n}" for n in range(1, 51)]),
    }


def greeting(conversation: Conversation, _: bytes) -> bytes:
    here = conversation.request.getsockname()[0]
    conversation.server.came_to.append(here)
    return b"220 trap.test\r\n" if here == TAKES else b"421 4.3.2 not here\r\n"


class Finder:
    """The node that may connect to private addresses, and the trap on all of them."""

    def __init__(self) -> None:
        self.port = free_port()
        self.trap = Hostile({"greeting": greeting}, "0.0.0.0", self.port)
        self.trap.came_to = []
        self.dns = FalseDns(truths(), lies(), {"servfail.test"})
        self.node = Node({
            "intake": {"trusted_networks": ["127.0.0.0/8"]},
            "delivery": {"dns_servers": [self.dns.address], "port": self.port,
                         "private_addresses": True},
            "queue": {"min_retry_age": "1h", "max_retry_age": "2h"}})

    def __enter__(self) -> "Finder":
        self._open = contextlib.ExitStack()
        self._open.callback(self.trap.close)
        self._open.enter_context(self.dns)
        self._open.enter_context(self.node)
        return self

    def __exit__(self, *outcome) -> None:
        self._open.__exit__(*outcome)


def submit_all(out: Out) -> None:
    """Before any row is judged: some answers take the time that a resolver has."""
    for one in REFUSED:
        out.submit([f"a@{one.domain}"])


def register(number: str) -> None:
    def run(stage: Stage, door: str) -> None:
        wanted = [one for one in REFUSED if one.number == number]
        for one in wanted:
            status, text = stage.out.outcome(f"a@{one.domain}", 60)
            wants(status, one.status, f"{one.number} {one.domain}: {text}")
        if stage.finder.trap.connections:
            raise AssertionError(f"the node connected to {stage.finder.trap.came_to}")
    run.__name__ = "refused_domains"
    trial(number, OUT)(run)


for row in ("C10", "C11", "C12", "C13"):
    register(row)


@trial("C11", OUT)
def round_and_round(stage: Stage, door: str) -> int:
    """A route that leads back: it ends by the count of hops, and the sender is told."""
    stage.out.submit(["a@loop.test"])
    wait.until(lambda: stage.out.notices("a@loop.test"), "the loop ends", 60, every_s=0.1)
    [notice] = stage.out.notices("a@loop.test")
    if b"5.4.6" not in notice:
        raise AssertionError(f"the notice of a loop: {notice!r}")
    return 100  # the message, and its 99 rounds


@trial("C12", OUT)
def literals(stage: Stage, door: str) -> int:
    """Addresses in brackets are judged like those of the DNS; other ports cannot be named."""
    forms = ("[127.0.0.1]", "[10.0.0.1]", "[IPv6:::1]", "[0.0.0.0]")
    for form in forms:
        stage.out.submit([f"a@{form}"])
    for form in forms:
        status, text = stage.out.outcome(f"a@{form}")
        wants(status, "5.", f"{form}: {text}")
    return len(forms)


@trial("C13", OUT)
def found_all_the_same(stage: Stage, door: str) -> None:
    """Aliases are followed, forged answers are not believed, a TTL of nothing is no trouble."""
    finder = stage.finder
    for domain in TAKEN:
        deliver(finder.node, f"a@{domain}")
    wait.until(lambda: len(finder.trap.bodies) >= len(TAKEN), "all are delivered", 30)
    elsewhere = set(finder.trap.came_to) - {TAKES}
    if elsewhere:
        raise AssertionError(f"the node connected to {elsewhere}")
    if len(set(finder.dns.ids)) < len(finder.dns.ids) // 2:
        raise AssertionError(f"the ids of queries are not random: {finder.dns.ids}")


@trial("C13", OUT)
def very_many_hosts(stage: Stage, door: str) -> None:
    """100 hosts with 50 addresses each: a bounded number is looked up, and is tried."""
    finder = stage.finder
    asked, came = len(finder.dns.asked), len(finder.trap.came_to)
    deliver(finder.node, "a@many.test")
    text = wait.until(lambda: "to=<a@many.test>" in finder.node.log.read_text(errors="replace"),
                      "the attempt ends", 30)
    tried, questions = len(finder.trap.came_to) - came, len(finder.dns.asked) - asked
    if not text or not 1 <= tried <= ADDRESSES_MAX or questions > 60:
        raise AssertionError(f"{questions} questions and {tried} connections for one message")


@trial("C13", OUT)
def no_answer(stage: Stage, door: str) -> int:
    """A DNS that says nothing: the mail waits; it takes the patience that it takes."""
    if not stage.full:
        return 0
    stage.out.submit(["a@silence.test"])
    status, text = stage.out.outcome("a@silence.test", 120)
    wants(status, "4.4.3", text)
    return 1


def deliver(node: Node, recipient: str) -> None:
    from attacks.talker import Talker
    with Talker(node, "mx") as client:
        client.expect("EHLO client.test", "250")
        client.expect("MAIL FROM:<ann@home.test>", "250")
        client.expect(f"RCPT TO:<{recipient}>", "250")
        client.expect("DATA", "354")
        client.expect("Subject: find\r\n\r\nx\r\n.", "250")


RESOLVER = "tests/unit/daemon/deliver/resolver_test.cc"
DNS = "tests/unit/daemon/dns/dns_resolver_test.cc"
shown("C10", f"{RESOLVER}: a null MX refuses at once and for good")
shown("C11", f"{RESOLVER}: the node drops itself and what is not better; mail never loops")
shown("C12", f"{RESOLVER}: what counts as private",
      f"{RESOLVER}: the port is the destination's, else the policy's")
shown("C13", f"{RESOLVER}: addresses are capped, in all and for each host",
      f"{DNS}: trouble is told from absence",
      f"{DNS}: a truncated answer is asked for again over TCP",
      f"{DNS}: an answer of thousands of records is read up to the limit",
      f"{DNS}: records that are cut short or lie about their length are trouble, not a crash")
