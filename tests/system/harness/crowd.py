"""Many clients at once that hand mail to the nodes of a pool, and remember every answer.

Contract  Each message has an id, recipients and a body of its own; every try to hand it in is one
          `Sent`, with the last reply or none. A client goes on at another node when its connection
          breaks or it is refused. What may have been taken without a 250 (no reply, or 4yz after
          the end of data) is sent again by some clients and given up by others; what was refused
          for now before its data is always tried again.
Owner     `with Crowd(...)` sends until its end, `run(n)` so many messages. A thread of its own.
"""

import asyncio
import itertools
import random
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.recording_sink import fingerprint
from harness.records import Sent

SIZES = (1000, 1000, 2000, 4000, 4000, 8000, 20_000, 60_000, 300_000)
SILENCE_MAX_S = 90   # without a reply for so long, a client hangs up
BLOCK_LINES = 8000
SO_MAX_PACING_RATE = 47      # of Linux; the module socket does not have it
SENDING_BYTES = 32 * 1024    # at most so much waits in the system of a client with a line


@dataclass(frozen=True)
class Habits:
    """What a crowd sends, and how."""

    sessions: int = 8
    sizes: tuple[int, ...] = SIZES
    domains: tuple[str, ...] = ("sink.test",)
    sender: str = "load@box.test"
    null_senders: float = 0.05      # the share of messages from <>
    many: float = 0.2               # ... to three recipients
    sends_again: float = 0.5        # ... that are sent again when nobody knows
    per_connection: int = 10        # messages, then a new one to another node
    rate: float = 0                 # messages a second, of all sessions; 0: as fast as may be
    line: int = 0                   # octets a second that each client's line carries; 0: no bound


@dataclass(frozen=True)
class _Message:
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes


class _Broken(Exception):
    """The server said something unexpected, or nothing."""


