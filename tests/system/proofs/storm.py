"""Faults of a pool that mail goes through, each with its beginning and its end.

Place     chaos.py lets them happen, alone or on top of each other.
Contract  A fault is a context manager: what is broken is whole again at its end, or on the way to
          it. What it does is in the pool's log of faults. No two of them choose the same node.
          Those of `LOSING` cost a node its disk: the pool promises nothing about a second one
          before what the first one lost has its copies again, nor about a vote while another one
          is on its way from node to node (`Storm.whole`).
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import wait
from harness.mail_pool import MailPool, utc_now
from harness.pool import PoolNode
from harness.records import Minority
from harness.strace import attached
from proofs.moments import AGREE_S, pause_until

WHOLE_S = 90.0
STOP_BUDGET_S = 20
SMALL_DISK_BYTES, FLOOR_BYTES, LEFT_BYTES = 400 << 20, 64 << 20, 24 << 20
# What a lease may last beyond its length, as seen from here: the answer to the last renewal.
MARGIN_S = 0.5

Context = contextlib.AbstractContextManager


class SmallDisk:
    """A file system in memory, below a folder of the node's."""

    def __init__(self, node: PoolNode) -> None:
        self.node = node
        self.folder = node.folder / "small"
        self.folder.mkdir()
        _mount("mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(self.folder))
        node.use_disk(self.folder / "data")

    def fill(self) -> None:
        """Far below the floor, and not to the last block: the store ends its process then."""
        disk = os.statvfs(self.folder)
        size = disk.f_bavail * disk.f_frsize - LEFT_BYTES
        with (self.folder / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, max(size, 1))

    def relieve(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        _mount("umount", "--lazy", str(self.folder))


def _mount(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Storm:
    def __init__(self, pool: MailPool, lease_s: float, rng: random.Random,
                 small: SmallDisk) -> None:
        self.pool, self.lease_s, self.small = pool, lease_s, small
        self.rng = rng
        self.whole_s: list[float] = []  # how long it took after a disk was lost
        self.counts: dict[str, int] = {}
        self._busy: set[PoolNode] = set()
        self._cuts = 0

    @contextlib.contextmanager
    def blow(self, fault: "Fault") -> Iterator[None]:
        self.counts[fault.__name__] = self.counts.get(fault.__name__, 0) + 1
        self.note(f"{fault.__name__} begins")
        with fault(self):
            yield
            self.note(f"{fault.__name__} ends")
        self.note(f"{fault.__name__} is over")

    def note(self, what: str) -> None:
        """For who reads the nodes' logs afterwards: times are as there."""
        with (self.pool.folder / "storm.log").open("a") as log:
            log.write(f"{utc_now()} {what}\n")

    def lasts(self, least: float, most: float) -> None:
        """So many leases, by chance: the length of a fault is its nature."""
        pause_until(time.monotonic() + self.lease_s * self.rng.uniform(least, most))

    def whole(self) -> None:
        """All are members, every message has its copies, and votes are where they should be."""
        began = time.monotonic()
        self.pool.settled(timeout_s=2 * AGREE_S)
        self.pool.copied(WHOLE_S)
        self.pool.votes_settled(AGREE_S)
        self.whole_s.append(time.monotonic() - began)

    @contextlib.contextmanager
    def node(self, but: PoolNode | None = None) -> Iterator[PoolNode]:
        """One that runs and has no fault yet."""
        free = [one for one in self.pool.running() if one not in self._busy and one is not but]
        chosen = self.rng.choice(free)
        self.note(f"chosen: {chosen.name}")
        self._busy.add(chosen)
        try:
            yield chosen
        finally:
            self._busy.discard(chosen)

    def some(self, count: int) -> list[PoolNode]:
        """Whatever faults they have."""
        chosen = self.rng.sample(self.pool.nodes, count)
        self.note(f"chosen: {' '.join(node.name for node in chosen)}")
        return chosen

    def launch(self, node: PoolNode) -> None:
        if not node.running():
            node.launch()

    # ------------------------------------------------------------------ links

    @contextlib.contextmanager
    def cut(self, *nodes: PoolNode, lose_majority: list[PoolNode] | None = None) -> Iterator[None]:
        """`nodes` lose peers by what the caller did to links; all links heal together."""
        at = time.monotonic()
        self._cuts += 1
        self.pool.cut_off(*[node.host for node in nodes])
        try:
            yield
        finally:
            self._cuts -= 1
            if self._cuts == 0:
                healed = time.monotonic()
                self.pool.heal()
                began = at + self.lease_s + MARGIN_S
                self.pool.log.minorities += [Minority(node.address, began, healed)
                                             for node in lose_majority or () if healed > began]

    def without_majority(self, part: list[PoolNode]) -> list[PoolNode]:
        """Of the two sides of a split, the one that can decide nothing, and must not act.

        With two voters neither can evict the other, and both go on with what they own. Of a pool
        on etcd `part` is the one, which reaches no etcd any more.
        """
        if self.pool.etcd:
            return part
        answers = [self.pool.answer(node) for node in self.pool.nodes]
        newest = max((one for one in answers if one), key=lambda one: one.version)
        names = {member.name for member in newest.members if member.voter}
        if len(names) <= 2:
            return []
        rest = [node for node in self.pool.nodes if node not in part]
        inside = sum(node.name in names for node in part)
        return rest if 2 * inside > len(names) else part


Fault = Callable[[Storm], Context]


# ------------------------------------------------------------------ processes

@contextlib.contextmanager
def kill(storm: Storm) -> Iterator[None]:
    """kill -9, restarted sooner or later than its lease ends."""
    with storm.node() as node:
        storm.pool.kill(node)
        yield
        storm.launch(node)


@contextlib.contextmanager
def pause(storm: Storm) -> Iterator[None]:
    """SIGSTOP, then SIGCONT."""
    with storm.node() as node:
        storm.pool.pause(node)
        yield
        storm.pool.go_on(node)


@contextlib.contextmanager
def blackout(storm: Storm) -> Iterator[None]:
    """All are killed, and start in any order."""
    storm.pool.kill(*storm.pool.running())
    yield
    for node in storm.rng.sample(storm.pool.nodes, len(storm.pool.nodes)):
        node.launch()
        storm.lasts(0, 0.3)


@contextlib.contextmanager
def leave(storm: Storm) -> Iterator[None]:
    """SIGTERM, and back on the same disk.

    In order only when the pool can agree on it: else it says so and exits with 1. Who has not
    even begun to run, dies of the signal.
    """
    with storm.node() as node:
        log = storm.pool.log
        log.begin("leave", node.address)
        node.terminate()
        code = node.exit_code(STOP_BUDGET_S + 20)
        log.end("leave", node.address)
        if code not in (0, 1, -signal.SIGTERM):
            raise AssertionError(f"{node.name} left with {code}:\n{node.tail()}")
        if code:
            log.begin("kill", node.address)
            log.end("kill", node.address)
        yield
        storm.launch(node)


# ------------------------------------------------------------------ links

@contextlib.contextmanager
def isolated(storm: Storm) -> Iterator[None]:
    """One node hears no peer; the world it reaches."""
    with storm.node() as node:
        lost = storm.without_majority([node])
        storm.pool.network.isolate(node.host)
        # Where it decides without the others, or nobody can decide, all are cut off by it.
        evicted = [node] if lost == [node] else storm.pool.nodes
        with storm.cut(*evicted, lose_majority=lost):
            yield


@contextlib.contextmanager
def halves(storm: Storm) -> Iterator[None]:
    part = storm.some(len(storm.pool.nodes) // 2)
    lost = storm.without_majority(part)
    storm.pool.network.split([node.host for node in part])
    with storm.cut(*storm.pool.nodes, lose_majority=lost):
        yield


@contextlib.contextmanager
def one_link(storm: Storm) -> Iterator[None]:
    a, b = storm.some(2)
    storm.pool.network.cut((a.host, b.host))
    with storm.cut(a, b):
        yield


@contextlib.contextmanager
def one_way(storm: Storm) -> Iterator[None]:
    a, b = storm.some(2)
    storm.pool.network.cut_one_way(a.host, b.host)
    with storm.cut(a, b):
        yield


@contextlib.contextmanager
def closed_door(storm: Storm) -> Iterator[None]:
    """The peer ports of two refuse each other at once."""
    a, b = storm.some(2)
    storm.pool.network.reset((a.host, b.host))
    with storm.cut(a, b):
        yield


# ------------------------------------------------------------------ disks

@contextlib.contextmanager
def traced(storm: Storm, node: PoolNode, what: str) -> Iterator[None]:
    storm.pool.log.begin("disk", node.address)
    options = ["-o", "/dev/null", "-e", "trace=fdatasync", "-e", f"inject=fdatasync:{what}"]
    with attached(node, options):
        yield
    storm.pool.log.end("disk", node.address)


@contextlib.contextmanager
def slow_disk(storm: Storm) -> Iterator[None]:
    delay_us = storm.rng.randrange(10_000, 200_000)
    with storm.node() as node, traced(storm, node, f"delay_enter={delay_us}"):
        yield


@contextlib.contextmanager
def failing_disk(storm: Storm) -> Iterator[None]:
    """No fdatasync succeeds any more. Nothing but a restart helps."""
    with storm.node() as node:
        with traced(storm, node, f"error=EIO:when={storm.rng.randint(1, 20)}+"):
            yield
        if node.running():
            storm.pool.kill(node)
        storm.launch(node)


@contextlib.contextmanager
def full_disk(storm: Storm) -> Iterator[None]:
    node = storm.small.node
    storm.pool.log.begin("disk", node.address)
    storm.small.fill()
    yield
    storm.small.relieve()
    storm.pool.log.end("disk", node.address)
    storm.launch(node)


@contextlib.contextmanager
def empty_disk(storm: Storm) -> Iterator[None]:
    """A new machine in the place of a dead one."""
    with storm.node(but=storm.small.node) as node:
        storm.pool.kill(node)
        storm.pool.destroy_disk(node)
        storm.launch(node)
        yield


@contextlib.contextmanager
def old_disk(storm: Storm) -> Iterator[None]:
    """A node comes back with its disk as it was some time ago."""
    with storm.node(but=storm.small.node) as node:
        snapshot = node.folder / "snapshot"
        storm.pool.kill(node)
        shutil.copytree(node.data, snapshot)
        storm.launch(node)
        storm.pool.settled(timeout_s=2 * AGREE_S)
        yield
        storm.whole()
        storm.pool.kill(node)
        shutil.rmtree(node.data)
        snapshot.rename(node.data)
        storm.pool.log.begin("old disk", node.address)
        node.launch()
        comes_back(storm, node)
        storm.pool.log.end("old disk", node.address)


def comes_back(storm: Storm, node: PoolNode) -> None:
    """A stranger ends, and says so; its next start is that of a new node."""
    def known() -> bool:
        if not node.running():
            if "stranger" not in node.tail(5):
                raise AssertionError(f"{node.name} ended, and not as a stranger:\n{node.tail()}")
            node.launch()
        return node.ready()

    wait.until(known, f"{node.name} is back with its old disk", 2 * AGREE_S)


@contextlib.contextmanager
def corrupt(storm: Storm) -> Iterator[None]:
    """Some octets of what a node has on its disk turn, while it is down.

    It goes on, or says that its disk is beyond use. In the end it gets a new one, as an operator
    would do it: what nobody has read yet may be damaged, and nobody knows.
    """
    with storm.node(but=storm.small.node) as node:
        storm.pool.kill(node)
        storm.launch(node)  # which writes its tables
        wait.until(lambda: node.ready(), f"{node.name} is ready", 2 * AGREE_S)
        storm.pool.kill(node)
        damage(node.data, storm.rng)
        storm.pool.log.begin("disk", node.address)
        storm.launch(node)
        yield
        count_outcome(storm, node)
        if node.running():
            storm.pool.kill(node)
        storm.pool.destroy_disk(node)
        node.launch()
        storm.pool.log.end("disk", node.address)


def count_outcome(storm: Storm, node: PoolNode) -> None:
    def gave_up_its_disk() -> bool:
        return not node.running() or node.http("/healthz")[0] == 503

    wait.until(lambda: gave_up_its_disk() or node.ready(), f"{node.name} is back, or gives up",
               2 * AGREE_S)
    outcome = "disk given up" if gave_up_its_disk() else "damage borne"
    storm.counts[outcome] = storm.counts.get(outcome, 0) + 1


def damage(data: Path, rng: random.Random) -> None:
    """Three octets of the file that holds most bodies."""
    files = [path for kind in ("blob", "sst") for path in data.rglob(f"*.{kind}")]
    if not files:
        return
    largest = max(files, key=lambda path: path.stat().st_size)
    with largest.open("r+b") as file:
        for _ in range(3):
            at = rng.randrange(largest.stat().st_size)
            file.seek(at)
            [octet] = file.read(1)
            file.seek(at)
            file.write(bytes([octet ^ 0x20]))


HARMLESS = (kill, pause, leave, isolated, halves, one_link, one_way, closed_door, slow_disk,
            failing_disk, full_disk)
LOSING = (empty_disk, old_disk, corrupt)
EVERYTHING = (blackout,)
