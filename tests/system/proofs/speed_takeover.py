"""A point of the proof `speed`: survivors go on while they take over a dead node's mail."""

import time

from harness import wait
from harness.load_tools import Load, Sending, send
from harness.pool import PoolNode
from proofs.speed_peers import SpeedPool
from proofs.speed_rig import SESSIONS, Stage

KEPT_MIN = 0.8
KEEP_DEFERRED = {"queue": {"min_retry_age": "12h", "max_retry_age": "12h"}}
WINDOW_S, WINDOW_FULL_S = 10.0, 20.0
TAKEN_WITHIN_S = 120.0


def queued(nodes: list[PoolNode]) -> int:
    return sum(int(node.metrics()["posthorse_queue_messages"]) for node in nodes)


def loaded(pool: SpeedPool, node: PoolNode, messages: int) -> None:
    """Each is tried once, and has its copy."""
    send(Load(node.ports["mx"], messages, 40, size_bytes=1000, host=node.address,
              options=("--to", "taker@later.test")), timeout_s=3600)

    def idle() -> bool:
        figures = [one.metrics() for one in pool.nodes]
        return (sum(one["posthorse_queue_active_messages"] for one in figures) == 0
                and sum(one["posthorse_under_replicated_messages"] for one in figures) == 0
                and sum(one["posthorse_queue_messages"] for one in figures) == messages)

    wait.until(idle, "all are deferred, with their copies", 1200, every_s=0.5)


def delivered_a_second(pool: SpeedPool, since: tuple[float, int]) -> float:
    at, count = since
    return (pool.servers["sink.test"].count() - count) / (time.monotonic() - at)


def moment(pool: SpeedPool) -> tuple[float, int]:
    return time.monotonic(), pool.servers["sink.test"].count()


def window_over(since: tuple[float, int], seconds: float) -> None:
    wait.until(lambda: time.monotonic() - since[0] >= seconds, "the window is over", seconds + 10)


def takeover(stage: Stage) -> None:
    """Delivered/s of two survivors before a kill, and from it until all is theirs."""
    count = stage.messages(5000, 200_000)
    window_s = WINDOW_FULL_S if stage.full else WINDOW_S
    with SpeedPool(3, KEEP_DEFERRED | {"pool": {"copies": 2, "lease_ttl": "10s"}}) as pool:
        pool.start()
        with pool.watch.quiet():
            victim, *survivors = pool.nodes
            loaded(pool, victim, count)
            sendings = [Sending(Load(node.ports["mx"], 10**9, SESSIONS // 2, host=node.address))
                        for node in survivors]
            try:
                before, during, took = killed(pool, victim, survivors, count, window_s)
                ends = [sending.end() for sending in sendings]
            except BaseException:
                for sending in sendings:
                    sending.kill()
                raise
    scores = stage.scores
    scores.note(f"takeover of {count}: all listed by the survivors after", f"{took:.1f} s")
    scores.note("takeover: delivered/s before, and while", f"{before:.0f}, {during:.0f}")
    scores.note("takeover: longest wait of a client for 250",
                f"{max(one.max_ms for one in ends) / 1000:.2f} s; "
                f"{sum(one.failed for one in ends)} not taken")
    scores.at_least("takeover: survivors' delivered/s, of before", during / before, KEPT_MIN)


def killed(pool: SpeedPool, victim: PoolNode, survivors: list[PoolNode], count: int,
           window_s: float) -> tuple[float, float, float]:
    """Delivered/s before and while, and how long the taking over took."""
    window_over(moment(pool), 3)  # the load has begun
    since = moment(pool)
    window_over(since, window_s)
    before = delivered_a_second(pool, since)
    since = moment(pool)
    victim.kill()
    wait.until(lambda: queued(survivors) >= count, "the survivors have all", TAKEN_WITHIN_S,
               every_s=0.25)
    took = time.monotonic() - since[0]
    window_over(since, window_s)
    return before, delivered_a_second(pool, since), took
