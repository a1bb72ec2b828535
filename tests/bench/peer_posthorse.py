"""Posthorse: one node, or a pool of several on addresses of loopback; the load comes to all."""

import re
from contextlib import ExitStack

from cases import Case
from cpu_group import CpuGroup
from ground import Ground
from harness import dkim_keys, wait
from harness.node import TRUSTING, Node, answer_of, merged
from harness.pool import Authority
from harness.ports import free_port
from sources import Door

ROUTE = re.compile(r"\n\[\[delivery\.route\]\]\n(?:\w.*\n)*")
# What is deferred stays so during the run.
PATIENT = {"queue": {"min_retry_age": "4h", "max_retry_age": "4h", "delay_warning": "0s",
                     "lifetime": "4d"}}


class Posthorse:
    def __init__(self, ground: Ground, node_count: int = 1, copies: int = 0) -> None:
        self.title = "Posthorse"
        if node_count > 1:
            self.title += f", {node_count} nodes, copies = {copies}"
        self._ground = ground
        self.group = CpuGroup(f"Posthorse-{node_count}-{copies}")
        self._stack = ExitStack()
        self.nodes = self._make_nodes(node_count, copies)

    def _make_nodes(self, count: int, copies: int) -> list[Node]:
        folders = [self._ground.scratch / f"n{count}{copies}{index}"
                   for index in range(1, count + 1)]
        settings = self._settings()
        if count == 1:
            return [Node(settings, folders[0], self._ground.certificates)]
        addresses = [f"127.0.2.{index}" for index in range(1, count + 1)]
        certificate = Authority(folders[0].parent / f"ca-{folders[0].name}").issue("pool")
        ports = [free_port() for _ in folders]
        join = [f"{address}:{port}" for address, port in zip(addresses, ports)]
        return [Node(merged(settings, {"pool": {
            "name": folder.name, "address": address, "port": port, "join": join,
            "expect": len(folders), "copies": copies, **certificate}}),
            folder, self._ground.certificates, address)
            for folder, address, port in zip(folders, addresses, ports)]

    def _settings(self) -> dict:
        routes = [{"domain": domain, "next_hop": f"smtp:[{address}]:{port}"}
                  for domain, (address, port) in self._ground.next_hops().items()]
        tables = dkim_keys.write_tables(self._ground.scratch, list(self._ground.keys.values()))
        return merged(merged(merged({"delivery": {"route": routes}}, tables), TRUSTING), PATIENT)

    def __enter__(self) -> "Posthorse":
        self._stack.enter_context(self.group)
        for node in self.nodes:
            with self.group.entered():
                node.launch()
        for node in self.nodes:
            wait.until(node.ready, f"{node.folder} is ready", 60)
        return self

    def __exit__(self, *_) -> None:
        if self.running():
            self.stop()
        self._stack.close()

    def running(self) -> bool:
        return all(node.running() for node in self.nodes)

    def stop(self) -> None:
        """At once: what is under way to the silent destination would be waited for."""
        for node in self.nodes:
            node.kill()

    def lacks(self, _: Case) -> str:
        return ""

    def doors(self, _: Case) -> list[Door]:
        return [(node.address, node.ports["mx"]) for node in self.nodes]

    def version(self) -> str:
        return answer_of("--version").stdout.strip()

    def settings(self) -> str:
        """Of its first node, without the many routes."""
        return ROUTE.sub("", self.nodes[0].config.read_text())

    def queue_length(self) -> int:
        return int(self.nodes[0].status()["messages"])

    def nothing_moves(self) -> bool:
        return not int(self.nodes[0].status()["active"])
