"""Moments in the life of a pool that several proofs wait for and measure."""

import statistics
import time
from collections.abc import Callable, Iterable

from harness import wait
from harness.loader import Loader
from harness.pool import Pool, PoolNode
from proofs.figures import require

TAKEOVER_S = 2.0    # beyond the lease
AGREE_S = 30.0      # after a fault ends; what is measured is printed


def spread(times: list[float]) -> str:
    """Median and worst."""
    return f"{statistics.median(times):.2f} s, {max(times):.2f} s (of {len(times)})"


def timed(condition: Callable, what: str, within_s: float, since: float, pool: Pool) -> float:
    """Seconds from `since` until the condition holds; falls short when later than `within_s`."""
    try:
        wait.until(condition, what, max(within_s * 3, 10))
    except wait.GaveUp as gave_up:
        raise AssertionError(f"{gave_up}\n{pool.described()}") from None
    took = time.monotonic() - since
    require(took <= within_s, f"{what}: took {took:.2f} s, not {within_s:.1f} s")
    return took


def pause_until(moment: float) -> None:
    """The length of a fault is its nature, not a wait for something."""
    time.sleep(max(moment - time.monotonic(), 0))


def others_than(pool: Pool, *gone: PoolNode) -> list[PoolNode]:
    return [node for node in pool.nodes if node not in gone]


def views(pool: Pool, nodes: Iterable[PoolNode], since: float) -> list:
    return pool.watch.answers([node.socket for node in nodes], since) or []


def id_of(pool: Pool, node: PoolNode) -> str:
    return pool.fresh(node).this_node.id


def owned_by_others(pool: Pool, nodes: list[PoolNode], node_id: str,
                    since: float) -> Callable[[], bool]:
    """Whether all nodes know that this one owns nothing, be it there still or not."""
    def condition() -> bool:
        seen = views(pool, nodes, since)
        return bool(seen) and not any(partition.owner_id == node_id for one in seen
                                      for partition in one.partitions)
    return condition


def given_away(pool: Pool, nodes: list[PoolNode], lost: Iterable[str],
               since: float) -> Callable[[], bool]:
    """Whether all nodes know that the lost ones have ended and own nothing."""
    lost = set(lost)

    def condition() -> bool:
        seen = views(pool, nodes, since)
        return bool(seen) and not any(
            any(member.live and member.id in lost for member in one.members) or
            any(partition.owner_id in lost for partition in one.partitions) for one in seen)
    return condition


def takes_mail(node: PoolNode, name: str, count: int = 5) -> bool:
    """As soon as it says that it is ready: a member has still to open its ports."""
    wait.until(node.ready, f"{node.name} is ready", AGREE_S)
    tally = Loader(node.ports["mx"], sessions=1, name=name, host=node.address).run(count)
    return len(tally.acknowledged) == count
