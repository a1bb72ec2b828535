"""The tools of the proofs of a pool, on histories that are made up and hosts that run no node."""

import itertools
import subprocess
import sys
from types import SimpleNamespace as Fake

import pytest

from harness import wait
from harness.claims import ClaimHistory, Moment, believes
from harness.network import Network, namespaces

LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], 7))
while True:
    server.accept()[0].close()
"""
CONNECT = """
import socket, sys
socket.create_connection((sys.argv[1], 7), timeout=0.5).close()
"""


def answer(node: str, owners: dict[str, int], lease_s: float = 1, evictable: bool = True,
           version: int = 0, term: int = 1, leader: str = "a", incarnation: int = 1):
    """A GetPoolResponse of `node`: who owns partition 1 in which epoch."""
    members = [Fake(id=name, live=True, draining=False, incarnation=1) for name in "ab"]
    partitions = [Fake(id=1, owner_id=owner, in_sync_ids=[owner], epoch=epoch, phase=1, solo=False)
                  for owner, epoch in owners.items()]
    own = Fake(id=node, phase="member", incarnation=incarnation, evictable=evictable,
               lease_left=Fake(seconds=int(lease_s), nanos=int(lease_s % 1 * 1e9)))
    return Fake(pool_id="p", pool_incarnation=1, version=version or 10 * max(owners.values()),
                term=term, leader_id=leader, this_node=own, members=members,
                partitions=partitions)


def history(*answers) -> list[str]:
    kept = ClaimHistory()
    for asked, answered, pool in answers:
        kept.add(pool, Moment(asked, answered))
    return kept.overlaps()


OLD, NEW = {"a": 1}, {"b": 2}


@pytest.mark.parametrize("answers", [
    [(0, 1, answer("a", OLD)), (2, 3, answer("b", NEW))],
    # Both questions were under way when the owner changed.
    [(0, 5, answer("a", OLD)), (1, 4, answer("b", NEW))],
    # What it knows is old, and it may not act on it.
    [(0, 1, answer("b", NEW)), (2, 3, answer("a", OLD, lease_s=0))],
    [(0, 1, answer("b", NEW)), (2, 3, answer("a", OLD, incarnation=2))],
    # Who looks on claims nothing.
    [(0, 1, answer("b", NEW)), (2, 3, answer("b", OLD))],
], ids=["one after the other", "asked at once", "without a lease", "started anew", "onlooker"])
def test_claims_that_can_be_explained(answers):
    assert not history(*answers)


@pytest.mark.parametrize("answers, says", [
    # The old owner was asked after the new one had answered.
    ([(0, 1, answer("a", OLD)), (2, 3, answer("b", NEW)), (3.1, 4, answer("a", OLD))],
     "claims epoch 1 0.100 s after"),
    ([(0, 1, answer("b", NEW)), (2, 3, answer("a", OLD, lease_s=0, evictable=False))],
     "claims epoch 1 1.000 s after"),
    # Answers may be added in any order.
    ([(3.1, 4, answer("a", OLD)), (2, 3, answer("b", NEW))], "claims epoch 1"),
    ([(0, 1, answer("a", {"a": 1}, version=1)), (2, 3, answer("b", {"b": 1}, version=2))],
     "epoch 1 is claimed by a/1 and b/1"),
    ([(0, 1, answer("a", OLD, version=5)), (2, 3, answer("b", NEW, version=5))],
     "two values of version 5"),
    ([(0, 1, answer("a", OLD)), (2, 3, answer("b", NEW, leader="b"))], "two leaders of term 1"),
], ids=["overlap", "not evictable", "any order", "one epoch", "two values", "two leaders"])
def test_claims_that_are_a_fault(answers, says):
    [fault] = history(*answers)
    assert says in fault


def test_an_overlap_is_found_behind_a_later_epoch_of_others():
    kept = ClaimHistory()
    for number in range(1, 40):
        owner = "ab"[number % 2]
        kept.add(answer(owner, {owner: number}), Moment(number, number + 0.5))
    assert not kept.overlaps()
    kept.add(answer("b", {"b": 3}), Moment(50, 50.5))
    assert len(kept.overlaps()) == 36


def test_without_leases_an_old_owner_is_believed():
    for claims_when, found in ((believes, 1), (None, 0)):
        kept = ClaimHistory(claims_when) if claims_when else ClaimHistory()
        kept.add(answer("b", NEW), Moment(0, 1))
        kept.add(answer("a", OLD, lease_s=0), Moment(2, 3))
        assert len(kept.overlaps()) == found


def reach(hosts) -> set[tuple[int, int]]:
    """Which host can open a connection to which."""
    found = set()
    for a, b in itertools.permutations(range(len(hosts)), 2):
        command = [*hosts[a].wrapper, sys.executable, "-c", CONNECT, hosts[b].address]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            found.add((a, b))
    return found


def failure(client, server) -> str:
    """What a client hears that cannot connect."""
    command = [*client.wrapper, sys.executable, "-c", CONNECT, server.address]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_links_are_cut_and_healed():
    every = set(itertools.permutations(range(3), 2))
    with Network(3) as network:
        names = [host.name for host in network.hosts]
        for host in network.hosts:
            subprocess.Popen([*host.wrapper, sys.executable, "-c", LISTEN, host.address])
        wait.until(lambda: reach(network.hosts) == every, "every host reaches every other")
        a, b, c = network.hosts
        network.isolate(a)
        assert reach(network.hosts) == {(1, 2), (2, 1)}
        network.heal()
        network.cut((a, b))
        assert reach(network.hosts) == every - {(0, 1), (1, 0)}
        network.heal()
        network.reset((b, c))
        assert reach(network.hosts) == every - {(1, 2), (2, 1)}
        assert "refused" in failure(b, c) or "reset" in failure(b, c)
        network.heal()
        network.cut_one_way(c, a)  # of a connection either direction is needed
        assert reach(network.hosts) == every - {(0, 2), (2, 0)}
        network.heal()
        assert reach(network.hosts) == every
    assert not set(names) & set(namespaces())


def test_what_a_killed_run_left_is_removed(tmp_path):
    script = ("import os, signal, subprocess\n"
              "from harness.network import Network\n"
              "host = Network(1).hosts[0]\n"
              "subprocess.Popen([*host.wrapper, 'sleep', '600'])\n"
              "print(host.name, flush=True)\n"
              "os.kill(os.getpid(), signal.SIGKILL)\n")
    output = tmp_path / "output"
    with output.open("w") as file:
        subprocess.run([sys.executable, "-c", script], stdout=file, check=False)
    left = output.read_text().strip()
    assert left in namespaces()
    with Network(1):
        assert left not in namespaces()
