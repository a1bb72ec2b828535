"""Where the mail of all rows ends, and how it is counted.

fast      Postfix's smtp-sink; on every address of loopback, for the row with many destinations
soft      soft_sink.py: a share of messages gets 451 after the end of data
later     smtp-sink that defers every recipient: fills queues
dead      takes connections, and never says a word
look      keeps what it is sent, to see whether it is signed
"""

import socket
from pathlib import Path

from harness.ports import free_port
from harness.postfix import SmtpSink
from harness.postfix_root import PostfixRoot
from harness.recording_sink import RecordingSink
from soft_sink import SoftSink

SOFT_SHARE = 0.05
CONNECTIONS_MAX = ("-m", "4000")


class Receivers:
    def __init__(self, root: PostfixRoot, scratch: Path) -> None:
        self.fast = SmtpSink(root, scratch / "fast.log", CONNECTIONS_MAX, host="0.0.0.0")
        self.later = SmtpSink(root, scratch / "later.log", (*CONNECTIONS_MAX, "-r", "rcpt"))
        self.soft = SoftSink(SOFT_SHARE)
        self.look = RecordingSink(keep_content=True)
        self._dead = socket.socket()
        self._all = (self.fast, self.later, self.soft, self.look)

    @property
    def ports(self) -> dict[str, int]:
        """By the domain below .test, without those of the many."""
        return {"fast": self.fast.port, "soft": self.soft.port, "later": self.later.port,
                "look": self.look.port, "dead": self._dead.getsockname()[1]}

    def answered(self) -> int:
        """Messages that had an answer to their end, in all."""
        return self.fast.count() + self.soft.count()

    def __enter__(self) -> "Receivers":
        self._dead.bind(("127.0.0.1", free_port()))
        self._dead.listen(4096)
        for one in self._all:
            one.__enter__()
        return self

    def __exit__(self, *_) -> None:
        for one in self._all:
            one.__exit__()
        self._dead.close()
