"""Posthorse and its peers side by side: `./dev bench`, one table, in one run.

Place     docs/bench.md has what it printed. The rows are in cases.py, the servers in peer_*.py, how
          a row is measured in rounds.py.
Contract  All queues are on one disk, all servers sync before 250, relay to the same receivers on
          loopback and write a log. What their settings are is printed first, the table last.
Errors    Needs root. A peer that fails in a row is named below the table, and has no figures there.
"""

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import table
from cases import DEFERRED, ROWS, Case
from ground import Ground
from harness.postfix_root import PostfixRoot
from peer_exim import Exim
from peer_opensmtpd import OpenSmtpd
from peer_postfix import Postfix
from peer_posthorse import Posthorse
from peer_sendmail import Sendmail
from receivers import Receivers
from rounds import Plan, Row
from sources import BINARY, OwnSource, PostfixSource

FOREIGN = (Postfix, OpenSmtpd, Exim, Sendmail)
BOUNDED, FULL = (1, 1.0), (5, 6.0)  # rounds, and the seconds of each


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n", 1)[0])
    names = [case.name for case in ROWS]
    parser.add_argument("--full", action="store_true", help="every row, in five longer rounds")
    parser.add_argument("--only", action="append", choices=names, metavar="ROW", default=[],
                        help=f"this row: {', '.join(names)}; may be given again")
    parser.add_argument("--server", action="append", default=[], metavar="NAME",
                        help="servers whose title begins so; may be given again")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of a round's load")
    parser.add_argument("--deferred", type=int, default=DEFERRED,
                        help="messages that wait, in the row `deferred`")
    parser.add_argument("--source", choices=("own", "postfix"), default="own",
                        help="the load's generator; Postfix's own has no TLS and no latencies")
    return parser.parse_args()


class Bench:
    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self._options, self._scratch = options, scratch
        rounds, seconds = FULL if options.full else BOUNDED
        self._plan = Plan(options.rounds or rounds, options.seconds or seconds, options.deferred,
                          lambda text: print(text, flush=True))
        self._load_before = table.load_average()
        self._results: list = []
        self._missing: list[str] = []

    def run(self) -> None:
        """Shows what it has, also when it is ended early."""
        try:
            self._measure()
        finally:
            if self._results:
                print("\n" + table.heading(self._source.name, self._plan, self._load_before))
                print("\n".join(["", table.markdown(self._results), "", *self._missing]))

    def _measure(self) -> None:
        with ExitStack() as stack:
            root = stack.enter_context(PostfixRoot())
            receivers = stack.enter_context(Receivers(root, self._scratch))
            self._ground = Ground.make(self._scratch, receivers)
            self._source = source_of(self._options.source, root)
            peers = [stack.enter_context(kind(self._ground)) for kind in (*FOREIGN, Posthorse)
                     if self._wanted(kind.__name__)]
            for peer in peers:
                print(f"\n== {peer.version()}\n{peer.settings()}")
            for case in ROWS:
                if self._has_row(case):
                    self._row(case, peers)

    def _wanted(self, title: str) -> bool:
        names = self._options.server
        return not names or any(title.lower().startswith(name.lower()) for name in names)

    def _has_row(self, case: Case) -> bool:
        if self._options.only:
            return case.name in self._options.only
        return self._options.full or not case.long

    def _row(self, case: Case, peers: list) -> None:
        """A peer that fails is stopped: its late mail would count for others."""
        if not self._source.can(case):
            self._missing.append(f"{case.title}: {self._source.name} cannot")
            return
        row = Row(case, self._source, self._ground.receivers, self._plan)
        with ExitStack() as stack:
            chosen = [peer for peer in peers if peer.running() and not peer.lacks(case) and
                      (peer.title == table.REFERENCE or not case.nodes)]
            self._missing += [f"{case.title}: {peer.title}: {peer.lacks(case)}"
                              for peer in peers if peer.lacks(case)]
            if case.nodes:
                chosen.append(stack.enter_context(
                    Posthorse(self._ground, case.nodes, case.copies)))
            self._results.append((row.case, row.measure(chosen)))
        for peer, why in row.failures:
            self._missing.append(f"{case.title}: {peer.title} failed: {why}")
            if peer.running():
                peer.stop()


def source_of(name: str, root: PostfixRoot):
    if name == "own" and not BINARY.exists():
        print(f"{BINARY} is not built: the load is smtp-source's, without TLS")
    return OwnSource() if name == "own" and BINARY.exists() else PostfixSource(root)


def leave(*_) -> None:
    """Once: what is sent again, as `timeout` does, would end the cleaning up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def main() -> int:
    # So that whoever ends it leaves no server and no mount behind.
    signal.signal(signal.SIGTERM, leave)
    # On the disk, not in a file system of memory: all queues are to sync for real.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        Bench(arguments(), Path(scratch)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
