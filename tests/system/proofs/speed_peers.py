"""Points of the proof `speed`: beside Postfix, one node and three."""

from collections.abc import Iterator
from contextlib import contextmanager

from harness import postfix
from harness.load_tools import FloorSink, Load
from harness.network import Host
from harness.node import Node
from harness.pool import Pool
from harness.postfix_root import PostfixRoot
from proofs.speed_rig import (CROWDED, SESSIONS, Case, Round, Stage, case_of, described, in_turn,
                              measured, routed)

DELIVERED_MIN = {"kept": 12.0, "new": 6.0}
CPU_MAX = {"kept": 1 / 15, "new": 1 / 8}
POOL_DELIVERED_MIN = 4.0


@contextmanager
def postfix_to(stage: Stage, sink: FloorSink) -> Iterator[postfix.Postfix]:
    settings = {"default_transport": f"smtp:[127.0.0.1]:{sink.port}",
                "smtp_connection_cache_on_demand": "yes",
                "in_flow_delay": "0"}  # else what comes in waits for what goes out
    with PostfixRoot() as root:
        with postfix.Postfix(root, stage.scratch / "postfix", settings) as theirs:
            yield theirs


def postfix_case(theirs: postfix.Postfix, sink: FloorSink, load: Load) -> Case:
    return Case("Postfix", load.messages,
                lambda messages: measured([theirs.pid], sink, [load.of(messages)]))


def beside_postfix(stage: Stage, kind: str) -> None:
    kept, scores = kind == "kept", stage.scores
    with FloorSink() as sink, postfix_to(stage, sink) as theirs:
        with Node(routed(sink), folder=stage.folder("node")) as ours:
            medians = in_turn(
                [postfix_case(theirs, sink, Load(theirs.port, stage.messages(2500, 5000),
                                                 kept=kept)),
                 case_of("node", ours, sink, Load(ours.ports["mx"],
                                                  stage.messages(12_000, 40_000), kept=kept))],
                stage.rounds)
    for name, one in medians.items():
        scores.note(f"connections {kind}: {name}", described(one))
    node, other = medians["node"], medians["Postfix"]
    scores.at_least(f"connections {kind}: delivered/s, times Postfix's",
                    node.delivered / other.delivered, DELIVERED_MIN[kind])
    scores.at_most(f"connections {kind}: CPU a message, of Postfix's",
                   node.cpu_us / other.cpu_us, CPU_MAX[kind])


def kept(stage: Stage) -> None:
    beside_postfix(stage, "kept")


def new(stage: Stage) -> None:
    beside_postfix(stage, "new")


class Loopback:
    """Addresses of this host instead of hosts: no switch in between takes its share of the
    processors.
    """

    gateway = "127.0.0.1"

    def __init__(self, size: int) -> None:
        self.hosts = [_LoopbackHost("loopback", f"127.0.0.{number + 2}")
                      for number in range(size)]

    def close(self) -> None:
        """Nothing was made."""


class _LoopbackHost(Host):
    @property
    def wrapper(self) -> list[str]:
        return []


class SpeedPool(Pool):
    """Nodes on loopback and the disk, with fast sinks; nobody asks them all the time."""

    folder_parent = "/var/tmp"

    def __init__(self, size: int, settings: dict) -> None:
        self._size = size
        super().__init__(size, {"pool": {"lease_ttl": "10s"}} | CROWDED | settings)

    def make_network(self, size: int) -> Loopback:
        return Loopback(size)

    def make_servers(self) -> dict[str, FloorSink]:
        return {"sink.test": FloorSink(), "later.test": FloorSink(options=("--defer-all",))}

    def loads(self, messages: int, sessions: int = SESSIONS) -> list[Load]:
        """At all nodes that run."""
        nodes = [node for node in self.nodes if node.running()]
        return [Load(node.ports["mx"], messages // len(nodes), -(-sessions // len(nodes)),
                     host=node.address) for node in nodes]


def pool_round(pool: SpeedPool, messages: int) -> Round:
    return measured([node.pid for node in pool.nodes], pool.servers["sink.test"],
                    pool.loads(messages))


def pool(stage: Stage) -> None:
    """Three nodes with two copies of each message, and a Postfix with one."""
    scores = stage.scores
    with SpeedPool(3, {"pool": {"copies": 2, "lease_ttl": "10s"}}) as three:
        three.start()
        with FloorSink() as sink, postfix_to(stage, sink) as theirs, three.watch.quiet():
            medians = in_turn(
                [postfix_case(theirs, sink, Load(theirs.port, stage.messages(2500, 5000))),
                 Case("three nodes", stage.messages(6000, 20_000),
                      lambda messages: pool_round(three, messages))], stage.rounds)
    for name, one in medians.items():
        scores.note(f"three nodes: {name}", described(one))
    scores.at_least("three nodes: delivered/s, times one Postfix's",
                    medians["three nodes"].delivered / medians["Postfix"].delivered,
                    POOL_DELIVERED_MIN)


