"""Free TCP ports on loopback, none of them given twice by one process."""

import socket

_given: set[int] = set()


def free_port() -> int:
    """Below the range of ephemeral ports, so that no outgoing connection takes it meanwhile."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1] % 20000 + 11000
        if port not in _given and _can_bind(port):
            _given.add(port)
            return port


def _can_bind(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def is_open(port: int, host: str = "127.0.0.1") -> bool:
    with socket.create_connection((host, port), timeout=5):
        return True
