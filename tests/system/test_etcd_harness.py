"""The etcd of the tests of pools, without a pool: it dies, is replaced and restored as asked."""

from pathlib import Path

import pytest

from harness.etcd import CtlError, Etcd
from harness.network import Network

KEY = "/elsewhere/key"


@pytest.fixture(name="etcd")
def running_etcd(tmp_path: Path):
    with Network(3) as network:
        etcd = Etcd(network.hosts, tmp_path / "etcd")
        try:
            etcd.start()
            yield etcd, network
        finally:
            etcd.close()


def value(etcd: Etcd, **options) -> str:
    return etcd.ctl("get", KEY, "--print-value-only", **options).strip()


def test_a_leader_dies_and_members_are_cut_off(etcd):
    etcd, network = etcd
    etcd.ctl("put", KEY, "one")
    leader = etcd.leader()
    leader.kill()
    assert etcd.leader() is not leader
    etcd.in_time("put", KEY, "two")
    etcd.launch()
    etcd.serves()
    assert value(etcd, at=[leader]) == "two"

    leader = etcd.leader()
    network.isolate(leader.host)
    others = [member for member in etcd.members if member is not leader]
    etcd.in_time("put", KEY, "three", at=others)
    with pytest.raises(CtlError):
        etcd.ctl("get", KEY, "--command-timeout=2s", at=[leader])
    network.heal()
    etcd.serves()

    leader = etcd.leader()
    leader.pause()
    etcd.in_time("put", KEY, "four", at=[one for one in etcd.members if one is not leader])
    leader.go_on()
    etcd.serves()


def test_a_member_is_replaced_and_all_are_restored(etcd):
    etcd, _ = etcd
    etcd.ctl("put", KEY, "one")
    etcd.replace(etcd.members[1])
    assert value(etcd, at=[etcd.members[1]]) == "one"
    kept = etcd.snapshot()
    etcd.ctl("put", KEY, "two")
    etcd.restore(kept)
    assert value(etcd) == "one"
    etcd.compact()
    etcd.empty()
    assert value(etcd) == ""
    assert not etcd.keys()
