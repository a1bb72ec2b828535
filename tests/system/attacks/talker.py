"""A client down to the octet, in clear or under TLS, that knows how each door is entered."""

import base64
import socket
import ssl
import struct

from harness.node import LOGIN, PASSWORD, Node

from attacks.rows import MX, SUBMISSIONS, TRUSTED

TRUSTED_ADDRESS = "127.0.0.2"
TAKER = "taker@sink.test"


def plain(login: str = LOGIN, password: str = PASSWORD) -> str:
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Talker:
    """`source` is the address that it comes from; trusted clients have their own."""

    def __init__(self, node: Node, door: str, source: str = "", greet: bool = True,
                 timeout_s: float = 30) -> None:
        self.door = door
        self.sender = "load@elsewhere.test" if door in (MX, TRUSTED) else LOGIN
        port = node.ports[MX if door == TRUSTED else door]
        source = source or (TRUSTED_ADDRESS if door == TRUSTED else "127.0.0.1")
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.greeting = ""
        if greet:
            if door == SUBMISSIONS:
                self.start_tls()
            self.greeting = self.reply()

    def __enter__(self) -> "Talker":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def start_tls(self, context: ssl.SSLContext | None = None) -> None:
        self.socket = (context or unverified()).wrap_socket(self.socket)
        self._buffer = b""

    def write(self, octets: bytes) -> None:
        """What a server that hung up does not read is lost, as it should be."""
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass

    def line(self) -> str:
        """Without its end; empty: the server closed."""
        while b"\r\n" not in self._buffer:
            try:
                octets = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                octets = b""
            if not octets:
                return ""
            self._buffer += octets
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def reply(self) -> str:
        """All lines of one reply; empty: the server closed."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def say(self, line: str | bytes) -> str:
        self.write((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.reply()

    def expect(self, line: str | bytes, beginning: str) -> str:
        answer = self.say(line)
        wants(answer, beginning, line)
        return answer

    def end_writing(self) -> None:
        """Half of a close: without a word of TLS about it, and what comes is still read through
        TLS (`SSLSocket.shutdown` would go on in clear)."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def expect_end(self) -> None:
        """The server closes; under TLS it may say by an alert that our end came without one."""
        try:
            rest = self.line()
        except ssl.SSLError as error:
            if error.reason != "TLSV1_ALERT_DECODE_ERROR":
                raise
            rest = ""
        if rest:
            raise AssertionError(f"the connection goes on: {rest!r}")

    def hello(self) -> "Talker":
        """Up to where this door takes MAIL."""
        self.expect("EHLO client.test", "250")
        if self.door in (MX, TRUSTED):
            return self
        if self.door != SUBMISSIONS:
            self.secure()
        self.expect("AUTH PLAIN " + plain(), "235")
        return self

    def secure(self) -> None:
        self.expect("STARTTLS", "220")
        self.start_tls()
        self.expect("EHLO client.test", "250")

    def envelope(self, recipient: str = TAKER, parameters: str = "") -> "Talker":
        self.expect(f"MAIL FROM:<{self.sender}>{parameters}", "250")
        self.expect(f"RCPT TO:<{recipient}>", "250")
        return self

    def data(self) -> "Talker":
        self.envelope()
        self.expect("DATA", "354")
        return self

    def reset(self) -> None:
        """Leaves with RST."""
        plain_socket = self.socket
        plain_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain_socket.close()


def wants(answer: str, beginning: str | tuple[str, ...], what: object = "") -> None:
    if not answer.startswith(beginning):
        shown = what if len(str(what)) < 200 else str(what)[:200] + "..."
        raise AssertionError(f"{shown!r} was answered {answer!r}, not {beginning}")
