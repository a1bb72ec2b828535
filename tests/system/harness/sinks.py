"""Receiving servers in this process: one that records every message, and one that refuses.

Sink      an SMTP server (aiosmtpd) on a free loopback port. Its mode may change while it runs,
          which is how a test opens a destination that was closed.
"""

import asyncio
import hashlib
import ssl
import threading
import time
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from harness.ports import free_port

# What a mode answers, and at which command. The first three are those of the acceptance tests of
# the mail service that Posthorse replaces.
ANSWERS = {
    "accept": None,
    "defer": ("RCPT", "421 4.3.2 Service not available, try later"),
    "bounce": ("RCPT", "550 5.1.1 No such user here"),
    "greylist": ("RCPT", "450 4.7.1 Greylisted, try later"),
    "defer_data": ("DATA", "451 4.3.0 Could not store it"),
    "bounce_data": ("DATA", "554 5.7.1 Refused"),
}


@dataclass(frozen=True)
class Received:
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    sha256: str
    at: float
    tls: str  # "TLSv1.3", or empty


@dataclass
class Recorder:
    """aiosmtpd's handler."""

    mode: str = "accept"
    keep_content: bool = True
    received: list[Received] = field(default_factory=list)
    refused: int = 0

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:
        answer = ANSWERS[self.mode]
        if answer and answer[0] == "RCPT":
            self.refused += 1
            return answer[1]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope) -> str:
        answer = ANSWERS[self.mode]
        if answer and answer[0] == "DATA":
            self.refused += 1
            return answer[1]
        channel = server.transport.get_extra_info("ssl_object")
        self.received.append(self._record(envelope, channel.version() if channel else ""))
        return "250 2.0.0 taken"

    def _record(self, envelope, tls: str) -> Received:
        content = envelope.original_content
        return Received(message_id(content), envelope.mail_from, tuple(envelope.rcpt_tos),
                        content if self.keep_content else b"", hashlib.sha256(content).hexdigest(),
                        time.monotonic(), tls)


def message_id(content: bytes) -> str:
    """The Message-ID of a message's header, without its brackets; empty when there is none."""
    for line in content.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
        if line.lower().startswith(b"message-id:"):
            return line.split(b":", 1)[1].strip(b" \t<>").decode("latin-1")
    return ""


@dataclass(frozen=True)
class Doors:
    """How a sink is entered: TLS from the first octet, or STARTTLS; with a login, or without."""

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    login: tuple[str, str] | None = None


class _Smtp(SMTP):
    line_length_limit = 1 << 20  # what a sender makes of long lines is the sender's to prove


class _Server(Controller):
    """aiosmtpd's controller, with limits for large messages."""

    def __init__(self, handler: Recorder, host: str, port: int, doors: Doors) -> None:
        super().__init__(handler, hostname=host, port=port,
                         ssl_context=doors.tls if doors.implicit else None)
        self._doors = doors

    def factory(self) -> SMTP:
        doors = self._doors
        return _Smtp(self.handler, hostname="sink.posthorse.test", data_size_limit=64 << 20,
                     tls_context=None if doors.implicit else doors.tls,
                     auth_required=bool(doors.login), authenticator=self._authenticate,
                     auth_require_tls=not doors.implicit, command_call_limit=1 << 30)

    def _authenticate(self, server, session, envelope, mechanism, data) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._doors.login, handled=False)  # it answers itself


class Sink:
    def __init__(self, mode: str = "accept", port: int | None = None, keep_content: bool = True,
                 doors: Doors = Doors(), host: str = "127.0.0.1") -> None:
        self.port = port or free_port()
        self.recorder = Recorder(mode, keep_content)
        self._server = _Server(self.recorder, host, self.port, doors)

    def __enter__(self) -> "Sink":
        self._server.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.stop()

    @property
    def received(self) -> list[Received]:
        return list(self.recorder.received)

    @property
    def refused(self) -> int:
        return self.recorder.refused

    def set_mode(self, mode: str) -> None:
        self.recorder.mode = mode

    def by_message_id(self) -> dict[str, list[Received]]:
        found: dict[str, list[Received]] = {}
        for message in self.received:
            found.setdefault(message.message_id, []).append(message)
        return found


class BlackHole:
    """A port that takes connections and never says a word."""

    def __init__(self) -> None:
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections: list[asyncio.StreamWriter] = []

    def __enter__(self) -> "BlackHole":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            lambda reader, writer: self._connections.append(writer), "127.0.0.1", self.port)

    def __exit__(self, *_) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
