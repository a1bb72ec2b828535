"""Which messages were ever in doubt, by the logs of the nodes that found it so."""

from collections.abc import Iterable

from harness.node import Node

MARK = " in_doubt id="


def ever_in_doubt(nodes: Iterable[Node]) -> frozenset[str]:
    """Queue ids. A line is written as soon as a node knows, before anybody sends again."""
    return frozenset(line.split(MARK, 1)[1].split(maxsplit=1)[0] for node in nodes
                     for line in node.log.read_text(errors="replace").splitlines()
                     if MARK in line)
