"""What the points of the proof `speed` have in common: rounds in turn, and figures with bounds."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.load_tools import FloorSink, Load, send_all
from harness.node import TRUSTING, Node, merged
from harness.processes import cpu_seconds, descendants
from proofs.figures import Figures

SESSIONS = 50  # fewer would wait for the disk, and a processor idle
SIZE_BYTES = 4096
CROWDED = {"intake": {"sessions_max": 2000, "sessions_per_client_max": 2000}}


class Scores:
    """Every figure with its bound; those that fall short are told once more at the end."""

    def __init__(self, title: str) -> None:
        self._figures = Figures(title)
        self.faults: list[str] = []

    def note(self, name: str, value: object) -> None:
        self._figures.add(name, value)

    def at_least(self, name: str, value: float, bound: float) -> None:
        self._judge(name, value, f"at least {bound:.4g}", value >= bound)

    def at_most(self, name: str, value: float, bound: float) -> None:
        self._judge(name, value, f"at most {bound:.4g}", value <= bound)

    def _judge(self, name: str, value: float, bound: str, holds: bool) -> None:
        text = f"{value:.4g} ({bound}): {'holds' if holds else 'FALLS SHORT'}"
        self._figures.add(name, text)
        print(f"  {name}: {text}", flush=True)
        if not holds:
            self.faults.append(f"{name}: {text}")

    def show(self) -> None:
        self._figures.show()


@dataclass(frozen=True)
class Stage:
    scratch: Path  # on the disk, not in memory: everything is to sync for real
    full: bool
    scores: Scores

    @property
    def rounds(self) -> int:
        return 7 if self.full else 5

    def messages(self, few: int, many: int) -> int:
        return many if self.full else few

    def folder(self, name: str) -> Path:
        path = self.scratch / name
        path.mkdir()
        return path


@dataclass(frozen=True)
class Round:
    accepted: float   # messages a second until the last 250
    delivered: float  # ... until the sink has them all
    cpu_us: float     # of the server's processes, a message


@dataclass(frozen=True)
class Case:
    name: str
    messages: int
    run: Callable[[int], Round]


def measured(pids: list[int], sink: FloorSink, loads: list[Load]) -> Round:
    """What the loads, at once, cost processes and all below them."""
    def cpu() -> float:
        return sum(cpu_seconds(descendants(pid)) for pid in pids)

    there, before, began = sink.count(), cpu(), time.monotonic()
    sent = send_all(loads)
    messages = sum(one.messages for one in sent)
    delivered = sink.wait_for(there + messages)
    return Round(messages / max(one.seconds for one in sent), messages / (delivered - began),
                 (cpu() - before) / messages * 1e6)


def in_turn(cases: list[Case], rounds: int) -> dict[str, Round]:
    """Medians; the order changes each time, and a first, shorter round warms up."""
    found: dict[str, list[Round]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        for case in cases if number % 2 else reversed(cases):
            one = case.run(case.messages if number else case.messages // 4)
            print(f"  round {number} {case.name:<22} {one.accepted:8.0f} accepted/s "
                  f"{one.delivered:8.0f} delivered/s {one.cpu_us:8.1f} us", flush=True)
            if number:
                found[case.name].append(one)
    return {name: Round(*(statistics.median(getattr(one, field) for one in rows)
                          for field in ("accepted", "delivered", "cpu_us")))
            for name, rows in found.items()}


def described(one: Round) -> str:
    return (f"{one.accepted:.0f} accepted/s, {one.delivered:.0f} delivered/s, "
            f"{one.cpu_us:.0f} us CPU a message")


def routed(sink: FloorSink, domains: tuple[str, ...] = (".test",)) -> dict:
    """Settings: a node that takes mail from this machine, for a sink."""
    return merged(merged(TRUSTING, CROWDED), {"delivery": {"route": [
        {"domain": domain, "next_hop": f"smtp:[{sink.host}]:{sink.port}"} for domain in domains]}})


@contextmanager
def node_and_sink(stage: Stage, name: str,
                  settings: dict | None = None) -> Iterator[tuple[Node, FloorSink]]:
    """A node on the disk whose mail, for whatever domain below test, goes to a sink."""
    with ExitStack() as stack:
        sink = stack.enter_context(FloorSink())
        node = Node(merged(routed(sink), settings or {}), folder=stage.folder(name))
        yield stack.enter_context(node), sink


def case_of(name: str, node: Node, sink: FloorSink, load: Load) -> Case:
    return Case(name, load.messages,
                lambda messages: measured([node.pid], sink, [load.of(messages)]))
