"""A node with much mail dies, or leaves: soon its siblings own all of it, and mail goes on.

The queue holds 5,000 deferred messages (100,000 with --full), most of them at the node that goes.
1. kill -9, 3 times (10): until nothing is owned by the dead one, and until another node that is
   asked again lists all. Bound: lease + 2 s, one lease more when the dead one led. Meanwhile the
   others take and deliver mail; how long the longest silence was is printed.
2. SIGTERM: until nothing is owned by the leaver. Bound: 5 s; it exits with 0.
At the end the destination opens, and everything arrives once.
"""

import time
from dataclasses import dataclass

from harness import wait
from harness.crowd import Crowd, Habits
from harness.mail_pool import MailPool
from harness.pool import PoolNode
from harness.records import Sent
from proofs.figures import Figures, require
from proofs.moments import (AGREE_S, TAKEOVER_S, given_away, id_of, others_than, owned_by_others,
                            spread, timed)

DRAIN_S = 5.0
BULK, LIVE = "later.test", "sink.test"
# The deferred stay deferred, and nobody tries them while nodes die.
PATIENT = {"queue": {"min_retry_age": "1h", "max_retry_age": "1h"}}


@dataclass(frozen=True)
class Run:
    pool: MailPool
    count: int
    lease_s: float
    full: bool
    figures: Figures


@dataclass
class Times:
    owned: list[float]
    listed: list[float]
    silences: list[float]   # between two arrivals, at any node's hand
    moved: list[int]        # messages


def loaded(run: Run) -> list[Sent]:
    """Through one node."""
    habits = Habits(sessions=60, sizes=(600,), domains=(BULK,), many=0, null_senders=0,
                    per_connection=200)
    pool, began = run.pool, time.monotonic()
    sent = pool.crowd(habits, "bulk", nodes=pool.nodes[:1]).run(run.count)
    took = time.monotonic() - began
    taken = sum(one.taken for one in sent)
    require(taken == run.count, f"{taken} of {run.count} got 250")
    wait.until(lambda: idle(pool), "every message was tried once", 300, every_s=0.3)
    run.figures.add("loaded through one node", f"{run.count} in {took:.1f} s, "
                                               f"{run.count / took:.0f}/s")
    return sent


def idle(pool: MailPool) -> bool:
    return all(node.status()["active"] == 0 for node in pool.running())


def richest(run: Run, ids: list[str]) -> tuple[PoolNode, int]:
    """Who owns most of the bulk."""
    owned = run.pool.owned(ids)
    require("" not in owned, f"{owned.get('')} messages have no owner")
    name = max(owned, key=owned.__getitem__)
    return next(node for node in run.pool.nodes if node.name == name), owned[name]


def copied(run: Run) -> float:
    return run.pool.copied(120 + run.count / 500)


def longest_silence(pool: MailPool, since: float) -> float:
    """At the destination that takes everything; until now."""
    times = sorted(copy.dot for copies in pool.servers[LIVE].copies().values() for copy in copies)
    times = [since, *[one for one in times if one > since], time.monotonic()]
    return max(b - a for a, b in zip(times, times[1:]))


def one_death(run: Run, ids: list[str], crowd: Crowd, times: Times) -> None:
    pool = run.pool
    leader = pool.settled()
    victim, count = richest(run, ids)
    rest, lost = others_than(pool, victim), id_of(pool, victim)
    crowd.set_nodes(pool.doors(rest))
    bound = run.lease_s * (2 if victim is leader else 1) + TAKEOVER_S
    at = time.monotonic()
    pool.kill(victim)
    times.owned.append(timed(given_away(pool, rest, [lost], at), "the dead node owns nothing",
                             bound, at, pool))
    wait.until(lambda: pool.count(rest[0], BULK) == run.count,
               f"{rest[0].name} lists all {run.count}", bound * 3)
    times.listed.append(time.monotonic() - at)
    seen = pool.servers[LIVE].arrived
    wait.until(lambda: pool.servers[LIVE].arrived > seen + 20, "mail is delivered", AGREE_S)
    times.silences.append(longest_silence(pool, at))
    times.moved.append(count)
    victim.start(timeout_s=300)  # all of its mail is copied again before it is ready
    crowd.set_nodes(pool.doors())
    pool.settled(timeout_s=AGREE_S)
    copied(run)  # the next one may die


def deaths(run: Run, ids: list[str], crowd: Crowd) -> None:
    times = Times([], [], [], [])
    for _ in range(10 if run.full else 3):
        one_death(run, ids, crowd, times)
    add = run.figures.add
    add("kill -9: messages of the dead node: least, most",
        f"{min(times.moved)}, {max(times.moved)}")
    add("  until it owns nothing: median, worst", f"{spread(times.owned)}; lease "
                                                  f"{run.lease_s:.0f} s")
    add("  until another lists all: median, worst", spread(times.listed))
    add("  longest silence of deliveries: median, worst", spread(times.silences))


def departure(run: Run, ids: list[str], crowd: Crowd) -> None:
    pool = run.pool
    pool.settled()
    leaver, count = richest(run, ids)
    rest, own = others_than(pool, leaver), id_of(pool, leaver)
    crowd.set_nodes(pool.doors(rest))
    at = time.monotonic()
    leaver.terminate()
    took = timed(owned_by_others(pool, rest, own, at), "the leaver owns nothing", DRAIN_S, at,
                 pool)
    require(leaver.wait_ended(timeout_s=130), "the leaver was killed")
    ended = time.monotonic() - at
    wait.until(lambda: pool.count(rest[0], BULK) == run.count, "another lists all", AGREE_S)
    run.figures.add("SIGTERM: messages of the leaver", count)
    run.figures.add("  until it owns nothing; until it has ended",
                    f"{took:.2f} s, {ended:.2f} s; bound {DRAIN_S:.0f} s")
    pool.destroy_disk(leaver)


def main(full: bool) -> None:
    figures = Figures("taking over")
    count, lease_s = (100_000, 10) if full else (5000, 3)
    settings = {**PATIENT, "pool": {"lease_ttl": f"{lease_s}s"}}
    with MailPool(3, {BULK: "defer", LIVE: "accept"}, settings) as pool:
        pool.start()
        run = Run(pool, count, lease_s, full, figures)
        sent = loaded(run)
        ids = [one.reply.rsplit(" ", 1)[1] for one in sent]
        copied(run)
        live = Habits(sessions=4, sizes=(1000, 4000), domains=(LIVE,), rate=50, null_senders=0)
        with pool.crowd(live, "live") as crowd:
            deaths(run, ids, crowd)
            departure(run, ids, crowd)
            sent += crowd.stop()
        pool.set_modes("accept")
        began = time.monotonic()
        pool.flush()
        pool.drain(120 + count / 100)
        figures.add("the destination opens: all delivered in", f"{time.monotonic() - began:.1f} s")
        figures.add_verdict(pool.verdict(sent))
    figures.show()
