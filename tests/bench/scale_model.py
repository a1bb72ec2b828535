#!/usr/bin/env python3
"""The tables of docs/scale.md, computed from constants: what pools of some size need.

Place     By hand: prints the tables; `--write` puts them into the document. scale_model_test.py
          fails when the document shows others.
Contract  Every figure is a constant below with its source, an assumption that says so, or a
          formula of the document. To change a table, change a constant here.
"""

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/scale.md"
MIB, GIB = 1 << 20, 1 << 30
SMALL, LARGE = 4096, 20_480


@dataclass(frozen=True)
class Constant:
    name: str
    small: float           # of a message of 4 KB, or of anything
    large: float | None    # of one of 20 KB, when that is another
    unit: str
    source: str

    def at(self, octets: int) -> float:
        """On the straight line through both."""
        if self.large is None:
            return self.small
        share = (octets - SMALL) / (LARGE - SMALL)
        return self.small + share * (self.large - self.small)


def measured(name: str, unit: str, source: str, small: float,
             large: float | None = None) -> Constant:
    return Constant(name, small, large, unit, source)


RUN = "scale_constants.py"
OPENSSL = "OpenSSL 3.0 alone, TLS 1.3, ECDSA P-256"
OWNER = measured("processor, owner, to take and deliver", "us", RUN, 292, 339)
SENDER = measured("processor, owner, for each further copy", "us", RUN, 82, 106)
HOLDER = measured("processor, holder, for a copy", "us", RUN, 151, 195)
HOME_OWNER = measured("of the owner's, on its home thread", "us", RUN, 56, 60)
HOME_SENDER = measured("the same, for each further copy", "us", RUN, 42, 53)
HOME_HOLDER = measured("of the holder's, on its home thread", "us", RUN, 39, 43)
WRITER = measured("of these, in the store's writer, at each", "us", RUN, 62, 88)
TLS_IN = measured("processor, a full TLS handshake as server", "us", OPENSSL, 201)
TLS_OUT = measured("processor, a full TLS handshake as client", "us", OPENSSL, 376)
SIGNATURE = measured("processor, a signature with RSA", "us", "docs/hacking.md", 300)
DISK = measured("octets to the disk, at the owner and at each holder", "", RUN, 6000, 23_000)
WIRE = measured("octets to a holder, before TLS", "", RUN, 4660, 21_000)
SYNC = measured("a sync of some KB, alone", "ms", "fdatasync alone, 2026-11", 0.2)
PEER = measured("processor, leader, for each other node, each second", "ms",
                "scale_constants.py idle", 2.8)
MEMBER = measured("processor, any other idle node, each second", "ms", "scale_constants.py idle",
                  6.5)
PEER_MEMORY = measured("memory for each other node", "MiB", "scale_constants.py idle", 0.75)
MEMORY = measured("memory of a node without mail", "MiB", "docs/bench.md, Memory", 40)
BUFFERS = measured("the store's write buffers, 4 of 64 MiB", "MiB", "docs/operating/limits.md", 256)
DELIVERY = measured("memory of a message that is being delivered", "KiB",
                    "docs/operating/limits.md", 258)
SESSION = measured("memory of an idle session under TLS", "KiB", "docs/bench.md, Very many clients",
                   24.7)
LEASE = measured("lease", "s", "pool.lease_ttl", 10)
BEATS = measured("heartbeats to each other node, each second", "", "replication/core/election.h", 5)
BEYOND = measured("a takeover ends at most so long after the lease", "s", "promise P5", 2)
HEAL = measured("octets that an owner copies for others", "MiB/s", "pool.heal_bytes_per_second", 32)
OPEN = measured("partitions that a node owns, with its solo partition", "partitions",
                "replication/core/placement.h", 5)

CONSTANTS = [OWNER, SENDER, HOLDER, HOME_OWNER, HOME_SENDER, HOME_HOLDER, WRITER, TLS_IN, TLS_OUT,
             SIGNATURE, DISK, WIRE, SYNC, PEER, MEMBER, PEER_MEMORY, MEMORY, BUFFERS, DELIVERY,
             SESSION, LEASE, BEATS, BEYOND, HEAL, OPEN]


def assumed(name: str, unit: str, value: float) -> Constant:
    return Constant(name, value, None, unit, "assumed")


CORES = assumed("processors of a node", "", 16)
LINK = assumed("network of a node, each way", "Gbit/s", 25)
DISK_RATE = assumed("what a node's disk writes", "MB/s", 1000)
FULL = assumed("share of each that is used: a third of the nodes may be lost", "", 0.5)
REMOTE = assumed("a delivery takes, at a server of the internet", "s", 1)
CLIENT = assumed("a client's session takes", "s", 1)
STAYS = assumed("share of an hour's messages that lies in the queue", "", 0.05)

