"""One row of the table: the same load for every peer, in rounds, in turn.

Contract  The machine's speed drifts: rounds alternate between peers, and medians are shown. So
          many messages make a round that it takes a given time at the peer's own rate, which a
          first round without counting finds.
          accepted/s    messages by the time until the load has its last 250
          delivered/s   messages by the time until the receiver has answered the last one
          CPU           of all processes of the peer, until it is idle, by messages
          p50, p99      end of data to 250, in a load of its own with few sessions
"""

import smtplib
import statistics
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

from cases import SESSIONS, SIGNATURES, Case
from harness import wait
from receivers import Receivers
from sources import Load, parts

FIRST_MESSAGES, MESSAGES_MIN = 100, 100
QUIET_SESSIONS = 8
PATIENCE_S = 180
FILLER = Case("fill", "fill", size_bytes=1000, receiver="later")
ONE_MAIL = "From: <{0}>\r\nTo: <look@look.test>\r\nSubject: look\r\nMessage-ID: <{1}@look.test>" \
    "\r\nDate: Sun, 22 Nov 2026 02:00:00 +0000\r\n\r\nIs it signed?\r\n"


@dataclass(frozen=True)
class Figures:
    accepted: float      # a second
    delivered: float     # a second
    cpu_us: float        # a message
    p50_ms: float
    p99_ms: float


def median(rounds: list[Figures]) -> Figures:
    return Figures(*(statistics.median(column) for column in zip(*map(astuple, rounds))))


def arriving(load: Load, doors: int) -> int:
    return sum(part.case.arriving(part.messages) for part in parts(load, doors))


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: float  # that a load of a round is to take
    deferred: int
    say: Callable[[str], None]


class Row:
    def __init__(self, case: Case, source, receivers: Receivers, plan: Plan) -> None:
        self.case = replace(case, deferred=plan.deferred) if case.deferred else case
        self._source, self._receivers, self._plan = source, receivers, plan
        self.failures: list[tuple] = []  # peer and why

    def measure(self, peers: list) -> dict[str, Figures]:
        """By the titles of those that did not fail."""
        found: dict[str, list[Figures]] = {peer.title: [] for peer in peers}
        messages: dict[str, int] = {}
        for number in range(self._plan.rounds + 1):
            for peer in peers:
                if peer.title not in found:
                    continue
                try:
                    if not number:
                        messages[peer.title] = self._calibrated(peer)
                        continue
                    found[peer.title].append(self._round(peer, messages[peer.title]))
                except (AssertionError, OSError, smtplib.SMTPException) as failure:
                    self._plan.say(f"  {self.case.name}: {peer.title} failed: {failure}")
                    self.failures.append((peer, str(failure).splitlines()[0]))
                    del found[peer.title]
                    continue
                shown = "  ".join(f"{value:.1f}" for value in astuple(found[peer.title][-1]))
                self._plan.say(f"  {self.case.name} {number} {peer.title:<32} {shown}")
        return {title: median(rounds) for title, rounds in found.items()}

    def _prepare(self, peer) -> None:
        if self.case.signed:
            self._check_signed(peer)
        missing = self.case.deferred - (peer.queue_length() if self.case.deferred else 0)
        if missing > 0:
            self._plan.say(f"  {peer.title} is filled with {missing} messages")
            self._source.send(peer.doors(FILLER), Load(FILLER, missing, SESSIONS))
            wait.until(peer.nothing_moves, f"all of {peer.title} is deferred", 7200, 1)

    def _check_signed(self, peer) -> None:
        """A server that does not sign would win."""
        name = f"{self.case.name}-{len(self._receivers.look.contents)}"
        text = ONE_MAIL.format(self.case.sender, name)
        host, port = peer.doors(self.case)[0]
        with smtplib.SMTP(host, port, "client.test", timeout=60) as client:
            client.sendmail(self.case.sender, ["look@look.test"], text)
        contents = self._receivers.look.contents
        mail = wait.until(lambda: contents.get(f"{name}@look.test"),
                          f"{peer.title} delivers {name}", 60)
        head = mail.split(b"\r\n\r\n", 1)[0].replace(b" ", b"")
        algorithms = [kind for kind in SIGNATURES if b"a=" + kind.encode() + b"-sha256" in head]
        if algorithms != [self.case.signed]:
            raise AssertionError(f"{peer.title} signs with {algorithms}, not {self.case.signed}:\n"
                                 f"{mail.decode('latin-1')}")

    def _calibrated(self, peer) -> int:
        """Makes it ready for the row; how many messages make a round."""
        self._prepare(peer)
        rate = self._round(peer, FIRST_MESSAGES).delivered
        rate = self._round(peer, max(MESSAGES_MIN, int(rate * self._plan.seconds / 4))).delivered
        return max(MESSAGES_MIN, int(rate * self._plan.seconds))

    def _round(self, peer, messages: int) -> Figures:
        doors, answered = peer.doors(self.case), self._receivers.answered
        cpu, there = peer.group.seconds_when_idle(), answered()
        began = time.monotonic()
        load = Load(self.case, messages, SESSIONS)
        self._source.send(doors, load)
        accepted = time.monotonic()
        there += arriving(load, len(doors))
        wait.until(lambda: answered() >= there, f"{peer.title} delivers all", PATIENCE_S, 0.005)
        delivered = time.monotonic()
        cpu = peer.group.seconds_when_idle() - cpu
        waited = max(MESSAGES_MIN, messages // 4)
        load = Load(self.case, waited, QUIET_SESSIONS)
        waits = self._source.waits(doors, load)
        there += arriving(load, len(doors))
        wait.until(lambda: answered() >= there, f"{peer.title} delivers the rest", PATIENCE_S)
        return Figures(messages / (accepted - began), messages / (delivered - began),
                       cpu / messages * 1e6, waits.p50_ms, waits.p99_ms)
