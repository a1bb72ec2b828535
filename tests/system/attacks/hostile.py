"""Servers that do as they please with a node that delivers to them.

Hostile   a server on a loopback port whose answer to each step is a value: octets, or a function
          of the conversation. What it does not say is said as a good server would.
"""

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable

from harness.ports import free_port

GOOD = {
    "greeting": b"220 hostile.test\r\n", "EHLO": b"250 hostile.test\r\n", "HELO": b"250 ok\r\n",
    "MAIL": b"250 2.1.0 ok\r\n", "RCPT": b"250 2.1.5 ok\r\n", "DATA": b"354 go on\r\n",
    ".": b"250 2.0.0 taken\r\n", "RSET": b"250 2.0.0 ok\r\n", "QUIT": b"221 2.0.0 bye\r\n",
    "STARTTLS": b"502 5.5.1 no\r\n",
}


class Conversation(socketserver.StreamRequestHandler):
    """One connection of the node's."""

    def handle(self) -> None:
        server: Hostile = self.server.hostile
        server.connections += 1
        try:
            self.converse(server)
        except OSError:  # the node has left: its right
            pass

    def converse(self, server: "Hostile") -> None:
        self.step(server, "greeting", b"")
        while line := self.rfile.readline():
            verb = line[:8].split()[0].decode("latin-1").upper() if line.strip() else ""
            server.heard.append(line.rstrip(b"\r\n").decode("latin-1"))
            self.step(server, verb, line)
            if verb == "DATA" and server.answers.get("DATA", GOOD["DATA"])[:3] == b"354":
                self.body(server)
            if verb == "QUIT":
                return

    def body(self, server: "Hostile") -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        if line:
            server.bodies.append(b"".join(lines))
            self.step(server, ".", b"")

    def step(self, server: "Hostile", verb: str, line: bytes) -> None:
        answer = server.answers.get(verb, GOOD.get(verb, b"500 5.5.2 what?\r\n"))
        if callable(answer):
            answer = answer(self, line)
        if answer:
            self.say(answer)

    def say(self, octets: bytes) -> None:
        self.wfile.write(octets)
        self.wfile.flush()

    def secure(self, context: ssl.SSLContext) -> None:
        self.request = context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")


class Hostile(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, answers: dict[str, bytes | Callable] | None = None,
                 host: str = "127.0.0.1", port: int = 0) -> None:
        self.hostile = self
        self.answers = answers or {}
        self.heard: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.port = port or free_port()
        super().__init__((host, self.port), Conversation)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        """What breaks in a conversation is what the node was meant to break off."""


# ------------------------------------------------------------------ what a step may do

def hang(conversation: Conversation, _: bytes) -> None:
    """Says nothing until the node leaves."""
    while conversation.request.recv(4096):
        pass


def close(conversation: Conversation, _: bytes) -> None:
    conversation.request.shutdown(socket.SHUT_RDWR)


def endless(piece: bytes) -> Callable:
    """Says a thing until the node leaves."""
    def say(conversation: Conversation, _: bytes) -> None:
        while True:
            conversation.say(piece)
    return say


def dribble(octets: bytes, every_s: float) -> Callable:
    """Octet by octet, for ever."""
    def say(conversation: Conversation, _: bytes) -> None:
        at = 0
        while True:
            conversation.say(octets[at % len(octets):][:1])
            at += 1
            time.sleep(every_s)  # the pace is what the attack is
    return say


def starttls(context: ssl.SSLContext | None, behind: bytes = b"") -> Callable:
    """220, with octets behind it in clear; then a handshake, or nonsense without a context."""
    def answer(conversation: Conversation, _: bytes) -> None:
        conversation.say(b"220 go on\r\n" + behind)
        if context is None:
            conversation.say(b"\x16\x03\x01\xff\xff" + bytes(1000))
            conversation.request.shutdown(socket.SHUT_WR)
        else:
            conversation.secure(context)
    return answer


def some(answers: tuple[bytes, ...]) -> Callable:
    """One after the other, the last for ever: each RCPT has its own."""
    left = list(answers)

    def answer(_: Conversation, __: bytes) -> bytes:
        return left.pop(0) if len(left) > 1 else left[0]
    return answer
