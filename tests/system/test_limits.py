"""Limits of the machine: few open files, and what the node makes of them."""

import contextlib
import select
import socket

from harness import wait
from harness.node import Node
from harness.rawclient import RawClient

FILES, DELIVERIES, OTHERS = 600, 200, 256
ROOM = FILES - DELIVERIES - OTHERS


def limited(files: int) -> tuple[str, str]:
    return ("prlimit", f"--nofile={files}:{files}")


def test_a_low_limit_of_files_bounds_the_sessions():
    """S33: who is one too many hears so; the node never lacks a descriptor."""
    node = Node({"intake": {"sessions_per_client_max": 1000}})
    try:
        node.start(limited(FILES))
        assert f"sessions={ROOM} " in node.logged(f"open_files_short limit={FILES}")
        with contextlib.ExitStack() as open_ones:
            for _ in range(ROOM):
                client = open_ones.enter_context(RawClient(node.ports["mx"]))
                assert client.greeting.startswith("220")
            for _ in range(20):
                with RawClient(node.ports["mx"]) as one_more:
                    assert one_more.greeting.startswith("421 4.3.2")
        wait.until(lambda: node.metrics()["posthorse_smtp_sessions"] == 0, "all are gone")
        with RawClient(node.ports["mx"]) as client:
            assert client.greeting.startswith("220")
        assert "accept_failed" not in node.log.read_text()
        node.stop()
    finally:
        if node.running():
            node.kill()


def test_a_node_without_room_for_sessions_does_not_start():
    node = Node()
    node.launch(limited(DELIVERIES + OTHERS))
    assert node.exit_code() == 1
    said = node.log.read_text()
    assert "cannot_start" in said and "limit of open files" in said and "LimitNOFILE" in said


def test_a_listener_that_is_full_lets_clients_wait():
    """Nobody is refused: who is one too many is greeted when another leaves."""
    node = Node()
    node.write_config({"listener": [
        {"name": "mx", "kind": "mx", "address": node.address, "port": node.ports["mx"],
         "sessions_max": 3}]})

    def connect() -> socket.socket:
        return open_ones.enter_context(
            socket.create_connection((node.address, node.ports["mx"]), 10))

    with contextlib.ExitStack() as open_ones, node:
        clients = [connect() for _ in range(3)]
        assert all(client.recv(100).startswith(b"220") for client in clients)
        node.logged("crowd_began sessions=3 sessions_max=3")
        waiting, last = connect(), connect()
        assert not select.select([waiting, last], [], [], 0.5)[0]
        assert node.metrics()["posthorse_smtp_sessions"] == 3
        clients[0].close()
        assert waiting.recv(100).startswith(b"220")
        assert not select.select([last], [], [], 0.2)[0]
        node.stop()  # for nobody who waits
        with contextlib.suppress(ConnectionResetError):
            assert last.recv(100) == b""
