"""Whatever happens to nodes, links and disks, no mail is lost, and none comes twice without cause.

Clients, some of them slow, hand in mail all the time, to destinations that take it at once, late,
not at all, with lost replies, or only later. Meanwhile, by chance (the seed is printed, `--seed N`
takes it again): kill -9, SIGSTOP, leaving, halves, cut and one-way links, closed doors, slow,
failing and full disks, an empty disk, a disk of yesterday, damaged records, all killed at once;
some on top of each other. Then everything heals, the queue drains, and the ledger
(harness/ledger.py) must find every promise kept: what came twice was in flight at a fault of its
node. And no two nodes owned one partition.

What a node takes alone (pool.when_short = "degrade") is lost with its disk, as it says: pools that
do so keep their disks here, the others ("refuse") lose some, one at a time.

Bounded: three nodes, every fault once. --full [--minutes N]: pools of three and of five, and of
both kinds, in turns.
"""

import contextlib
import itertools
import random
import time
from dataclasses import dataclass

from harness.crowd import Habits
from harness.mail_pool import MailPool
from harness.recording_sink import Mode
from proofs import storm_etcd
from proofs.figures import Figures, require
from proofs.moments import AGREE_S, spread
from proofs.storm import (EVERYTHING, FLOOR_BYTES, HARMLESS, LOSING, STOP_BUDGET_S, Fault,
                          SmallDisk, Storm)

DOMAINS = {"sink.test": "accept", "slow.test": "slow", "none.test": "bounce",
           "grey.test": "greylist", "flaky.test": Mode(delay_s=(0, 0.2), lost=0.05),
           "later.test": "defer"}
QUICK = Habits(domains=tuple(DOMAINS), rate=30)
# Their bodies come in pieces for three seconds: the end of a stream or of a lease finds some.
SLOW = Habits(domains=tuple(DOMAINS), rate=2, sessions=6, sizes=(250_000,), line=80_000)
Plan = list[tuple[Fault, ...]]  # what happens, one after the other; some two at a time
EPISODE_S = 150.0   # of a full run, until it is calm and judged
DRAIN_S = 180.0


@dataclass(frozen=True)
class Run:
    full: bool
    lease_s: float
    figures: Figures
    rng: random.Random
    etcd: int = 0  # the pools are on an etcd of so many members

    def pool(self, size: int, when_short: str) -> MailPool:
        return MailPool(size, DOMAINS, {
            "stop_budget": f"{STOP_BUDGET_S}s",
            "pool": {"lease_ttl": f"{self.lease_s:.0f}s", "when_short": when_short},
            "queue": {"max_retry_age": "8s", "disk_floor_bytes": FLOOR_BYTES,
                      "write_buffer_bytes": 16 << 20}}, etcd=self.etcd)



def once_each(run: Run, disks_go: bool) -> Plan:
    """Some of them two at a time."""
    rng = run.rng
    mixed = HARMLESS + (storm_etcd.HARMLESS if run.etcd else ())
    alone = EVERYTHING + (LOSING if disks_go else ()) + (storm_etcd.ALONE if run.etcd else ())
    faults = rng.sample(mixed, len(mixed))
    plan: Plan = []
    while faults:
        plan.append(tuple(faults.pop() for _ in range(min(len(faults), rng.choice((1, 1, 2))))))
    plan += [(fault,) for fault in alone]
    return rng.sample(plan, len(plan))


def blow(storm: Storm, faults: tuple[Fault, ...]) -> None:
    if faults[0] in LOSING + EVERYTHING:
        storm.whole()
    with contextlib.ExitStack() as stack:
        for fault in faults:
            stack.enter_context(storm.blow(fault))
            storm.lasts(0, 0.3)
        storm.lasts(0.3, 2)
    storm.lasts(0, 0.5)


def episode(run: Run, size: int, when_short: str, for_s: float = 0,
            plan: Plan | None = None) -> None:
    """One pool through every fault; again and again, or not all, when there is a time for it.

    Or through those of a plan.
    """
    with run.pool(size, when_short) as pool:
        small = SmallDisk(pool.nodes[-1])
        try:
            pool.start()
            storm = Storm(pool, run.lease_s, run.rng, small)
            over, plan = time.monotonic() + for_s, list(plan or [])
            seeds = (run.rng.randrange(1 << 30) for _ in range(2))
            with (pool.crowd(QUICK, "chaos", next(seeds)) as quick,
                  pool.crowd(SLOW, "slow", next(seeds)) as slow):
                while not storm.counts or (time.monotonic() < over if for_s else plan):
                    plan = plan or once_each(run, when_short == "refuse")
                    blow(storm, plan.pop())
                sent = quick.stop() + slow.stop()
            calm_and_judged(run, storm, sent)
        finally:
            small.close()


def calm_and_judged(run: Run, storm: Storm, sent: list) -> None:
    pool, at = storm.pool, time.monotonic()
    for node in pool.nodes:
        storm.launch(node)
    pool.settled(timeout_s=2 * AGREE_S)
    calm_s = time.monotonic() - at
    pool.forget_the_dead()
    pool.set_modes("accept")
    drained_s = pool.drain(DRAIN_S)
    faults = ", ".join(f"{name} {count}" for name, count in sorted(storm.counts.items()))
    add = run.figures.add
    add(f"{len(pool.nodes)} nodes: faults", faults)
    add("  calm after the last fault, drained", f"{calm_s:.1f} s, {drained_s:.1f} s")
    if storm.whole_s:
        add("  until all had its copies again: median, worst", spread(storm.whole_s))
    run.figures.add_verdict(pool.verdict(sent))
    overlaps = pool.watch.history.overlaps()
    require(not overlaps, "\n".join(overlaps[:20]))


def main(full: bool, minutes: float = 30, seed: int | None = None) -> None:
    figures = Figures("mail under faults")
    seed = random.SystemRandom().randrange(1 << 30) if seed is None else seed
    run = Run(full, 10 if full else 3, figures, random.Random(seed))
    figures.add("seed; lease", f"{seed}; {run.lease_s:.0f} s")
    print(f"seed {seed}", flush=True)
    over = time.monotonic() + 60 * minutes
    if not full:
        episode(run, 3, "refuse")
    kinds = itertools.cycle(itertools.product((3, 5), ("refuse", "degrade")))
    while full and time.monotonic() < over:
        episode(run, *next(kinds), EPISODE_S)
    figures.show()
