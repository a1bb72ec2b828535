"""A wire-tap between a mail client and a server: what they say, and what the server may offer.

Tap       listens on `port`, speaks to `upstream`, and keeps what the client said between two
          replies. Keywords in `hides` are made unreadable in the replies, so that a client goes on
          as with a server that lacks them: without STARTTLS everything is in clear, and is kept.
          Each reply is held up by `latency_s`: who says more before it comes does not wait for it.
"""

import re
import socket
import socketserver
import threading
import time

from harness.ports import free_port

CHUNK_BYTES = 1 << 16


class _Conversation(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        tap = self.server.tap
        with socket.create_connection(("127.0.0.1", tap.upstream)) as server:
            tap.opened(self.request, server)
            back = threading.Thread(target=self._replies, args=(server,), daemon=True)
            back.start()
            try:
                while octets := self.request.recv(CHUNK_BYTES):
                    tap.keep(octets)
                    server.sendall(octets)
                server.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # one of them left
            back.join()
            tap.closed(self.request, server)

    def _replies(self, server: socket.socket) -> None:
        """Ends the client's side, too, when the server ends."""
        tap = self.server.tap
        try:
            while octets := server.recv(CHUNK_BYTES):
                time.sleep(tap.latency_s)  # the wire is as long as a test says
                tap.turn()
                self.request.sendall(tap.hide(octets))
            self.request.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # one of them left


class Tap(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 50

    def __init__(self, upstream: int, hides: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self.upstream = upstream
        self.hides = hides
        self.latency_s = 0.0
        self.tap = self
        self._said: list[bytearray] = [bytearray()]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", self.port), _Conversation)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "Tap":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self._thread.join(10)
        self.cut()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        """Nobody listens upstream: the client sees its connection end."""

    def hide(self, octets: bytes) -> bytes:
        for keyword in self.hides:
            octets = re.sub(rb"(?m)^(250[- ])" + keyword.encode() + rb"\b", rb"\1XHIDDEN", octets)
        return octets

    def keep(self, octets: bytes) -> None:
        with self._lock:
            self._said[-1] += octets

    def turn(self) -> None:
        """A reply goes to the client."""
        with self._lock:
            if self._said[-1]:
                self._said.append(bytearray())

    def opened(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open.update(ends)

    def closed(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open.difference_update(ends)

    def turns(self) -> list[bytes]:
        """What the client said between replies, since the start or the last `forget`."""
        with self._lock:
            return [bytes(one) for one in self._said if one]

    def forget(self, hides: tuple[str, ...] = ()) -> None:
        """Another conversation begins: connections that stand are ended, what was said is gone."""
        self.cut()
        with self._lock:
            self._said = [bytearray()]
            self.hides = hides

    def cut(self) -> None:
        with self._lock:
            ends = list(self._open)
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it ended by itself