class Crowd:
    def __init__(self, nodes: Iterable[tuple[str, int]], habits: Habits = Habits(),
                 name: str = "crowd", seed: int = 1) -> None:
        self.habits, self.name = habits, name
        self.sent: list[Sent] = []
        self.acknowledged = 0
        self._nodes = list(nodes)
        self._random = random.Random(seed)
        self._block = self._lines_of_text()
        self._numbers = itertools.count(1)
        self._limit: int | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None
        self._began = 0.0

    def _lines_of_text(self) -> list[bytes]:
        words = [b"horse", b"rider", b"station", b"mail", b"road", b".", b"..", b"night"]
        return [b" ".join(self._random.choices(words, k=9)) for _ in range(BLOCK_LINES)]

    # ------------------------------------------------------------------ for tests

    def set_nodes(self, nodes: Iterable[tuple[str, int]]) -> None:
        """Where new connections go."""
        self._nodes = list(nodes)

    def run(self, messages: int) -> list[Sent]:
        self._limit = messages
        self._all()
        return self._outcome()

    def __enter__(self) -> "Crowd":
        self._thread = threading.Thread(target=self._all, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> list[Sent]:
        """Returns when every client has its last answer, or a broken connection."""
        self._stopping.set()
        if self._thread:
            self._thread.join(SILENCE_MAX_S + 30)
            if self._thread.is_alive():
                raise AssertionError("a client does not end")
        return self._outcome()

    def _outcome(self) -> list[Sent]:
        if self._failed:
            raise self._failed
        return list(self.sent)

    # ------------------------------------------------------------------ messages

    def _all(self) -> None:
        self._began = time.monotonic()
        try:
            asyncio.run(self._sessions())
        except BaseException as error:  # for whoever waits in another thread
            self._failed = error

    async def _sessions(self) -> None:
        await asyncio.gather(*(_Client(self).run()
                               for _ in range(self.habits.sessions)))

    def stopping(self) -> bool:
        return self._stopping.is_set()

    def node(self) -> tuple[str, int]:
        return self._random.choice(self._nodes)

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    async def message(self) -> _Message | None:
        """The next one; none when it is over."""
        number = next(self._numbers)
        if self._stopping.is_set() or (self._limit is not None and number > self._limit):
            return None
        if self.habits.rate:
            due = self._began + number / self.habits.rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
        return self.make(number)

    def make(self, number: int) -> _Message:
        habits, stem = self.habits, f"{self.name}-{number}"
        count = 3 if self.chance(habits.many) else 1
        recipients = tuple(f"{stem}-{i}@{self._random.choice(habits.domains)}"
                           for i in range(count))
        sender = "" if self.chance(habits.null_senders) else habits.sender
        message_id = f"{stem}@load.test"
        head = (f"From: <{sender or 'nobody@box.test'}>\r\nTo: <{recipients[0]}>\r\n"
                f"Subject: {stem}\r\nDate: Sun, 22 Nov 2026 02:00:00 +0000\r\n"
                f"Message-ID: <{message_id}>\r\n\r\nThis is {message_id}.\r\n").encode()
        lines = max(1, (self._random.choice(habits.sizes) - len(head)) // 50)
        first = self._random.randrange(BLOCK_LINES)
        body = b"\r\n".join(itertools.islice(itertools.cycle(self._block), first, first + lines))
        return _Message(message_id, sender, recipients, head + body + b"\r\n")

    def note(self, sent: Sent) -> None:
        self.sent.append(sent)
        self.acknowledged += sent.taken


class _Client:
    """Connects, hands in some messages, connects anew."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._message: _Message | None = None  # still to be handed in

    async def run(self) -> None:
        self._message = await self._crowd.message()
        while self._message:
            host, port = self._crowd.node()
            try:
                await self._connection(host, port)
            except (OSError, EOFError, _Broken):
                await asyncio.sleep(0.05)  # between two tries to connect
            if self._crowd.stopping():
                return

    async def _connection(self, host: str, port: int) -> None:
        self._reader, self._writer = await asyncio.wait_for(asyncio.open_connection(host, port), 3)
        self._writer.transport.set_write_buffer_limits(high=0)  # drain() waits for the last octet
        if self._crowd.habits.line:
            client = self._writer.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, self._crowd.habits.line)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENDING_BYTES)
        try:
            await self._expect("220")
            self._write(b"EHLO client.test\r\n")
            await self._expect("250")
            for _ in range(self._crowd.habits.per_connection):
                if not self._message or not await self._hand_in(host, self._message):
                    break
            self._write(b"QUIT\r\n")
        finally:
            self._writer.close()

    async def _hand_in(self, host: str, message: _Message) -> bool:
        """Whether this connection may be used for more."""
        sent = Sent(message.message_id, message.sender, message.recipients,
                    fingerprint(message.content), host, time.monotonic())
        commands = [f"MAIL FROM:<{message.sender}>"]
        commands += [f"RCPT TO:<{recipient}>" for recipient in message.recipients]
        self._write("".join(f"{command}\r\n" for command in [*commands, "DATA"]).encode())
        replies = [await self._reply() for _ in range(len(commands) + 1)]
        refusal = next((reply for reply in replies if reply[:1] not in "23"), "")
        if refusal:
            self._crowd.note(replace(sent, replied=time.monotonic(), reply=refusal))
            if refusal.startswith("5"):
                self._message = await self._crowd.message()
            await asyncio.sleep(0.05)  # before it is tried at another node
            return False
        content = message.content.replace(b"\r\n.", b"\r\n..")
        self._write(content + b".\r\n")
        sent = replace(sent, dot=time.monotonic())  # from now on nobody knows what comes through
        self._message = None
        try:
            await asyncio.wait_for(self._writer.drain(), SILENCE_MAX_S)
            sent = replace(sent, dot=time.monotonic())  # its last octet has gone
            reply = await self._reply()
        except (OSError, EOFError):
            self._crowd.note(sent)
            await self._next(message, "")
            raise
        self._crowd.note(replace(sent, replied=time.monotonic(), reply=reply))
        await self._next(message, reply)
        return True

    async def _next(self, message: _Message, reply: str) -> None:
        unsure = reply[:1] not in ("2", "5")
        again = unsure and self._crowd.chance(self._crowd.habits.sends_again)
        self._message = message if again else await self._crowd.message()

    def _write(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def _expect(self, expected: str) -> None:
        reply = await self._reply()
        if not reply.startswith(expected):
            raise _Broken(reply)

    async def _reply(self) -> str:
        while True:
            octets = await asyncio.wait_for(self._reader.readline(), SILENCE_MAX_S)
            line = octets.decode("latin-1")
            if not line.endswith("\n"):
                raise EOFError("the server closed the connection")
            if line[3:4] != "-":
                return line.strip()
