"""What happened to mail and to nodes, as values: the four logs that the ledger compares.

Contract  Times are of one monotonic clock, this process's. Addresses of recipients are made for
          one message each, so a recipient names its message. A log of faults holds what was done
          to nodes: only what is in it may explain that a recipient got a message twice.
"""

import threading
import time
from dataclasses import dataclass, field

# What may lie between the reply to a final dot and its record at every holder: a holder that is
# silent is first waited for, then dropped by agreement.
SETTLE_S = 3.0


@dataclass(frozen=True)
class Sent:
    """One try of a client to hand in a message."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    sha256: str                  # of the content without fields that a server puts on top
    node: str                    # its address
    began: float                 # MAIL
    dot: float | None = None     # the end of data was sent; none: it did not come so far
    replied: float | None = None
    reply: str = ""              # the last reply; empty: the connection broke, nobody knows

    @property
    def taken(self) -> bool:
        return self.dot is not None and self.reply.startswith("250")

    @property
    def unknown(self) -> bool:
        return self.dot is not None and not self.reply


@dataclass(frozen=True)
class Attempt:
    """One transaction as the receiving server saw it, from MAIL to its end."""

    peer: str                    # address of the node
    sender: str
    recipients: tuple[str, ...]  # those not refused at RCPT
    began: float
    ended: float                 # the last reply, or the end of the connection
    refused: tuple[tuple[str, str], ...] = ()  # recipient, reply to RCPT
    dot: float | None = None     # the end of data arrived
    reply: str = ""              # to the end of data; empty: none was given
    withheld: bool = False       # ... on purpose
    message_id: str = ""
    queue_id: str = ""           # of the Received field that the pool wrote; a bounce has none
    sha256: str = ""

    @property
    def arrived(self) -> bool:
        """Whether the receiver has the message, be its reply heard or not."""
        return self.dot is not None and (not self.reply or self.reply.startswith("250"))


@dataclass(frozen=True)
class Notice:
    """A bounce in the sender's mailbox."""

    attempt: Attempt             # that brought it
    about: str                   # message id of the original; empty: it does not say
    recipients: tuple[str, ...]  # that failed


@dataclass(frozen=True)
class Queued:
    """A line of `queue ls --json`."""

    queue_id: str
    message_id: str
    pending: tuple[str, ...]
    attempts_in_doubt: int = 0


@dataclass(frozen=True)
class Dump:
    """What a node lists."""

    node: str
    at: float
    messages: tuple[Queued, ...]
    missing: tuple[str, ...] = ()  # what it could not reach


@dataclass(frozen=True)
class Fault:
    """Something that was done to nodes. `ended` of a kill is the kill, not the restart."""

    kind: str
    nodes: frozenset[str]
    began: float
    ended: float

    @property
    def may_repeat(self) -> bool:
        """Whether what was in flight may arrive twice."""
        return self.kind in REPEATING


REPEATING = {"kill", "pause", "cut", "disk", "etcd"}
# What is no excuse for anything: a node leaves in order; a disk or a node comes back late.
COMING_BACK = {"old disk", "return"}
KINDS = REPEATING | COMING_BACK | {"leave"}


@dataclass(frozen=True)
class Minority:
    """A time in which a node cannot have a lease: it was cut off for longer, or most are dead."""

    node: str
    began: float
    ended: float


@dataclass
class FaultLog:
    faults: list[Fault] = field(default_factory=list)
    minorities: list[Minority] = field(default_factory=list)
    _open: dict[str, list[tuple[float, frozenset[str]]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, kind: str, *nodes: str) -> None:
        if kind not in KINDS:
            raise ValueError(f"no kind of fault is called {kind}")
        with self._lock:
            self._open.setdefault(kind, []).append((time.monotonic(), frozenset(nodes)))

    def end(self, kind: str, *nodes: str) -> None:
        """Of all faults of the kind, or of those of just these nodes."""
        now, wanted = time.monotonic(), frozenset(nodes)
        with self._lock:
            standing = self._open.pop(kind, [])
            for began, found in standing:
                if wanted and found != wanted:
                    self._open.setdefault(kind, []).append((began, found))
                else:
                    self.faults.append(Fault(kind, found, began, now))

    def whole(self) -> list[Fault]:
        """With those that have not ended yet."""
        now = time.monotonic()
        with self._lock:
            return self.faults + [Fault(kind, nodes, began, now)
                                  for kind, standing in self._open.items()
                                  for began, nodes in standing]
