"""Load that remembers: every message has an id, and every `250` to the end of data is recorded.

Contract  Sessions send one message after another and connect anew, at once, when the connection
          breaks: the server may be killed under them. A message without an answer counts as
          unknown, never as acknowledged, and is not sent again: so a duplicate at the receiver was
          made by the server.
"""

import asyncio
import itertools
import threading
import time
from dataclasses import dataclass, field


SILENCE_MAX_S = 120  # a server that takes nothing for so long is not coming back


@dataclass
class Tally:
    acknowledged: dict[str, float] = field(default_factory=dict)  # message id -> time of its 250
    waited_s: list[float] = field(default_factory=list)           # end of data to 250
    unknown: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)         # message id -> reply


class _Broken(Exception):
    """The server said something unexpected, or nothing."""


class Loader:
    def __init__(self, port: int, sessions: int, size_bytes: int = 2000, kept: bool = True,
                 name: str = "load", sender: str = "load@posthorse.test",
                 recipient: str = "taker@sink.test", host: str = "127.0.0.1") -> None:
        self.host, self.port, self.kept = host, port, kept
        self.sender, self.recipient = sender, recipient
        self.tally = Tally()
        self._size_bytes, self._name = size_bytes, name
        self._session_count = sessions
        self._numbers = itertools.count(1)
        self._limit: int | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self, messages: int) -> Tally:
        """Sends so many messages and returns."""
        self._limit = messages
        asyncio.run(self._all_sessions())
        return self.tally

    def __enter__(self) -> "Loader":
        """Sends until the end of the `with`, in a thread of its own."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all_sessions()))
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> Tally:
        """Returns when every session has its last answer, or a broken connection."""
        self._stopping.set()
        if self._thread:
            self._thread.join(150)
        return self.tally

    def stopping(self) -> bool:
        return self._stopping.is_set()

    async def _all_sessions(self) -> None:
        await asyncio.gather(*(_Session(self).run() for _ in range(self._session_count)))

    def next_id(self) -> str | None:
        number = next(self._numbers)
        over = self._limit is not None and number > self._limit
        return None if over or self._stopping.is_set() else f"{self._name}-{number}@load.test"

    def text(self, message_id: str) -> bytes:
        head = (f"From: <{self.sender}>\r\nTo: <{self.recipient}>\r\nSubject: load\r\n"
                f"Date: Sun, 22 Nov 2026 02:00:00 +0000\r\nMessage-ID: <{message_id}>\r\n\r\n")
        line = "a horse, a horse, my kingdom for a fresh horse and the mail goes on\r\n"
        lines = max(1, (self._size_bytes - len(head)) // len(line))
        return (head + line * lines + ".\r\n").encode()


class _Session:
    """One client, connecting again and again."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._pending = loader.next_id()  # not sent yet
        self._alive_at = time.monotonic()

    async def run(self) -> None:
        while self._pending:
            try:
                await self._connection()
            except (OSError, EOFError, _Broken) as error:
                if time.monotonic() - self._alive_at > SILENCE_MAX_S:
                    raise AssertionError(f"nothing taken for {SILENCE_MAX_S} s: {error}") from None
                await asyncio.sleep(0.02)  # between two tries to connect
            if self._loader.stopping():
                return

    async def _connection(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._loader.host,
                                                                   self._loader.port)
        try:
            await self._expect("220")
            await self._say("EHLO client.test", "250")
            while self._pending:
                await self._message()
                if not self._loader.kept:
                    break
            self._writer.write(b"QUIT\r\n")
        finally:
            self._writer.close()

    async def _message(self) -> None:
        tally, message_id = self._loader.tally, self._pending
        await self._say(f"MAIL FROM:<{self._loader.sender}>", "250")
        await self._say(f"RCPT TO:<{self._loader.recipient}>", "250")
        await self._say("DATA", "354")
        tally.unknown.add(message_id)  # until the server says what became of it
        self._pending = self._loader.next_id()
        self._writer.write(self._loader.text(message_id))
        began = time.monotonic()
        reply = await self._reply()
        self._alive_at = time.monotonic()
        tally.unknown.discard(message_id)
        if reply.startswith("250"):
            tally.acknowledged[message_id] = self._alive_at
            tally.waited_s.append(self._alive_at - began)
        else:
            tally.refused[message_id] = reply

    async def _say(self, line: str, expected: str) -> None:
        self._writer.write(line.encode() + b"\r\n")
        await self._expect(expected)

    async def _expect(self, expected: str) -> None:
        reply = await self._reply()
        if not reply.startswith(expected):
            raise _Broken(reply)

    async def _reply(self) -> str:
        while True:
            line = (await asyncio.wait_for(self._reader.readline(), 120)).decode("latin-1")
            if not line.endswith("\n"):
                raise EOFError("the server closed the connection")
            if line[3:4] != "-":
                return line.strip()
