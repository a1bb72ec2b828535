"""A point of the proof `speed`: signing costs what the signature costs.

With S signatures a second by `openssl speed` on all cores and U unsigned messages a second, nobody
signs more than 1 / (1/S + 1/U) messages a second: of that the node must reach its share.
"""

import os
import statistics
import subprocess

from harness.dkim_keys import generate, write_tables
from harness.load_tools import FloorSink, Load
from harness.node import Node, merged
from proofs.figures import require
from proofs.speed_rig import Stage, case_of, described, in_turn, routed

SIGNED_MIN = 0.8
DOMAIN = "posthorse.test"
SIGNATURE_BYTES_MIN = 200
KINDS = {"rsa": ("rsa2048", "rsa 2048 bits"), "ed25519": ("ed25519", "253 bits EdDSA")}


def signatures_a_second(kind: str, seconds: int) -> float:
    """By OpenSSL, on all cores."""
    name, row = KINDS[kind]
    answer = subprocess.run(["openssl", "speed", "-seconds", str(seconds), "-multi",
                             str(os.cpu_count()), name], capture_output=True, text=True, check=True)
    lines = [line for line in answer.stdout.splitlines() if line.strip().startswith(row)]
    require(bool(lines), f"openssl speed says nothing of {row}: {answer.stdout}")
    return float(lines[-1].split()[-2])


def signing_node(stage: Stage, sink: FloorSink, kind: str) -> Node:
    node = Node(folder=stage.folder(kind))
    key = generate(node.folder / "keys", DOMAIN, kind, kind)
    node.write_config(merged(routed(sink), write_tables(node.folder, [key])))
    return node


def message_bytes(sink: FloorSink, node: Node) -> float:
    """As they arrive."""
    before = sink.counts()
    measured = case_of("", node, sink, Load(node.ports["mx"], 200))
    measured.run(200)
    after = sink.counts()
    return (after["bytes"] - before["bytes"]) / (after["messages"] - before["messages"])


def dkim(stage: Stage) -> None:
    scores, messages = stage.scores, stage.messages(6000, 20_000)
    seconds = 3 if stage.full else 1
    with (FloorSink() as sink, Node(routed(sink), folder=stage.folder("unsigned")) as unsigned,
          signing_node(stage, sink, "rsa") as rsa,
          signing_node(stage, sink, "ed25519") as ed25519):
        nodes = {"unsigned": unsigned, "rsa": rsa, "ed25519": ed25519}
        plain = message_bytes(sink, unsigned)
        for kind in KINDS:
            grown = message_bytes(sink, nodes[kind]) - plain
            require(grown > SIGNATURE_BYTES_MIN, f"{kind}: {grown} bytes more are no signature")
        speeds = {kind: [signatures_a_second(kind, seconds)] for kind in KINDS}
        medians = in_turn([case_of(name, node, sink, Load(node.ports["mx"], messages))
                           for name, node in nodes.items()], stage.rounds)
        for kind, found in speeds.items():
            found += [signatures_a_second(kind, seconds) for _ in range(2)]
    for name, one in medians.items():
        scores.note(f"DKIM: {name}", described(one))
    for kind, found in speeds.items():
        signs = statistics.median(found)
        possible = 1 / (1 / signs + 1 / medians["unsigned"].delivered)
        scores.note(f"DKIM: {kind}: openssl speed; possible",
                    f"{signs:.0f} signatures/s; {possible:.0f} messages/s")
        scores.at_least(f"DKIM: {kind}: delivered/s, of what is possible",
                        medians[kind].delivered / possible, SIGNED_MIN)
