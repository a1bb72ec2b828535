"""`./dev try --pool`: three nodes share one queue, one of them is killed, its mail goes on.

Contract  As tryout.py: every step says `ok`, or the run ends non-zero with the reason. All nodes
          are on this machine, each with a loopback address of its own. Takes less than two minutes.
"""

import json
import os
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import wait
from harness.certificates import Certificates, make
from harness.mail_pool import partition_of
from harness.node import (BINARY, INCOMPLETE, LOGIN, PASSWORD, Node, answer_of,
                          routes_to)
from harness.pool import PEER_PORT, Authority
from harness.recording_sink import RecordingSink
from tryout import ok, scratch_folder, stays_up, submit, wait_for_a_signal

NAMES = {"alpha": "127.0.0.11", "bravo": "127.0.0.12", "charlie": "127.0.0.13"}
YOU = "you@sink.test"
LEASE_S = 5


def indented(text: str) -> str:
    return textwrap.indent(text.rstrip(), "      | ")


class TryNode(Node):
    """A node of the pool. All differ by name and address only."""

    def __init__(self, name: str, folder: Path, tls: Certificates, pool: dict,
                 sink: RecordingSink) -> None:
        self.name, address = name, NAMES[name]
        settings = {**routes_to({"sink.test": sink.port}), "host_name": f"{name}.posthorse.test",
                    "pool": {**pool, "name": name, "address": address, "port": PEER_PORT,
                             "lease_ttl": f"{LEASE_S}s"}}
        # So that the receiver sees who delivers.
        settings["delivery"]["source_address"] = address
        super().__init__(settings, folder / name, tls, address)
        self.add_user()


def make_nodes(folder: Path, sink: RecordingSink) -> list[TryNode]:
    authority = Authority(folder / "ca")
    pool = {**authority.issue("pool"), "expect": len(NAMES),
            "join": [f"{address}:{PEER_PORT}" for address in NAMES.values()]}
    ok("authority and certificate of the pool, by `posthorse pool ca`")
    tls = make(folder / "tls", *[f"IP:{address}" for address in NAMES.values()])
    return [TryNode(name, folder, tls, pool, sink) for name in NAMES]


@contextmanager
def started(nodes: list[TryNode]) -> Iterator[None]:
    """None of them takes mail before they have begun the pool together."""
    try:
        for node in nodes:
            node.launch()
        wait.until(lambda: all(node.ready() for node in nodes), "three nodes are ready", 60)
        yield
    finally:
        for node in nodes:
            if node.running():
                node.kill()


def listed(node: Node) -> set[str]:
    """What it knows of; the dead node's own empty partition is out of reach."""
    return {message["id"] for message in node.queue_and_missing()[0]}


def send_and_list(nodes: list[TryNode]) -> set[str]:
    """The ids that every node lists."""
    ids = {submit(node, YOU).rsplit(" ", 1)[1] for node in nodes}
    ok("each node has taken one, and a second node has it on its disk: only then came the 250")
    wait.until(lambda: all(message["recipients"][0]["attempts"] for message in nodes[0].queue()),
               "each was tried once")
    ok("the server answers 421, so they wait. `posthorse queue ls` on every node shows all three:")
    print(indented(nodes[0].cli("queue", "ls")), flush=True)
    for node in nodes:
        wait.until(lambda: listed(node) == ids, f"{node.name} lists all three")
    ok("the others list the same ids")
    return ids


def owner_of(queue_id: str, nodes: list[TryNode], asked: Node) -> TryNode | None:
    partitions = json_of_pool(asked)["partitions"]
    name = next((one["owner_name"] for one in partitions if one["id"] == partition_of(queue_id)),
                "")
    return next((node for node in nodes if node.name == name), None)


def json_of_pool(node: Node) -> dict:
    return json.loads(node.cli("pool", "status", "--json"))


def kill_the_owner(queue_id: str, nodes: list[TryNode]) -> tuple[TryNode, list[TryNode]]:
    """Who died, and the others, of which one owns the message now."""
    dead = wait.until(lambda: owner_of(queue_id, nodes, nodes[0]), "the message has an owner")
    rest = [node for node in nodes if node is not dead]
    began = time.monotonic()
    dead.kill()
    ok(f"kill -9 of {dead.name}, which owns {queue_id}")
    heir = wait.until(lambda: owner_of(queue_id, rest, rest[0]), "another owns the message",
                      4 * LEASE_S)
    ok(f"{heir.name} owns it {time.monotonic() - began:.1f} s later: the lease was {LEASE_S} s. "
       "`posthorse node ls` says:")
    print(indented(rest[0].cli("node", "ls")), flush=True)
    return dead, rest


def delivered_by_a_sibling(queue_id: str, ids: set[str], rest: list[TryNode],
                           sink: RecordingSink) -> None:
    for node in rest:
        wait.until(lambda: listed(node) == ids, f"{node.name} lists all three still")
    ok("both survivors still list the same three ids")
    sink.set_mode("accept")
    if answer_of("--config", str(rest[0].config), "queue", "flush").returncode != INCOMPLETE:
        raise AssertionError("`queue flush` does not say that a part of the queue is out of reach")
    ok(f"the server takes mail again, and `posthorse queue flush` on {rest[0].name} makes all due")
    wait.until(lambda: len(sink.copies()) == len(ids), "all three arrive", 60)
    copies = [copy for found in sink.copies().values() for copy in found]
    names = {address: name for name, address in NAMES.items()}
    [copy] = [copy for copy in copies if copy.queue_id == queue_id]
    ok(f"{queue_id} was delivered by {names[copy.peer]}")
    if sorted(copy.queue_id for copy in copies) != sorted(ids):
        raise AssertionError(f"not each once: {[copy.queue_id for copy in copies]}")
    ok("each of the three arrived once")
    for node in rest:
        wait.until(lambda: not listed(node), f"{node.name} lists nothing")
    ok("the queue is empty on every node")


def comes_back(dead: TryNode, sink: RecordingSink) -> None:
    arrived = sink.arrived
    dead.start()
    wait.until(lambda: not listed(dead), f"{dead.name} lists nothing")
    if sink.arrived != arrived:
        raise AssertionError("the killed node delivered what was done")
    ok(f"{dead.name} is back with its old disk, and knows that nothing is left to do")


def show_next(nodes: list[TryNode]) -> None:
    posthorse = os.path.relpath(BINARY)
    print("\nThe pool is up.")
    for node in nodes:
        print(f"  {node.name:<8} process {node.pid}, submissions {node.address}:"
              f"{node.ports['submissions']}, {posthorse} --config {node.config} queue ls")
    print(textwrap.dedent(f"""
        login, password  {LOGIN}  {PASSWORD}
        What next: kill a process, send more to {YOU}, look at `node ls` and `pool status`.
        Stop with Ctrl-C here, or: kill {os.getpid()}
        """), flush=True)


def run(arguments: list[str]) -> None:
    folder = scratch_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with RecordingSink(mode="defer") as sink:
        nodes = make_nodes(folder, sink)
        with started(nodes):
            ok(f"three nodes ({', '.join(NAMES)}) have begun a pool. `posthorse node ls` says:")
            print(indented(nodes[0].cli("node", "ls")), flush=True)
            ids = send_and_list(nodes)
            chosen = min(ids)
            dead, rest = kill_the_owner(chosen, nodes)
            delivered_by_a_sibling(chosen, ids, rest, sink)
            comes_back(dead, sink)
            if stays_up(arguments):
                show_next(nodes)
                wait_for_a_signal()
            for node in nodes:
                node.stop()
            ok("the nodes stopped")
