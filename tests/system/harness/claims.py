"""Who said when that it owns which partition, and whether two can have owned one at a time.

Contract  A node claims a partition when its own answer says so: it is a member, with a lease or
          beyond eviction, and the owner. An answer was true at some moment between its question
          and its arrival, so only what cannot be explained otherwise is a fault:
          - one epoch of a partition has one owner;
          - nobody claims an epoch, asked after somebody else's later epoch was answered;
          - one version of a pool is one value, and one term has one leader.
          An epoch grows with every change of the owner, so this finds each overlap that the
          samples show, however short.
Owner     watch.py, whose threads add answers.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Claimant:
    node_id: str
    incarnation: int

    def __str__(self) -> str:
        return f"{self.node_id[:8]}/{self.incarnation}"


@dataclass(frozen=True)
class Moment:
    asked: float
    answered: float


@dataclass
class _Run:
    """A claimant's answers for one epoch: first and last."""

    first_answered: float
    last_asked: float


# Who waits for etcd may act until its lease ends.
ACTING = ("member", "waiting for etcd")


def believes(pool) -> bool:
    """Whether the node that answered takes itself for a live member, with a lease or without."""
    own = pool.this_node
    return own.phase in ACTING and any(
        member.id == own.id and member.live and member.incarnation == own.incarnation
        for member in pool.members)


def acts(pool) -> bool:
    """Whether the node that answered may act on what it owns."""
    own = pool.this_node
    left = own.lease_left.seconds + own.lease_left.nanos / 1e9
    return believes(pool) and (left > 0 or not own.evictable)


@dataclass
class ClaimHistory:
    """`claims_when`: which answers count as claims."""

    claims_when: Callable[[object], bool] = acts
    answers: int = 0
    claims: int = 0
    faults: list[str] = field(default_factory=list)
    _runs: dict = field(default_factory=dict)     # partition -> epoch -> claimant -> _Run
    _values: dict = field(default_factory=dict)   # pool and version -> value
    _leaders: dict = field(default_factory=dict)  # pool and term -> leader
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, pool, moment: Moment) -> None:
        """A GetPoolResponse."""
        with self._lock:
            self.answers += 1
            if not pool.pool_id:
                return
            key = (pool.pool_id, pool.pool_incarnation)
            self._note(self._values, (*key, pool.version), value_of(pool), "values of version")
            if pool.leader_id:
                self._note(self._leaders, (*key, pool.term), pool.leader_id, "leaders of term")
            for partition, epoch, claimant in owned(pool) if self.claims_when(pool) else []:
                self.claims += 1
                self._claim((*key, partition), epoch, claimant, moment)

    def _note(self, known: dict, key: tuple, value: object, what: str) -> None:
        if known.setdefault(key, value) != value:
            self.faults.append(f"two {what} {key[-1]}: {known[key]} and {value}")

    def _claim(self, partition: tuple, epoch: int, claimant: Claimant, moment: Moment) -> None:
        of_epoch = self._runs.setdefault(partition, {}).setdefault(epoch, {})
        run = of_epoch.setdefault(claimant, _Run(moment.answered, moment.asked))
        run.first_answered = min(run.first_answered, moment.answered)
        run.last_asked = max(run.last_asked, moment.asked)

    def overlaps(self) -> list[str]:
        """Every fault, one a line."""
        with self._lock:
            found = list(self.faults)
            for partition, epochs in self._runs.items():
                found += _faults_of(partition[-1], epochs)
            return found


def _faults_of(partition: int, epochs: dict[int, dict[Claimant, _Run]]) -> list[str]:
    faults = []
    last: tuple[float, int, Claimant] | None = None  # the last question of all lower epochs
    for epoch, runs in sorted(epochs.items()):
        if len(runs) > 1:
            faults.append(f"partition {partition}: epoch {epoch} is claimed by "
                          f"{' and '.join(str(claimant) for claimant in runs)}")
        for claimant, run in runs.items():
            if last and last[0] > run.first_answered:
                faults.append(
                    f"partition {partition}: {last[2]} claims epoch {last[1]} "
                    f"{last[0] - run.first_answered:.3f} s after {claimant} has epoch {epoch}")
        latest = [(run.last_asked, epoch, claimant) for claimant, run in runs.items()]
        last = max([*latest, *([last] if last else [])], key=lambda one: one[0])
    return faults


def owned(pool) -> list[tuple[int, int, Claimant]]:
    """Partition, epoch and owner, of what the node that answered owns as it knows."""
    claimant = Claimant(pool.this_node.id, pool.this_node.incarnation)
    return [(partition.id, partition.epoch, claimant) for partition in pool.partitions
            if partition.owner_id == claimant.node_id]


def value_of(pool) -> tuple:
    """What is agreed of an answer, without what its node alone knows."""
    members = tuple((m.id, m.live, m.draining, m.incarnation) for m in pool.members)
    partitions = tuple((p.id, p.owner_id, tuple(p.in_sync_ids), p.epoch, p.phase, p.solo)
                       for p in pool.partitions)
    return members, partitions