ASSUMPTIONS = [CORES, LINK, DISK_RATE, FULL, REMOTE, CLIENT, STAYS]
RENEWALS = 4  # in a lease


@dataclass(frozen=True)
class Load:
    millions: int  # of messages an hour
    octets: int
    copies: int

    @property
    def rate(self) -> float:
        return self.millions * 1e6 / 3600

    @property
    def further(self) -> int:
        return self.copies - 1

    def cores(self, guarded: bool) -> float:
        """`guarded`: TLS in and out, a new connection each, and a signature."""
        each = OWNER.at(self.octets) + self.further * (
            SENDER.at(self.octets) + HOLDER.at(self.octets))
        if guarded:
            each += TLS_IN.small + TLS_OUT.small + SIGNATURE.small
        return self.rate * each / 1e6

    def home(self) -> float:
        """Home threads, if they were full."""
        each = HOME_OWNER.at(self.octets) + self.further * (
            HOME_SENDER.at(self.octets) + HOME_HOLDER.at(self.octets))
        return self.rate * each / 1e6

    def writers(self) -> float:
        return self.rate * self.copies * WRITER.at(self.octets) / 1e6

    def sent(self) -> float:
        """Octets a second, out of all nodes; as many come in."""
        return self.rate * (self.octets + self.further * WIRE.at(self.octets))

    def to_disk(self) -> float:
        return self.rate * self.copies * DISK.at(self.octets)

    def syncs(self) -> float:
        """A second and node, at most: a message is stored and settled at each that has it, and what
        gathers while a sync runs shares the next.
        """
        return min(2 * self.copies * self.rate / self.nodes(), 1000 / SYNC.small)

    def leader_messages(self) -> float:
        """A second each way: heartbeats or their answers, renewals or theirs."""
        return (self.nodes() - 1) * (BEATS.small + RENEWALS / LEASE.small)

    def wants(self) -> dict[str, float]:
        """Nodes, by what asks for them."""
        return {"copies": self.copies + 1,
                "processors": self.cores(True) / CORES.small / FULL.small,
                "home thread": self.home() / FULL.small,
                "writer thread": self.writers() / FULL.small,
                "network": self.sent() * 8 / LINK.small / 1e9 / FULL.small,
                "disk": self.to_disk() / DISK_RATE.small / 1e6 / FULL.small}

    def nodes(self) -> int:
        return math.ceil(max(self.wants().values()))

    def bound(self) -> str:
        wants = self.wants()
        return max(wants, key=lambda name: wants[name])

    def memory_gib(self) -> float:
        a_second = self.rate / self.nodes()
        kib = a_second * (REMOTE.small * DELIVERY.small + CLIENT.small * SESSION.small)
        peers = PEER_MEMORY.small * (self.nodes() - 1)
        return (MEMORY.small + BUFFERS.small + peers + kib / 1024) / 1024

    def queued(self) -> float:
        return self.millions * 1e6 * STAYS.small


LOADS = [Load(millions, octets, copies)
         for millions in (1, 10, 100) for octets in (SMALL, LARGE) for copies in (2, 3)]


# ------------------------------------------------------------------ tables

