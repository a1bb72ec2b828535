"""What a node does with pool.control before it has an etcd to ask. The rest: the proof `etcd`."""

from pathlib import Path

from harness.node import Node
from harness.pool import Authority

NOWHERE = "http://127.0.0.1:9"


def test_a_member_goes_on_where_its_pool_is(tmp_path: Path):
    on_etcd = {"pool": {"control": "etcd", "etcd": {"endpoints": [NOWHERE]},
                        **Authority(tmp_path / "ca").issue("pool")}}
    with Node(folder=tmp_path / "node") as node:  # a pool of its own
        node.stop()
        node.write_config(on_etcd)
        node.start()
        assert "posthorse pool move --to etcd" in node.logged("pool_control_differs")
        assert "etcd" not in node.cli("pool", "status")


def test_a_node_whose_etcd_does_not_answer_says_so(tmp_path: Path):
    settings = {"pool": {"control": "etcd", "etcd": {"endpoints": [NOWHERE]},
                         **Authority(tmp_path / "ca").issue("pool")}}
    node = Node(settings, tmp_path / "node")
    try:
        node.launch()
        assert NOWHERE in node.logged("etcd_unreached")
        status = node.cli("pool", "status")
        assert "waits for" in status and NOWHERE in status
        code, why = node.http("/readyz")
        assert code == 503 and NOWHERE in why
        metrics = node.metrics()
        assert metrics['posthorse_pool_control{by="etcd"}'] == 1
        assert metrics["posthorse_pool_etcd_reachable"] == 0
        assert metrics["posthorse_pool_can_decide"] == 0
        node.stop()
    finally:
        if node.running():
            node.kill()
