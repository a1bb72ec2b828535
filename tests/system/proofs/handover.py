"""Mail goes over to others when a node dies, is replaced or leaves: nothing lost, nothing twice.

1. The acceptance test: mail that a closed destination defers is listed by every node; one node dies
   with its disk, a new one comes in its place; the same ids are listed everywhere; the destination
   opens; everything arrives once, and the queue is empty everywhere.
2. Rolling replacement under load: each node leaves, its disk is destroyed, a new one comes, and the
   next leaves only when the newcomer says that it is ready. Then the same by kill -9.
3. Three of six nodes leave at once under load, and their disks are destroyed.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from harness import wait
from harness.crowd import Habits
from harness.mail_pool import MailPool
from harness.pool import PoolNode
from proofs.figures import Figures, require

READY_S = 60.0   # from the start of a newcomer to its readiness
LISTED_S = 30.0  # beyond a lease: until all list what they shall


@dataclass(frozen=True)
class Run:
    full: bool
    lease_s: float
    figures: Figures
    etcd: int = 0  # the pools are on an etcd of so many members

    def pool(self, size: int, domains: dict[str, str], when_short: str = "degrade") -> MailPool:
        return MailPool(size, domains, {"pool": {"lease_ttl": f"{self.lease_s:.0f}s",
                                                 "when_short": when_short}}, etcd=self.etcd)


def all_list(pool: MailPool, wanted: set[str], within_s: float) -> float:
    """Waits until every node lists just these ids, and says that these are all: seconds."""
    began = time.monotonic()
    last: dict[str, str] = {}

    def condition() -> bool:
        dumps = {node.name: pool.dump(node) for node in pool.running()}
        ids = {name: {message.queue_id for message in dump.messages}
               for name, dump in dumps.items()}
        last.update({name: f"{len(wanted ^ ids[name])} {' '.join(dumps[name].missing)}"
                     for name in dumps})
        return all(ids[name] == wanted and not dumps[name].missing for name in dumps)

    try:
        wait.until(condition, f"every node lists the {len(wanted)} messages", within_s, every_s=0.2)
    except wait.GaveUp:
        raise AssertionError(f"after {within_s:.0f} s nodes list too few or too many: {last}\n"
                             f"{pool.described()}") from None
    return time.monotonic() - began


def becomes_ready(pool: MailPool, node: PoolNode) -> float:
    """Starts it, and waits as whoever replaces nodes one after another does: seconds."""
    began = time.monotonic()
    node.start(timeout_s=READY_S)
    return time.monotonic() - began


def speak_to_each_other(pool: MailPool) -> None:
    """A pool that has just begun refuses mail for a moment: nobody can take a copy of it yet."""
    others = len(pool.nodes) - 1
    for node in pool.nodes:
        wait.until(lambda node=node: node.ready() and
                   node.metrics()['posthorse_replication_streams{way="kept"}'] == others,
                   f"{node.name} keeps a stream to every other", 30)


# ------------------------------------------------------------------ the acceptance test

def acceptance(run: Run) -> None:
    count = 3000 if run.full else 300
    with run.pool(3, {"sink.test": "defer"}) as pool:
        pool.start()
        speak_to_each_other(pool)
        habits = Habits(sizes=(1000, 4000, 20_000), null_senders=0)
        sent = pool.crowd(habits, "acceptance").run(count)
        require(len(sent) == count and all(one.taken for one in sent),
                f"{sum(one.taken for one in sent)} of {len(sent)} got 250")
        ids = {one.reply.rsplit(" ", 1)[1] for one in sent}
        run.figures.add("acceptance: every node lists all that are deferred",
                        f"{len(ids)}, {all_list(pool, ids, LISTED_S):.2f} s")
        pool.copied()
        victim = pool.nodes[1]
        killed_at = time.monotonic()
        pool.kill(victim)
        pool.destroy_disk(victim)
        became = becomes_ready(pool, victim)
        require(pool.forget_the_dead() == 1, "one node is dead")
        all_list(pool, ids, run.lease_s + LISTED_S)
        run.figures.add("  one died, a new one is ready and lists them too",
                        f"{became:.2f} s, {time.monotonic() - killed_at:.2f} s after the kill")
        pool.set_modes("accept")
        run.figures.add("  delivered after the destination opened", f"{pool.drain():.2f} s")
        verdict = pool.verdict(sent)
        run.figures.add_verdict(verdict)
        require(verdict.counts["repeated"] == 0, "what no receiver ever took cannot come twice")


# ------------------------------------------------------------------ one after the other

BUSY = {"sink.test": "accept", "slow.test": "slow", "none.test": "bounce", "later.test": "defer"}


def replaced_in_order(pool: MailPool, node: PoolNode) -> tuple[float, float]:
    left = pool.leave(node)
    pool.destroy_disk(node)
    return left, becomes_ready(pool, node)


def replaced_after_death(pool: MailPool, node: PoolNode) -> tuple[float, float]:
    began = time.monotonic()
    pool.kill(node)
    pool.destroy_disk(node)
    ready = becomes_ready(pool, node)
    return time.monotonic() - began - ready, ready


WAYS = {"leave, disk destroyed": replaced_in_order,
        "kill -9, disk destroyed": replaced_after_death}


def rolling(run: Run, ways: dict[str, Callable] | None = None) -> None:
    # Who dies with its disk takes along what only it was let have.
    with run.pool(3, BUSY, "refuse") as pool:
        pool.start()
        ways = ways or WAYS | ({"leave, again": replaced_in_order} if run.full else {})
        with pool.crowd(Habits(domains=tuple(BUSY), rate=40), "rolling") as crowd:
            for name, way in ways.items():
                times = [way(pool, node) for node in list(pool.nodes)]
                pool.settled()
                run.figures.add(f"rolling: {name}: gone, newcomer ready; the worst",
                                f"{max(gone for gone, _ in times):.2f} s, "
                                f"{max(ready for _, ready in times):.2f} s")
            sent = crowd.stop()
        pool.forget_the_dead()
        pool.set_modes("accept")
        pool.drain()
        run.figures.add_verdict(pool.verdict(sent))


# ------------------------------------------------------------------ many at once

def half_leaves(run: Run) -> None:
    with run.pool(6, BUSY) as pool:
        pool.start()
        with pool.crowd(Habits(domains=tuple(BUSY), rate=40), "half") as crowd:
            wait.until(lambda: crowd.acknowledged > 300, "mail is accepted", 60)
            leavers = pool.nodes[:3]
            with ThreadPoolExecutor(len(leavers)) as threads:
                left = list(threads.map(pool.leave, leavers))
            for node in leavers:
                pool.destroy_disk(node)
            seen = crowd.acknowledged
            wait.until(lambda: crowd.acknowledged > seen + 200, "the others take mail", 60)
            sent = crowd.stop()
        pool.settled(pool.running())
        pool.set_modes("accept")
        pool.drain()
        run.figures.add("three of six leave at once, disks destroyed; the slowest left in",
                        f"{max(left):.2f} s")
        verdict = pool.verdict(sent)
        run.figures.add_verdict(verdict)
        again = verdict.repeats["sent again"]
        require(verdict.counts["repeated"] == again, f"came twice: {verdict.repeats}")


def main(full: bool) -> None:
    figures = Figures("handing over")
    run = Run(full, 10 if full else 3, figures)
    figures.add("lease", f"{run.lease_s:.0f} s")
    for part in (acceptance, rolling, half_leaves):
        part(run)
    figures.show()
