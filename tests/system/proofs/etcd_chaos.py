"""A pool on etcd agrees, whatever happens to its nodes, to etcd and to the ways between them.

The lease part of the proof `control-chaos`, on an etcd of three members: kill -9, SIGSTOP beyond
the lease, links cut between nodes and etcd and among the members; etcd's leader is killed, paused
and cut off, its quorum lost, its history compacted; all of it on top of each other. Every node is
asked 20 times a second what it owns (harness/claims.py): two may never own one partition.
Then mail, as in the proof `chaos`, under its faults and those of etcd: lost 0.

Bounded: three nodes; of each part the faults of etcd, and some by chance. --full [--minutes N, of
the mail part]: everything. `--only leases` or `--only mail`: one of the two.
"""

import itertools
import random
import time
from collections.abc import Callable

from harness import wait
from harness.claims import acts
from harness.etcd import EtcdMember
from harness.pool import Pool
from proofs import chaos, storm_etcd
from proofs.control_chaos import (Run, Storm, Tally, blackouts, grow_and_shrink, heal,
                                  kills_for_good, pauses, replacements, storms)
from proofs.figures import Figures, require
from proofs.moments import (AGREE_S, TAKEOVER_S, given_away, id_of, others_than, pause_until,
                            spread, timed, views)

MEMBERS = 3


# ------------------------------------------------------------------ ways

def links(run: Run, pool: Pool) -> None:
    """A node without etcd owns nothing once its lease is over; one way cut is as bad as both."""
    healed: list[float] = []
    for one_way in (True, False) if run.full else (True,):
        pool.settled()
        node = random.choice(pool.nodes)
        lost, at = id_of(pool, node), time.monotonic()
        for host in pool.etcd.hosts:
            if one_way:
                pool.network.cut_one_way(host, node.host)
            else:
                pool.network.cut((node.host, host))
        run.tally.faults += 1
        timed(given_away(pool, others_than(pool, node), [lost], at),
              "who is cut off from etcd owns nothing", run.takeover_s(led=False), at, pool)
        require(not acts(pool.fresh(node)), f"a node without etcd acts\n{pool.described()}")
        heal(pool, healed)
    run.figures.add("cut off from etcd, from healing until all agree: median, worst",
                    spread(healed))


# ------------------------------------------------------------------ etcd's leader

def killed(pool: Pool, leader: EtcdMember) -> Callable[[], None]:
    leader.kill()
    return lambda: pool.etcd.launch([leader])


def paused(pool: Pool, leader: EtcdMember) -> Callable[[], None]:
    leader.pause()
    return leader.go_on


def divided(pool: Pool, leader: EtcdMember) -> Callable[[], None]:
    """From the other members; nodes reach it, and it cannot decide anything."""
    pool.network.cut(*[(leader.host, one.host) for one in pool.etcd.members if one is not leader])
    return pool.network.heal


def renewed_since(pool: Pool, at: float, lease_s: float) -> Callable[[], bool]:
    """Whether every node has a lease from a renewal that began after a moment."""
    def condition() -> bool:
        now = time.monotonic()
        seen = views(pool, pool.nodes, at)
        ends = [now + one.this_node.lease_left.ToMilliseconds() / 1000 for one in seen]
        return bool(seen) and all(acts(one) for one in seen) and min(ends) > at + lease_s
    return condition


def etcd_leaders(run: Run, pool: Pool) -> None:
    for fault in (killed, paused, divided):
        times, ended = [], 0
        for _ in range(10 if run.full else 1):
            before = starts(pool)
            leader, at = pool.etcd.leader(), time.monotonic()
            mend = fault(pool, leader)
            run.tally.faults += 1
            wait.until(renewed_since(pool, at, run.lease_s), "all nodes renew again", AGREE_S)
            times.append(time.monotonic() - at)
            ended += len(before - starts(pool))
            mend()
            pool.etcd.serves()
            pool.settled(timeout_s=AGREE_S)
        run.figures.add(f"etcd's leader {fault.__name__}, until all renew: median, worst; evicted",
                        f"{spread(times)}; {ended}")


def starts(pool: Pool) -> set[tuple[str, int]]:
    answer = pool.fresh(pool.settled())
    return {(member.id, member.incarnation) for member in answer.members if member.live}


