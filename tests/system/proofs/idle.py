"""Very many clients that do nothing, and some that do it slowly, do not keep out those with mail.

1. Sessions that idle, in clear and under TLS: what each costs in memory is within what
   docs/operating/limits.md states.
2. Beside them, sessions that write an octet a second: in a command, in a message, in a TLS
   handshake. Mail of others is accepted within 1.5 times the p99 that it has without them.
3. So many that they are a crowd: those that dawdle are gone within `server_crowded`, mail is
   accepted all the while, and in the end the node has as few files open as in the beginning.

The bounded form has 1,000 idle and 100 slow sessions, `--full` 10,000 and 1,000.
"""

import contextlib
import os
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from attacks.channels import CLIENT_HELLO_HALF
from attacks.talker import TRUSTED_ADDRESS, Talker, unverified, wants
from harness import wait
from harness.node import Node, merged, routes_to
from harness.recording_sink import RecordingSink
from proofs.figures import Figures, require

CLEAR_BYTES_MAX = 16 * 1024  # of an idle session; docs/operating/limits.md states both
TLS_BYTES_MAX = 48 * 1024
P99_FACTOR = 1.5
NOISE_S = 0.01               # bounded: what a machine that does other things adds to any p99
ADDRESSES = 40
MAILS, MAILS_FULL = 300, 1000
MAILERS = 4
CROWDED_S = 3
ROUNDS = 4
TICKS = 50


@dataclass(frozen=True)
class Size:
    clear: int
    tls: int
    slow: int
    mails: int
    noise_s: float

    @property
    def room(self) -> int:
        """Sessions that there may be: those here are just no crowd."""
        return (self.clear + self.tls + self.slow + 2 * MAILERS) * 5 // 4 + 10


