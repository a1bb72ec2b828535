"""Points of the proof `speed`: as work grows, in sessions, destinations and a deferred queue."""

import statistics
import time
from collections.abc import Callable

from harness import wait
from harness.load_tools import FloorSink, Load, send
from harness.node import Node, merged, run_posthorse
from proofs.speed_rig import Round, Stage, case_of, described, in_turn, node_and_sink, routed

SPREAD_MAX = 1.5
DEFERRED_FULL, DEFERRED_FEW = 1_000_000, 20_000
START_MAX_S, MEMORY_MAX_MB, ACCEPTED_MIN = 5.0, 300.0, 0.9
SUMMARY_MAX_S, PAGE_MAX_S = 1.0, 0.1
PAGE = 50
KEEP_DEFERRED = {"queue": {"min_retry_age": "12h", "max_retry_age": "12h"}}


def judge_spread(stage: Stage, what: str, medians: dict[str, Round]) -> None:
    for name, one in medians.items():
        stage.scores.note(name, described(one))
    costs = [one.cpu_us for one in medians.values()]
    stage.scores.at_most(f"CPU a message at {what}, worst of best", max(costs) / min(costs),
                         SPREAD_MAX)


def sessions(stage: Stage) -> None:
    with node_and_sink(stage, "node") as (node, sink):
        cases = [case_of(f"{count} sessions", node, sink,
                         Load(node.ports["mx"], stage.messages(4000, 40_000), count))
                 for count in (10, 100, 1000)]
        judge_spread(stage, "10, 100, 1000 sessions", in_turn(cases, stage.rounds))


def destinations(stage: Stage) -> None:
    """As many messages as destinations at the most, so that each is met."""
    most = stage.messages(20_000, 100_000)
    with node_and_sink(stage, "node") as (node, sink):
        cases = [case_of(f"{count} destinations", node, sink,
                         Load(node.ports["mx"], most, options=("--domains", str(count))))
                 for count in (1, 1000, most)]
        judge_spread(stage, f"1, 1000, {most} destinations",
                     in_turn(cases, stage.rounds))


def times_s(run: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(5):
        began = time.monotonic()
        run()
        took.append(time.monotonic() - began)
    return took


def memory_mb(node: Node, field: str) -> float:
    return node.memory_kib(field) * 1024 / 1e6


def fill(node: Node, messages: int) -> None:
    """Each is tried once, and deferred."""
    send(Load(node.ports["mx"], messages, 40, size_bytes=1000,
              options=("--to", "taker@later.test")), timeout_s=3600)

    def idle() -> bool:
        samples = node.metrics()
        return (samples["posthorse_queue_messages"] == messages
                and samples["posthorse_queue_active_messages"] == 0)

    wait.until(idle, f"{messages} are deferred", 3600, every_s=0.5)


def restarted(stage: Stage, node: Node, count: int) -> None:
    scores = stage.scores
    scores.at_most(f"{count} deferred: memory at its peak while they came, MB",
                   memory_mb(node, "VmHWM"), MEMORY_MAX_MB)
    node.stop(timeout_s=120)
    began = time.monotonic()
    node.start()
    scores.at_most(f"{count} deferred: start-up, s", time.monotonic() - began, START_MAX_S)


def asked(stage: Stage, node: Node, count: int) -> None:
    scores = stage.scores
    summary = statistics.median(times_s(lambda: node.cli("queue", "summary")))
    page = statistics.median(times_s(lambda: node.cli("queue", "ls", "--limit", str(PAGE))))
    nothing = statistics.median(times_s(lambda: run_posthorse("--version")))
    scores.note("a command that asks nothing, s", f"{nothing:.3g}")
    scores.at_most(f"{count} deferred: `queue summary`, s", summary, SUMMARY_MAX_S)
    scores.at_most(f"{count} deferred: `queue ls`, its first {PAGE}, s", page, PAGE_MAX_S)


def deferred(stage: Stage) -> None:
    count = stage.messages(DEFERRED_FEW, DEFERRED_FULL)
    messages = stage.messages(8000, 20_000)
    with (FloorSink(options=("--defer", "later.test")) as sink,
          Node(merged(routed(sink), KEEP_DEFERRED), folder=stage.folder("full")) as full,
          Node(routed(sink), folder=stage.folder("empty")) as empty):
        fill(full, count)
        restarted(stage, full, count)
        medians = in_turn([case_of("empty queue", empty, sink, Load(empty.ports["mx"], messages)),
                           case_of("deferred queue", full, sink,
                                   Load(full.ports["mx"], messages))], stage.rounds)
        asked(stage, full, count)
        peak = memory_mb(full, "VmHWM")
    scores = stage.scores
    scores.at_most(f"{count} deferred: memory at its peak since the start, MB", peak,
                   MEMORY_MAX_MB)
    for name, one in medians.items():
        scores.note(f"{count} deferred: {name}", described(one))
    scores.at_least(f"{count} deferred: accepted/s, of the empty queue's",
                    medians["deferred queue"].accepted / medians["empty queue"].accepted,
                    ACCEPTED_MIN)