def row(cells: list[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(head: list[str], rows: list[list[object]]) -> str:
    ruler = "|---|" + "---:|" * (len(head) - 1)
    return "\n".join([row(head), ruler, *(row(cells) for cells in rows)])


def number(value: float) -> str:
    """Three digits that count; the machine's noise is larger."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, 2 - math.floor(math.log10(abs(value)))):,.{digits}f}"


def constants_table() -> str:
    return table(["what", "4 KB", "20 KB", "unit", "from"],
                 [[one.name, number(one.small),
                   "" if one.large is None else number(one.large), one.unit, one.source]
                  for one in CONSTANTS + ASSUMPTIONS])


def size(octets: int) -> str:
    return f"{octets // 1024} KB"


def load_table() -> str:
    rows = [[f"{load.millions} M", size(load.octets), load.copies, number(load.rate),
             number(load.cores(False)), number(load.cores(True)), load.nodes(), load.bound(),
             f"{100 * load.home() / load.nodes():.0f} %",
             number(load.sent() * 8 / 1e6 / load.nodes()),
             number(load.to_disk() / 1e6 / load.nodes()), number(load.rate / load.nodes()),
             number(load.syncs()), number(load.memory_gib()), load.nodes() * int(OPEN.small),
             number(load.leader_messages())] for load in LOADS]
    return table(["an hour", "size", "copies", "a second", "processors, plain",
                  "with TLS and DKIM", "nodes", "because of", "home thread",
                  "Mbit/s each way, a node", "MB/s to the disk, a node", "messages/s, a node",
                  "syncs/s at most, a node", "GiB of memory, a node", "partitions",
                  "leader: heartbeats and renewals/s, each way"], rows)


# ------------------------------------------------------------------ the control plane

@dataclass(frozen=True)
class Members:
    """What control_scale and pool_value say of a pool of so many, with two copies."""

    count: int
    value_octets: int
    encode_us: float
    decode_us: float
    quiet_messages: int    # a second, from the leader
    quiet_kib: float       # ... KiB
    core_ms: float         # ... processor time of the leader's core
    leader_lost_s: float   # until all has an owner
    tenth_lost_s: float
    tenth_commits: int
    restart_s: float       # all at once, until all is well

    @property
    def commit_mib(self) -> float:
        return self.value_octets * (self.count - 1) / MIB

    @property
    def leader_ms(self) -> float:
        return MEMBER.small + PEER.small * (self.count - 1) + self.core_ms


SIMULATED = [
    Members(3, 1519, 4, 7, 11, 1.9, 0.03, 10.8, 11.1, 9, 12.75),
    Members(10, 4326, 16, 27, 49, 15.6, 0.14, 10.95, 9.0, 11, 13.25),
    Members(30, 12_410, 30, 67, 156, 115, 0.6, 10.8, 9.25, 25, 13.0),
    Members(100, 40_972, 131, 207, 535, 1172, 5.4, 10.85, 9.9, 76, 13.25),
    Members(200, 81_972, 263, 403, 1075, 4591, 22.8, 10.8, 9.55, 128, 13.0),
]


def control_table() -> str:
    rows = [[one.count, one.count * int(OPEN.small), number(one.value_octets / 1024),
             number(one.commit_mib), f"{one.commit_mib * MIB * 8 / LINK.small / 1e6:.1f}",
             number(one.encode_us * (one.count - 1) / 1000), number(one.decode_us),
             one.quiet_messages, number(one.quiet_kib), number(one.core_ms),
             number(one.leader_ms), number(one.leader_lost_s), number(one.tenth_lost_s),
             one.tenth_commits, number(one.restart_s)] for one in SIMULATED]
    return table(["nodes", "partitions", "value, KiB", "a commit, MiB", "of the leader's link, ms",
                  "of its processor to encode it for all, ms", "to decode at each, us",
                  "quiet: messages/s from the leader", "KiB/s", "core of the leader, ms/s",
                  "leader in all, ms/s", "leader lost: taken over, s", "tenth lost: taken over, s",
                  "by commits", "all restart: well again, s"], rows)


# ------------------------------------------------------------------ takeover and healing

@dataclass(frozen=True)
class Loss:
    """Of one node, with its disk, in a pool that carries a load."""

    load: Load

    @property
    def nodes(self) -> int:
        return self.load.nodes()

    def messages(self) -> float:
        """That it owned."""
        return self.load.queued() / self.nodes

    def in_doubt(self) -> float:
        return self.load.rate / self.nodes * REMOTE.small

    def copiers(self) -> int:
        """Owners of what the dead node had copies of: its own partitions have new ones, and those
        that it held for others have theirs.
        """
        return min(self.nodes - 1, int(OPEN.small - 1) * self.load.copies)

    def octets(self) -> float:
        return self.messages() * self.load.copies * self.load.octets

    def heal_s(self) -> float:
        return self.octets() / self.copiers() / (HEAL.small * MIB)


def loss_table() -> str:
    rows = []
    for loss in map(Loss, LOADS):
        load = loss.load
        rows.append([f"{load.millions} M", size(load.octets), load.copies, loss.nodes,
                     number(load.queued()), number(loss.messages()), number(loss.in_doubt()),
                     f"{LEASE.small + BEYOND.small:.0f}", number(loss.octets() / MIB),
                     loss.copiers(), number(loss.heal_s())])
    return table(["an hour", "size", "copies", "nodes", "messages in the queue",
                  "of the dead node's own", "attempts in doubt", "taken over after at most, s",
                  "MiB to copy", "by so many owners", "whole again after, s"], rows)


# ------------------------------------------------------------------ the document

TABLES: dict[str, Callable[[], str]] = {"constants": constants_table, "load": load_table,
                                        "control": control_table, "loss": loss_table}


def with_tables(text: str) -> str:
    for name, make in TABLES.items():
        text = re.sub(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)",
                      lambda place, made=make(): f"{place[1]}{made}\n{place[2]}", text,
                      flags=re.DOTALL)
    return text


def main(arguments: list[str]) -> None:
    if "--write" in arguments:
        DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
        return
    print("\n\n".join(make() for make in TABLES.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
