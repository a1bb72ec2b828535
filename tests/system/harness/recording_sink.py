"""A receiving server that records every transaction, and takes mail in the ways that hurt senders.

Contract  Octet by octet its own: no extension, no TLS, one line a reply. What it does is a `Mode`,
          which may change while it runs; a transaction keeps the one that it began with. Every
          transaction is one `Attempt` in `attempts()`, those that still go on among them.
Owner     `with RecordingSink(...)`: a thread of its own.
"""

import asyncio
import hashlib
import random
import re
import socket
import threading
import time
from dataclasses import dataclass, field, replace

from harness.ports import free_port
from harness.records import Attempt

SMALL_WINDOW_BYTES = 8192
QUEUE_ID = re.compile(rb"\sid ([0-9A-HJKMNP-TV-Z]{26})\b")
END = b"\r\n.\r\n"


@dataclass(frozen=True)
class Mode:
    """How mail is taken."""

    rcpt: str = ""                    # refuses every recipient so
    refusal: str = ""                 # ... every message, after its end
    grey_s: float = 0                 # a recipient is deferred until it is known so long
    delay_s: tuple[float, float] = (0, 0)  # between the dot and its reply
    lost: float = 0                   # the share of messages that are taken without a reply
    pace_bytes_s: int = 0             # reads so slowly
    stall_after_bytes: int = 0        # reads so much of a message and no more, until `resume`


DEFER = "421 4.3.2 Service not available, try later"
MODES = {
    "accept": Mode(),
    "defer": Mode(rcpt=DEFER),
    "bounce": Mode(rcpt="550 5.1.1 No such user here"),
    "greylist": Mode(grey_s=2),
    "defer_data": Mode(refusal="451 4.3.0 Could not store it"),
    "slow": Mode(delay_s=(0.05, 0.5)),
    "reply_lost": Mode(lost=1),
    "slow_read": Mode(pace_bytes_s=200_000),
    "zero_window": Mode(stall_after_bytes=1),
}


def stripped(content: bytes) -> bytes:
    """Without the Received fields on top: what its sender wrote."""
    while content[:9].lower() == b"received:":
        end = re.search(rb"\r\n(?![ \t])", content)
        content = content[end.end():] if end else b""
    return content


def fingerprint(content: bytes) -> str:
    return hashlib.sha256(stripped(content)).hexdigest()


def queue_id_of(content: bytes) -> str:
    found = QUEUE_ID.search(content.split(b"\r\n\r\n", 1)[0])
    return found[1].decode() if found else ""


def message_id_of(content: bytes) -> str:
    for line in content.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
        if line.lower().startswith(b"message-id:"):
            return line.split(b":", 1)[1].strip(b" \t<>").decode("latin-1")
    return ""


def address_of(line: str) -> str:
    return line.split("<", 1)[1].split(">", 1)[0] if "<" in line else ""


@dataclass
class _Transaction:
    """An attempt that goes on."""

    peer: str
    sender: str
    mode: Mode
    began: float
    recipients: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def attempt(self, ended: float) -> Attempt:
        return Attempt(self.peer, self.sender, tuple(self.recipients), self.began, ended,
                       tuple(self.refused))


class RecordingSink:
    def __init__(self, host: str = "127.0.0.1", mode: str | Mode = "accept",
                 keep_content: bool = False, small_window: bool = False, seed: int = 1,
                 port: int | None = None) -> None:
        self.host, self.port = host, port or free_port()
        self.helos: set[str] = set()  # the names that clients gave
        self.contents: dict[str, bytes] = {}  # by message id
        self._keep_content, self._small_window = keep_content, small_window
        self._random = random.Random(seed)
        self._attempts: list[Attempt] = []
        self._open: dict[int, _Transaction | Attempt] = {}
        self._known: dict[str, float] = {}  # recipient -> first asked for, to be greylisted
        self._resumed: asyncio.Event
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.connections = 0
        self.arrived = 0
        self.set_mode(mode)

    # ------------------------------------------------------------------ for tests

    def __enter__(self) -> "RecordingSink":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def set_mode(self, mode: str | Mode) -> None:
        self._mode = MODES[mode] if isinstance(mode, str) else mode

    def resume(self) -> None:
        """Who was stalled is read on; so is who comes from now on."""
        self._loop.call_soon_threadsafe(self._resumed.set)

    def stall(self) -> None:
        self._loop.call_soon_threadsafe(self._resumed.clear)

    def attempts(self) -> list[Attempt]:
        """In the order of their ends; then those that go on, as if they ended now."""
        now, standing = time.monotonic(), list(self._open.values())
        return list(self._attempts) + [
            one.attempt(now) if isinstance(one, _Transaction) else replace(one, ended=now)
            for one in standing]

    @property
    def standing(self) -> int:
        """Transactions that go on."""
        return len(self._open)

    def copies(self) -> dict[str, list[Attempt]]:
        """What arrived, by message id."""
        found: dict[str, list[Attempt]] = {}
        for attempt in self.attempts():
            if attempt.arrived:
                found.setdefault(attempt.message_id, []).append(attempt)
        return found

    # ------------------------------------------------------------------ the conversation

    async def _listen(self) -> None:
        self._resumed = asyncio.Event()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._small_window:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW_BYTES)
        listener.bind((self.host, self.port))
        limit = SMALL_WINDOW_BYTES if self._small_window else 1 << 18
        self._server = await asyncio.start_server(self._session, sock=listener, backlog=1000,
                                                  limit=limit)

    async def _shut(self) -> None:
        self._server.close()
        sessions = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        session = _Session(self, reader, writer, self.connections)
        try:
            await session.run()
        except (OSError, EOFError, asyncio.CancelledError):
            session.finish()
        finally:
            writer.close()

    def reply_to_rcpt(self, recipient: str, mode: Mode) -> str:
        if mode.rcpt:
            return mode.rcpt
        if mode.grey_s:
            now = time.monotonic()
            if now < self._known.setdefault(recipient, now) + mode.grey_s:
                return "450 4.7.1 Greylisted, try later"
        return "250 2.1.5 OK"

    def keep(self, attempt: Attempt, content: bytes) -> None:
        self.arrived += 1
        if self._keep_content:
            self.contents[attempt.message_id] = content

    def opened(self, number: int, transaction: _Transaction | Attempt) -> None:
        self._open[number] = transaction

    def closed(self, number: int, ended: float) -> None:
        transaction = self._open.pop(number, None)
        if isinstance(transaction, _Transaction):
            self._attempts.append(transaction.attempt(ended))
        elif transaction:
            self._attempts.append(replace(transaction, ended=ended))

    def draws(self, share: float) -> bool:
        return self._random.random() < share

    def between(self, bounds: tuple[float, float]) -> float:
        return self._random.uniform(*bounds)

    async def resumed(self) -> None:
        await self._resumed.wait()

    @property
    def mode(self) -> Mode:
        return self._mode


