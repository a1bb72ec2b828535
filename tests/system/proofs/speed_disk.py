"""Points of the proof `speed`: against the disk, which nobody who keeps mail can do without."""

import itertools
import statistics
from contextlib import contextmanager
from collections.abc import Iterator
from pathlib import Path

from harness.load_tools import FloorSink, Load, Sent, send
from harness.node import Node
from proofs.speed_rig import (SESSIONS, SIZE_BYTES, Case, Round, Stage, case_of, described, in_turn,
                              node_and_sink)

ACCEPTED_MIN = 0.6      # of the floor's
LOG_BYTES_MAX = 1.3     # of the write-ahead log, for each byte of mail
WRITTEN_BYTES_MAX = 2.0  # in all, likewise
P99_MAX = 3.0           # of the disk's own
LOG_PAGE_BYTES = 4096
SETTLE_S = 1.0          # until all sessions are there


@contextmanager
def floor_of(stage: Stage, name: str, options: tuple[str, ...] = ()) -> Iterator[FloorSink]:
    with FloorSink(stage.folder(name) / "bodies", options) as sink:
        yield sink


def floor_case(sink: FloorSink, messages: int) -> Case:
    def run(count: int) -> Round:
        sent = send(Load(sink.port, count))
        return Round(sent.rate, sent.rate, 0)

    return Case("floor", messages, run)


def accepting_case(node: Node, sink: FloorSink, load: Load) -> Case:
    """A receiver that stands still: the processors are there for accepting, as the floor's are."""
    def run(count: int) -> Round:
        there = sink.count()
        with sink.still():
            sent = send(load.of(count))
        sink.wait_for(there + count)
        return Round(sent.rate, 0, 0)

    return Case("accepting alone", load.messages, run)


def floor(stage: Stage) -> None:
    """Accepted/s, with nothing delivered; then also while what was accepted is."""
    messages = stage.messages(5000, 20_000)
    with node_and_sink(stage, "node") as (node, sink), floor_of(stage, "floor") as bare:
        load = Load(node.ports["mx"], messages)
        medians = in_turn([floor_case(bare, messages), accepting_case(node, sink, load),
                           case_of("delivering, too", node, sink, load)], stage.rounds)
    most = medians["floor"].accepted
    both = medians["delivering, too"]
    stage.scores.note("against the floor: a sink that only syncs", f"{most:.0f} accepted/s")
    stage.scores.note("against the floor: node that delivers meanwhile",
                      f"{described(both)}; {both.accepted / most:.3f} of the floor's accepted/s")
    stage.scores.at_least("against the floor: accepted/s, of the floor's",
                          medians["accepting alone"].accepted / most, ACCEPTED_MIN)


def log_bytes(node: Node) -> int:
    """Of the write-ahead log, all of which is there: the write buffers are never full. Files are
    longer than what is in them: pages of the log itself have its number (storage/FORMAT.md).
    """
    return sum(LOG_PAGE_BYTES * pages_of_log(path) for path in Path(node.data).rglob("*.log"))


def pages_of_log(path: Path) -> int:
    octets, number = path.read_bytes(), int(path.stem).to_bytes(8, "big")
    heads = (octets[at + 8:at + 16] for at in range(0, len(octets), LOG_PAGE_BYTES))
    return sum(1 for _ in itertools.takewhile(lambda head: head == number, heads))


def written_bytes(node: Node) -> int:
    """What the process gave to the disk, or to pages that go there."""
    rows = Path(f"/proc/{node.pid}/io").read_text().splitlines()
    values = dict(row.split(": ") for row in rows)
    return int(values["write_bytes"])


def log_growth(stage: Stage, size_bytes: int, messages: int) -> float:
    """Bytes of the log for each byte of mail, accepted and delivered."""
    roomy = {"queue": {"write_buffer_bytes": "1GiB"}}
    with node_and_sink(stage, f"log-{size_bytes}", roomy) as (node, sink):
        before = log_bytes(node)
        send(Load(node.ports["mx"], messages, size_bytes=size_bytes))
        sink.wait_for(messages)
        return (log_bytes(node) - before) / messages / size_bytes


def disk(stage: Stage) -> None:
    scores = stage.scores
    scores.at_most("disk: bytes of the log for each byte of mail, 4 KB",
                   log_growth(stage, SIZE_BYTES, 4000), LOG_BYTES_MAX)
    scores.at_most("disk: bytes of the log for each byte of mail, 20 KB",
                   log_growth(stage, 20_000, 1000), LOG_BYTES_MAX)
    messages = stage.messages(20_000, 100_000)  # more than the write buffers hold
    with node_and_sink(stage, "written") as (node, sink):
        before, lines_before = written_bytes(node), node.log.stat().st_size
        send(Load(node.ports["mx"], messages))
        sink.wait_for(messages)
        written = (written_bytes(node) - before) / messages / SIZE_BYTES
        lines = (node.log.stat().st_size - lines_before) / messages / SIZE_BYTES
    scores.note("disk: of these, log lines for people", f"{lines:.3f}")
    scores.at_most("disk: bytes written in all for each byte of mail", written, WRITTEN_BYTES_MAX)


def paced(port: int, rate: float, seconds: float) -> Sent:
    sent = send(Load(port, max(int(rate * (seconds + SETTLE_S)), 1), SESSIONS * 2,
                     options=("--rate", f"{rate:.1f}", "--settle", str(SETTLE_S))))
    print(f"  {sent.messages} at {rate:.0f}/s: p50 {sent.p50_ms:.2f} ms, p99 {sent.p99_ms:.2f} ms, "
          f"late {sent.late_p99_ms:.2f} ms", flush=True)
    return sent


def disk_p99(stage: Stage, name: str, rate: float, seconds: float) -> tuple[float, Sent]:
    """Of fdatasync while a sink keeps as many messages in a log; a sink of its own each time."""
    with floor_of(stage, name, ("--append",)) as bare:
        sent = paced(bare.port, rate, seconds)
        return bare.stop()["sync_p99_ms"], sent


def latency(stage: Stage) -> None:
    """End of data to 250 at half the load that the node goes on with, what it takes being
    delivered meanwhile, and the disk at the same.
    """
    scores, seconds = stage.scores, 20.0 if stage.full else 4.0
    messages = stage.messages(8000, 20_000)
    disks, nodes, bare = [], [], []
    with node_and_sink(stage, "node") as (node, sink):
        port = node.ports["mx"]
        load = case_of("node", node, sink, Load(port, messages))
        most = in_turn([load], 3)["node"].delivered
        taken = sink.count()
        for number in range(stage.rounds):
            sink.wait_for(taken)
            p99_ms, floor_sent = disk_p99(stage, f"floor-{number}", most / 2, seconds)
            disks.append(p99_ms)
            bare.append(floor_sent.p99_ms)
            nodes.append(paced(port, most / 2, seconds))
            taken += nodes[-1].messages
    p99 = statistics.median(one.p99_ms for one in nodes)
    disk_ms = statistics.median(disks)
    late = statistics.median(one.late_p99_ms for one in nodes)
    scores.note("half load: messages a second; p99 of how late they are begun",
                f"{most / 2:.0f}; {late:.2f} ms")
    scores.note("half load: end of data to 250, p50 and p99",
                f"{statistics.median(one.p50_ms for one in nodes):.2f} ms, {p99:.2f} ms; the "
                f"floor's p99 {statistics.median(bare):.2f} ms")
    scores.note("half load: the disk's p99 of fdatasync", f"{disk_ms:.2f} ms")
    scores.at_most("half load: p99 to 250, of the disk's p99", p99 / disk_ms, P99_MAX)
