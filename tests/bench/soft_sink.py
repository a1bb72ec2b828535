"""A receiving server that takes mail as fast as it can, and refuses a share of it for now.

smtp-sink refuses all or nothing. The refusal comes after the end of data, so that it is the
message's and not the recipient's or the host's: those are remembered by some servers, for all mail
that follows.

Contract  `count` is how many messages had an answer, whichever.
Owner     `with SoftSink(share)`: a process of its own.
"""

import asyncio
import multiprocessing
import random

from harness import wait
from harness.ports import free_port, is_open

END = b"\r\n.\r\n"
REPLIES = {
    b"EHLO": b"250-soft.posthorse.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
             b"250 ENHANCEDSTATUSCODES\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


class _Session(asyncio.Protocol):
    def __init__(self, sink: "SoftSink") -> None:
        self._sink = sink
        self._input = bytearray()
        self._in_data = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.write(b"220 soft.posthorse.test ESMTP\r\n")

    def data_received(self, octets: bytes) -> None:
        self._input += octets
        replies = b""
        while reply := self._content() if self._in_data else self._command():
            replies += reply
        if replies:
            self._transport.write(replies)
        if replies.endswith(REPLIES[b"QUIT"]):
            self._transport.close()

    def _command(self) -> bytes:
        end = self._input.find(b"\r\n")
        if end < 0:
            return b""
        verb = bytes(self._input[:4]).upper()
        # The line's end stays: a message may be without a line.
        del self._input[:end if verb == b"DATA" else end + 2]
        self._in_data = verb == b"DATA"
        return REPLIES.get(verb, b"250 2.0.0 OK\r\n")

    def _content(self) -> bytes:
        end = self._input.find(END)
        if end < 0:
            del self._input[:-len(END)]
            return b""
        del self._input[:end + len(END)]
        self._in_data = False
        return self._sink.answer()


class SoftSink:
    def __init__(self, share: float, seed: int = 1) -> None:
        self.port = free_port()
        self._share, self._random = share, random.Random(seed)
        self._answered = multiprocessing.Value("Q", 0, lock=False)
        self._process = multiprocessing.Process(target=self._serve, daemon=True)

    def __enter__(self) -> "SoftSink":
        self._process.start()
        wait.until(lambda: is_open(self.port), f"the soft receiver listens on {self.port}")
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.join(10)

    def count(self) -> int:
        return self._answered.value

    def answer(self) -> bytes:
        self._answered.value += 1
        if self._random.random() < self._share:
            return b"451 4.3.0 Could not store it\r\n"
        return b"250 2.0.0 taken\r\n"

    def _serve(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Session(self), "127.0.0.1", self.port,
                                          backlog=1000)
        await server.serve_forever()