class Crowd:
    """Connections from many addresses, which are kept."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.kept: list[socket.socket] = []
        self._lock = threading.Lock()

    def connect(self, number: int, door: str) -> socket.socket:
        source = f"127.0.1.{number % ADDRESSES + 1}"
        return socket.create_connection(("127.0.0.1", self._node.ports[door]), 60, (source, 0))

    def keep(self, one: socket.socket) -> None:
        with self._lock:
            self.kept.append(one)

    def idle_in_clear(self, number: int) -> None:
        one = self.connect(number, "mx")
        greeting = one.recv(4096)
        require(greeting.startswith(b"220"), f"an idle session was greeted {greeting!r}")
        self.keep(one)

    def idle_under_tls(self, number: int) -> None:
        one = _TLS.wrap_socket(self.connect(number, "submissions"))
        greeting = one.recv(4096)
        require(greeting.startswith(b"220"), f"an idle session was greeted {greeting!r}")
        self.keep(one)

    def open(self, count: int, how) -> None:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(how, range(count)))

    def close(self) -> None:
        for one in self.kept:
            with contextlib.suppress(OSError):
                one.close()
        self.kept.clear()


_TLS = unverified()


class Dawdlers:
    """Sessions that write an octet a second."""

    KINDS = ("command", "message", "handshake")

    def __init__(self, crowd: Crowd, count: int) -> None:
        self._crowd = crowd
        self._stop = threading.Event()
        self.sockets = [self._begin(number) for number in range(count)]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _begin(self, number: int) -> socket.socket:
        kind = self.KINDS[number % 3]
        one = self._crowd.connect(number, "submissions" if kind == "handshake" else "mx")
        if kind != "handshake":
            one.recv(4096)
        if kind == "message":
            for line in (b"EHLO slow.test", b"MAIL FROM:<a@elsewhere.test>",
                         b"RCPT TO:<taker@sink.test>", b"DATA"):
                one.sendall(line + b"\r\n")
                one.recv(4096)
        one.setblocking(False)
        return one

    def _run(self) -> None:
        """Each has its own moment of the second."""
        tick = 0
        while not self._stop.wait(1 / TICKS):
            second = tick // TICKS
            octet = CLIENT_HELLO_HALF[second % len(CLIENT_HELLO_HALF):][:1]
            for number in range(tick % TICKS, len(self.sockets), TICKS):
                with contextlib.suppress(OSError):
                    self.sockets[number].send(
                        octet if self.KINDS[number % 3] == "handshake" else b"x")
            tick += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.close()


def mail(node: Node) -> float:
    """One message of somebody else, from his connection to his 250: seconds."""
    began = time.monotonic()
    with Talker(node, "trusted") as client:
        client.expect("EHLO client.test", "250")
        client.envelope()
        client.expect("DATA", "354")
        client.write(b"Subject: mail\r\n\r\n" + b"0123456789abcdef\r\n" * 200 + b".\r\n")
        wants(client.reply(), "250", "legitimate mail")
    return time.monotonic() - began


def p99(node: Node, mails: int) -> float:
    with ThreadPoolExecutor(MAILERS) as pool:
        took = sorted(pool.map(lambda _: mail(node), range(mails)))
    return took[int(len(took) * 0.99)]


def settled_kib(node: Node) -> int:
    """Resident memory once it no longer grows."""
    seen: list[int] = []

    def settled() -> bool:
        seen.append(node.memory_kib())
        return len(seen) > 5 and max(seen[-5:]) - min(seen[-5:]) < 512

    wait.until(settled, "memory settles", 60, every_s=0.1)
    return seen[-1]


def files(node: Node) -> int:
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def sessions(node: Node) -> int:
    return int(node.metrics()["posthorse_smtp_sessions"])


def bytes_of_each(node: Node, crowd: Crowd, count: int, how) -> float:
    before = settled_kib(node)
    crowd.open(count, how)
    return (settled_kib(node) - before) * 1024 / count


def compare(node: Node, size: Size, figures: Figures, crowd: Crowd) -> None:
    """p99 with all of them against p99 without: the best of some rounds each, since what else the
    machine does makes any of them worse."""
    quiet = min(p99(node, size.mails) for _ in range(ROUNDS))
    clear = bytes_of_each(node, crowd, size.clear, crowd.idle_in_clear)
    tls = bytes_of_each(node, crowd, size.tls, crowd.idle_under_tls)
    dawdlers = Dawdlers(crowd, size.slow)
    open_now = sessions(node)
    busy = min(p99(node, size.mails) for _ in range(ROUNDS))
    figures.add("idle sessions in clear, under TLS", f"{size.clear}, {size.tls}")
    figures.add("  memory of each", f"{clear / 1024:.1f} KiB (below {CLEAR_BYTES_MAX // 1024}), "
                                    f"{tls / 1024:.1f} KiB (below {TLS_BYTES_MAX // 1024})")
    figures.add("sessions of an octet a second", size.slow)
    figures.add("p99 of mail without them, with them",
                f"{quiet * 1000:.1f} ms, {busy * 1000:.1f} ms "
                f"({busy / quiet:.2f} times, at most {P99_FACTOR})")
    figures.add("memory of the node", f"{node.memory_kib() // 1024} MiB")
    require(open_now >= size.clear + size.tls + size.slow * 9 // 10,
            f"only {open_now} sessions are open")
    begin_a_crowd(node, size, figures, crowd)
    dawdlers.close()
    require(clear < CLEAR_BYTES_MAX, f"an idle session takes {clear:.0f} octets")
    require(tls < TLS_BYTES_MAX, f"an idle session under TLS takes {tls:.0f} octets")
    require(busy < quiet * P99_FACTOR + size.noise_s, f"p99 went from {quiet:.4f} to {busy:.4f} s")


def begin_a_crowd(node: Node, size: Size, figures: Figures, crowd: Crowd) -> None:
    more = size.room * 4 // 5 - sessions(node) + 5
    began = time.monotonic()
    crowd.open(max(1, more), crowd.idle_in_clear)
    wait.until(lambda: "crowd_began" in node.log.read_text(errors="replace"), "a crowd begins", 10)
    slowest = 0.0

    def few_are_left() -> bool:
        nonlocal slowest
        slowest = max(slowest, mail(node))
        return sessions(node) < size.room // 10

    wait.until(few_are_left, "who dawdles is gone", 60, every_s=0.1)
    figures.add("in a crowd all of them are gone after", f"{time.monotonic() - began:.1f} s")
    figures.add("  and mail takes, at most", f"{slowest * 1000:.0f} ms")


def main(full: bool) -> None:
    size = Size(8000, 2000, 1000, MAILS_FULL, 0) if full else Size(800, 200, 100, MAILS, NOISE_S)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    figures = Figures("very many clients")
    with RecordingSink() as sink:
        settings = merged(routes_to({"sink.test": sink.port}), {
            "intake": {"relay_domains": ["sink.test"], "sessions_max": size.room,
                       "sessions_per_client_max": size.room,
                       "trusted_networks": [f"{TRUSTED_ADDRESS}/32"]},
            "timeouts": {"server_crowded": f"{CROWDED_S}s"}})
        with Node(settings) as node:
            mail(node)
            before = files(node)
            crowd = Crowd(node)
            try:
                compare(node, size, figures, crowd)
            finally:
                crowd.close()
            wait.until(lambda: sessions(node) == 0, "every session is over", 60)
            wait.until(lambda: files(node) <= before + 20, "files are closed again", 60)
            figures.add("files before, after", f"{before}, {files(node)}")
            figures.show()
