"""The load: a number of messages into a server, as fast as it takes them, and what that showed.

OwnSource       load_source, of this folder
PostfixSource   Postfix's smtp-source, and a client in Python for latencies: to cross-check the
                other. It knows no TLS, and one destination alone.
Contract  `send` and `waits` return when every message has its 250, and raise when one has not. A
          load goes to all doors at once, in equal parts; `waits` is how long each message waited
          for its 250 after the end of its data.
"""

import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cases import Case
from harness import load_tools, postfix
from harness.loader import Loader
from harness.postfix_root import PostfixRoot

BINARY = load_tools.FOLDER / "load_source"
PATIENCE_S = 3600
Door = tuple[str, int]  # host and port


@dataclass(frozen=True)
class Load:
    case: Case
    messages: int
    sessions: int


@dataclass(frozen=True)
class Waits:
    p50_ms: float
    p99_ms: float


def parts(load: Load, count: int) -> list[Load]:
    """As equal as may be."""
    def share(total: int, index: int) -> int:
        return max(1, total * (index + 1) // count - total * index // count)

    return [Load(load.case, share(load.messages, index), share(load.sessions, index))
            for index in range(count)]


def at_once(work, doors: list[Door], load: Load) -> list:
    with ThreadPoolExecutor(len(doors)) as threads:
        return list(threads.map(work, doors, parts(load, len(doors))))


class OwnSource:
    name = "load_source"

    def send(self, doors: list[Door], load: Load) -> None:
        self.waits(doors, load)

    def waits(self, doors: list[Door], load: Load) -> Waits:
        answers = at_once(self._run, doors, load)
        return Waits(statistics.mean(one.p50_ms for one in answers),
                     max(one.p99_ms for one in answers))

    def can(self, _: Case) -> bool:
        return BINARY.exists()

    @staticmethod
    def _run(door: Door, load: Load) -> load_tools.Sent:
        case = load.case
        sent = load_tools.send(load_tools.Load(
            door[1], load.messages, load.sessions, case.size_bytes, case.kept, door[0],
            ("--tls", case.tls, "--from", case.sender, "--to", case.recipient,
             "--domains", str(case.domains))), PATIENCE_S)
        # Tickets of TLS 1.3 are used once; Postfix gives one with each full handshake alone, so
        # that every other session is resumed.
        if case.tls == "resumed" and 3 * sent.resumed < load.messages:
            raise AssertionError(f"of {load.messages} sessions {sent.resumed} were resumed")
        return sent


class PostfixSource:
    name = "smtp-source"

    def __init__(self, root: PostfixRoot) -> None:
        self._root = root

    def send(self, doors: list[Door], load: Load) -> None:
        at_once(self._run, doors, load)

    def waits(self, doors: list[Door], load: Load) -> Waits:
        """At the first door."""
        case = load.case
        client = Loader(doors[0][1], load.sessions, case.size_bytes, case.kept, "load",
                        case.sender, case.recipient, doors[0][0])
        percentiles = statistics.quantiles(client.run(load.messages).waited_s, n=100)
        return Waits(percentiles[49] * 1e3, percentiles[98] * 1e3)

    def can(self, case: Case) -> bool:
        return case.tls == "none" and not case.domains

    def _run(self, door: Door, load: Load) -> None:
        case = load.case
        postfix.smtp_source(self._root, door[1], postfix.Load(
            load.messages, load.sessions, case.size_bytes, case.kept, case.sender, case.recipient,
            door[0]), PATIENCE_S)
