"""Faults of the etcd that a pool is on, and of the ways to it, while mail goes through the pool.

Place     chaos.py lets them happen, with those of storm.py.
Contract  As there; those of `ALONE` come one at a time, so that what is left of etcd is known. A
          node that loses its way to etcd for longer than its lease must not act.
"""

import contextlib
import time
from collections.abc import Iterator

from harness.pool import PoolNode
from harness.records import Minority
from proofs.storm import MARGIN_S, Storm


@contextlib.contextmanager
def etcd_leader_killed(storm: Storm) -> Iterator[None]:
    """kill -9, restarted."""
    leader = storm.pool.etcd.leader()
    with etcd_suffers(storm):
        leader.kill()
        yield
        storm.pool.etcd.launch([leader])


@contextlib.contextmanager
def etcd_leader_paused(storm: Storm) -> Iterator[None]:
    """SIGSTOP, then SIGCONT: it wakes up and still believes that it leads."""
    leader = storm.pool.etcd.leader()
    with etcd_suffers(storm):
        leader.pause()
        yield
        leader.go_on()


@contextlib.contextmanager
def etcd_gone(storm: Storm) -> Iterator[None]:
    """No quorum of etcd is there, for longer than a lease or not."""
    lost = storm.pool.etcd.members[1:]
    with etcd_suffers(storm, storm.pool.nodes):
        for member in lost:
            member.kill()
        yield
        storm.pool.etcd.launch(lost)


@contextlib.contextmanager
def away_from_etcd(storm: Storm) -> Iterator[None]:
    """One node reaches its peers, and no etcd."""
    with storm.node() as node:
        hosts = storm.pool.etcd.hosts
        storm.pool.network.cut(*[(node.host, host) for host in hosts])
        with storm.cut(node, lose_majority=[node]):
            yield


@contextlib.contextmanager
def etcd_divided(storm: Storm) -> Iterator[None]:
    """Its leader loses the other members; nodes reach all of them."""
    etcd = storm.pool.etcd
    leader = etcd.leader()
    storm.pool.network.cut(*[(leader.host, one.host) for one in etcd.members if one is not leader])
    with storm.cut(*storm.pool.nodes):
        yield


@contextlib.contextmanager
def etcd_suffers(storm: Storm, lost: list[PoolNode] | None = None) -> Iterator[None]:
    """Any lease may end meanwhile; those of `lost` do after a while."""
    addresses = [node.address for node in storm.pool.nodes]
    began = time.monotonic() + storm.lease_s + MARGIN_S
    storm.pool.log.begin("etcd", *addresses)
    try:
        yield
    finally:
        ended = time.monotonic()
        storm.pool.etcd.serves()
        storm.pool.log.end("etcd", *addresses)
        storm.pool.log.minorities += [Minority(node.address, began, ended)
                                      for node in lost or () if ended > began]


HARMLESS = (away_from_etcd,)
ALONE = (etcd_leader_killed, etcd_leader_paused, etcd_gone, etcd_divided)
