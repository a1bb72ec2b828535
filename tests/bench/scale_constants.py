#!/usr/bin/env python3
"""What a message, and a peer, costs the nodes of a pool: constants of docs/scale.md that only a
run gives.

Place     By hand, on a machine with nothing else to do; some minutes. As the proofs are run:
          POSTHORSE=... PYTHONPATH=tests/system /usr/bin/python3 tests/bench/scale_constants.py
          [idle | 1 | 2 | 3]
Contract  `1`, `2`, `3`: a pool of three nodes with so many copies; all mail goes to one of them,
          which owns it and delivers it. For a message: processor time of the owner and of all
          holders, by thread; octets that were handed to the disk, and that nodes sent each other
          before encryption; operations that shared a sync. What they use while idle is
          subtracted. In clear, unsigned, connections kept.
          `idle`: what leader and followers use, and have in memory, in pools of three, five
          and seven nodes.
          Without an argument all of it.
"""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness import wait
from harness.loader import Loader
from harness.mail_pool import MailPool
from harness.pool import PoolNode

COPIES = ("1", "2", "3")
SIZES_BYTES = (4096, 20_480)
POOLS = (3, 5, 7)
MESSAGES, WARM_UP = 2000, 300
SESSIONS = 20
IDLE_S = 5.0
THREADS_SHOWN = 8
SENT = 'posthorse_replication_bytes_total{way="sent"}'


@dataclass(frozen=True)
class Use:
    """Of a node since its start."""

    at: float
    threads: Counter  # seconds of processor time, by name
    disk_bytes: int
    metrics: dict[str, float]


def use_of(node: PoolNode) -> Use:
    threads: Counter = Counter()
    for task in Path(f"/proc/{node.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        threads[name] += int((task / "schedstat").read_text().split()[0]) / 1e9
    lines = Path(f"/proc/{node.pid}/io").read_text().splitlines()
    counts = dict(line.split(": ") for line in lines)
    return Use(time.monotonic(), threads, int(counts["write_bytes"]), node.metrics())


@dataclass(frozen=True)
class Cost:
    """Of a node, between two looks."""

    seconds: float
    threads: Counter
    disk_bytes: float
    sent_bytes: float
    syncs: float
    synced: float

    @property
    def processor_s(self) -> float:
        return sum(self.threads.values())

    @property
    def share(self) -> float:
        """Of one processor."""
        return self.processor_s / self.seconds


def cost(before: Use, after: Use) -> Cost:
    def grew(name: str) -> float:
        return after.metrics.get(name, 0) - before.metrics.get(name, 0)

    threads = Counter({name: seconds - before.threads[name]
                       for name, seconds in after.threads.items()})
    return Cost(after.at - before.at, threads, after.disk_bytes - before.disk_bytes, grew(SENT),
                grew("posthorse_store_syncs"), grew("posthorse_store_synced_operations"))


def looked(pool: MailPool) -> list[Use]:
    return [use_of(node) for node in pool.nodes]


def costs(before: list[Use], after: list[Use]) -> list[Cost]:
    return [cost(one, other) for one, other in zip(before, after)]


def idle(pool: MailPool) -> list[Cost]:
    with pool.watch.quiet():
        before = looked(pool)
        time.sleep(IDLE_S)
        return costs(before, looked(pool))


def send(pool: MailPool, size_bytes: int, messages: int, name: str) -> None:
    """To the first node, until all have arrived."""
    node, sink = pool.nodes[0], pool.servers["sink.test"]
    there = len(sink.attempts())
    tally = Loader(node.ports["mx"], SESSIONS, size_bytes, name=name, host=node.address,
                   recipient="taker@sink.test").run(messages)
    if len(tally.acknowledged) != messages:
        raise AssertionError(f"{len(tally.acknowledged)} of {messages} were taken")
    wait.until(lambda: len(sink.attempts()) >= there + messages, "all arrived", 60)


def each(amount: float) -> str:
    return f"{amount / MESSAGES:.0f}"


def by_thread(threads: Counter) -> str:
    return ", ".join(f"{name} {each(seconds * 1e6)}"
                     for name, seconds in threads.most_common(THREADS_SHOWN))


def show(title: str, found: list[Cost], share_idle: float) -> None:
    owner, holders = found[0], found[1:]
    busy_us = [1e6 * (one.processor_s - share_idle * one.seconds) for one in found]
    all_threads = sum((one.threads for one in holders), Counter())
    held_together = (sum(one.synced for one in holders)
                     / max(sum(one.syncs for one in holders), 1))
    print(f"\n{title}: {MESSAGES} messages in {owner.seconds:.1f} s; for a message:\n"
          f"  processor us, owner and all holders: {each(busy_us[0])}, {each(sum(busy_us[1:]))}\n"
          f"  threads of the owner: {by_thread(owner.threads)}\n"
          f"  threads of the holders: {by_thread(all_threads)}\n"
          f"  octets to the disk, owner and all holders: {each(owner.disk_bytes)}, "
          f"{each(sum(one.disk_bytes for one in holders))}\n"
          f"  octets sent to nodes, by the owner and by the holders: {each(owner.sent_bytes)}, "
          f"{each(sum(one.sent_bytes for one in holders))}\n"
          f"  operations a sync at the owner: {owner.synced / max(owner.syncs, 1):.1f}, at the "
          f"holders: {held_together:.1f}",
          flush=True)


def measure_messages(copies: int) -> None:
    settings = {"pool": {"copies": copies, "lease_ttl": "10s"}, "shards": 2}
    with MailPool(3, settings=settings) as pool:
        pool.start()
        pool.votes_settled()
        resting = idle(pool)
        for size_bytes in SIZES_BYTES:
            send(pool, size_bytes, WARM_UP, f"warm-{copies}-{size_bytes}")
            with pool.watch.quiet():
                before = looked(pool)
                send(pool, size_bytes, MESSAGES, f"load-{copies}-{size_bytes}")
                found = costs(before, looked(pool))
            show(f"{size_bytes} octets, {copies} copies", found,
                 sum(one.share for one in resting) / len(resting))
        print("  memory of the nodes, MiB:",
              *(f"{node.memory_kib() / 1024:.0f}" for node in pool.nodes))


def measure_idle() -> None:
    for size in POOLS:
        with MailPool(size) as pool:
            leader = pool.nodes.index(pool.start())
            pool.votes_settled()
            shares = [1000 * one.share for one in idle(pool)]
            followers = [share for at, share in enumerate(shares) if at != leader]
            memory = sum(node.memory_kib() for node in pool.nodes) / size / 1024
            print(f"{size} idle nodes: ms of processor time a second, leader {shares[leader]:.1f}, "
                  f"a follower {sum(followers) / len(followers):.1f}; memory {memory:.1f} MiB each",
                  flush=True)


def main(wanted: list[str]) -> None:
    for name in wanted or ("idle", *COPIES):
        if name == "idle":
            measure_idle()
        else:
            measure_messages(int(name))


if __name__ == "__main__":
    main(sys.argv[1:])