def no_quorum(run: Run, pool: Pool) -> None:
    """Nobody may act for long, nobody is evicted, and all go on as they were."""
    times, backs = [], []
    for _ in range(5 if run.full else 1):
        before = starts(pool)
        lost = random.sample(pool.etcd.members, 2)
        at = time.monotonic()
        for member in lost:
            member.kill()
        run.tally.faults += 1

        def nobody_acts(at: float = at) -> bool:
            seen = views(pool, pool.nodes, at)
            return bool(seen) and not any(acts(one) for one in seen)

        times.append(timed(nobody_acts, "without etcd nobody acts", run.lease_s + TAKEOVER_S, at,
                           pool))
        pause_until(at + run.lease_s * 1.5)
        at = time.monotonic()
        pool.etcd.launch(lost)
        pool.etcd.serves()
        wait.until(renewed_since(pool, at, run.lease_s), "all nodes renew again", AGREE_S)
        backs.append(time.monotonic() - at)
        require(starts(pool) == before, f"somebody was evicted\n{pool.described()}")
    run.figures.add("etcd's quorum lost, until nobody acts; back, until all renew: median, worst",
                    f"{spread(times)}; {spread(backs)}")


# ------------------------------------------------------------------ by chance

class EtcdStorm(Storm):
    """Members of etcd have faults, too."""

    def __init__(self, pool: Pool, lease_s: float, seed: int) -> None:
        super().__init__(pool, lease_s, seed)
        self._asleep: set[EtcdMember] = set()

    def steps(self) -> tuple[Callable, ...]:
        return (*super().steps(), self._kill_member, self._launch_members, self._launch_members,
                self._pause_member, self._wake_members, self._wake_members, self._compact)

    def calm(self) -> None:
        self._wake_members()
        self._launch_members()
        super().calm()
        self._pool.etcd.serves()

    def _member(self) -> EtcdMember:
        return self._random.choice(self._pool.etcd.members)

    def _kill_member(self) -> None:
        member = self._member()
        self._asleep.discard(member)
        member.kill()
        self.faults += 1

    def _launch_members(self) -> None:
        self._pool.etcd.launch()

    def _pause_member(self) -> None:
        member = self._member()
        if member.running():
            member.pause()
            self._asleep.add(member)
            self.faults += 1

    def _wake_members(self) -> None:
        for member in self._asleep:
            member.go_on()
        self._asleep.clear()

    def _compact(self) -> None:
        self._pool.etcd.compact_if_possible()


def etcd_storms(run: Run, pool: Pool) -> None:
    storms(run, pool, EtcdStorm, bounded=(1, 2))


# ------------------------------------------------------------------ all of it

def leases(run: Run) -> None:
    with run.pool(5 if run.full else 3) as pool:
        pool.start()
        parts = [pauses, links, etcd_leaders, no_quorum, etcd_storms]
        if run.full:
            parts += [kills_for_good, blackouts, replacements]
        for part in parts:
            part(run, pool)
            found = pool.watch.history.overlaps()
            require(not found, f"{part.__name__}:\n" + "\n".join(found[:20]))
        run.tally.take(pool)


def mail(run: Run, minutes: float, seed: int) -> None:
    with_mail = chaos.Run(run.full, run.lease_s, run.figures, random.Random(seed), etcd=MEMBERS)
    if not run.full:
        of_etcd = random.Random(seed).sample(storm_etcd.ALONE, 1) + list(storm_etcd.HARMLESS)
        return chaos.episode(with_mail, 3, "refuse", plan=[(fault,) for fault in of_etcd])
    over = time.monotonic() + 60 * minutes
    kinds = itertools.cycle(itertools.product((3, 5), ("refuse", "degrade")))
    while time.monotonic() < over:
        chaos.episode(with_mail, *next(kinds), chaos.EPISODE_S)


def leases_alone(run: Run) -> None:
    if run.full:
        grow_and_shrink(run)
    leases(run)
    tally, add = run.tally, run.figures.add
    add("faults", tally.faults)
    add("answers; claims in them", f"{tally.answers}; {tally.claims}")
    add("overlaps", len(tally.overlaps))
    add("overlaps, were there no leases", tally.without_leases)
    require(tally.without_leases > 0, "the faults, or the checker, are too weak to find anything")
    require(not tally.overlaps, "\n".join(tally.overlaps[:20]))


def main(full: bool, minutes: float = 10, seed: int | None = None, only: str = "") -> None:
    figures = Figures("a pool on etcd under faults")
    seed = random.SystemRandom().randrange(1 << 30) if seed is None else seed
    print(f"seed {seed}", flush=True)
    run = Run(full, 10 if full else 3, figures, Tally(), etcd=MEMBERS)
    figures.add("seed; lease", f"{seed}; {run.lease_s:.0f} s")
    if only != "mail":
        leases_alone(run)
    if only != "leases":
        mail(run, minutes, seed)
    figures.show()