class _Session:
    def __init__(self, sink: RecordingSink, reader: asyncio.StreamReader,
                 writer: asyncio.StreamWriter, number: int) -> None:
        self._sink, self._reader, self._writer, self._number = sink, reader, writer, number
        self._peer = writer.get_extra_info("peername")[0]
        self._transaction: _Transaction | None = None

    def finish(self) -> None:
        """The transaction is over, whatever it came to."""
        self._sink.closed(self._number, time.monotonic())
        self._transaction = None

    async def run(self) -> None:
        await self._say("220 sink.posthorse.test")
        while True:
            line = (await self._reader.readline()).decode("latin-1")
            if not line.endswith("\n"):
                raise EOFError("the client closed")
            verb = line[:4].upper()
            if verb == "QUIT":
                await self._say("221 2.0.0 bye")
                self.finish()
                return
            if verb == "DATA" and self._transaction and self._transaction.recipients:
                await self._data(self._transaction)
            else:
                await self._say(self._answer(verb, line))

    def _answer(self, verb: str, line: str) -> str:
        if verb in ("EHLO", "HELO", "RSET"):
            self.finish()
            self._sink.helos.update(line.split()[1:])
        elif verb == "MAIL":
            self.finish()
            self._transaction = _Transaction(self._peer, address_of(line), self._sink.mode,
                                             time.monotonic())
            self._sink.opened(self._number, self._transaction)
        elif verb == "RCPT" and self._transaction:
            return self._rcpt(self._transaction, address_of(line))
        elif verb != "NOOP":
            return "503 5.5.1 not now"
        return "250 2.0.0 OK"

    def _rcpt(self, transaction: _Transaction, recipient: str) -> str:
        reply = self._sink.reply_to_rcpt(recipient, transaction.mode)
        if reply.startswith("250"):
            transaction.recipients.append(recipient)
        else:
            transaction.refused.append((recipient, reply))
        return reply

    async def _data(self, transaction: _Transaction) -> None:
        await self._say("354 go on")
        content = await self._content(transaction.mode)
        mode, dot = transaction.mode, time.monotonic()
        attempt = replace(transaction.attempt(dot), dot=dot, message_id=message_id_of(content),
                          queue_id=queue_id_of(content), sha256=fingerprint(content))
        if mode.lost and self._sink.draws(mode.lost):
            self._sink.opened(self._number, replace(attempt, withheld=True))
            self._sink.keep(attempt, content)
            self._writer.transport.abort()
            raise EOFError("the reply is withheld")
        self._sink.opened(self._number, attempt)
        if not mode.refusal:
            self._sink.keep(attempt, content)
        if mode.delay_s[1]:
            await self._wait_with_client(self._sink.between(mode.delay_s))
        reply = mode.refusal or "250 2.0.0 taken"
        # Said before it is written: who is killed meanwhile may have heard it.
        self._sink.opened(self._number, replace(attempt, reply=reply))
        await self._say(reply)
        self.finish()

    async def _wait_with_client(self, seconds: float) -> None:
        """Ends early when the client leaves: it says nothing between its dot and the reply."""
        try:
            octet = await asyncio.wait_for(self._reader.read(1), seconds)
        except TimeoutError:
            return
        raise EOFError("the client closed" if not octet else "the client did not wait")

    async def _content(self, mode: Mode) -> bytes:
        """Of a message, without its dots' stuffing and its end."""
        content = bytearray(b"\r\n")
        while not content.endswith(END):
            if mode.stall_after_bytes and len(content) > mode.stall_after_bytes:
                await self._sink.resumed()
            if mode.pace_bytes_s:
                # The pace is what the mode is.
                await asyncio.sleep(SMALL_WINDOW_BYTES / mode.pace_bytes_s)
            octets = await self._reader.read(SMALL_WINDOW_BYTES if mode.pace_bytes_s else 1 << 16)
            if not octets:
                raise EOFError("the client closed in the middle")
            content += octets
        return bytes(content[2:-len(END) + 2]).replace(b"\r\n..", b"\r\n.")

    async def _say(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")
        await self._writer.drain()
