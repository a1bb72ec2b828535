"""The shipped configurations of both tiers, row by row of what a replacement must honour.

A pool of two nodes is started from deploy/outbound and one from deploy/inbound, with addresses,
paths and the place of the DNS replaced. No time is shortened: the first retry is seen in the
listing, and then made by `sendmail -q`. Each row is walked here, or names the test or proof that
shows it, which must exist. Last: how many rows hold; the proof falls short when one does not.
"""

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from harness.dns_server import DnsServer
from harness.mailboxes import Mailboxes
from harness.recording_sink import RecordingSink
from harness.tier import Tier
from proofs.figures import require
from proofs.tier_rows import Row, Side, find_fault
from proofs.tier_rows_elsewhere import ELSEWHERE, OPEN
from proofs.tier_rows_inbound import ROWS as INBOUND
from proofs.tier_rows_outbound import PROGRAM, ROWS as OUTBOUND

NODES = {"outbound": ["127.0.7.1", "127.0.7.2"], "inbound": ["127.0.7.3", "127.0.7.4"]}
WORLD, HOME, BOX = "127.0.7.25", "127.0.7.26", "127.0.7.24"
RECORDS = {
    ("outbound.internal.example.org", "A"): NODES["outbound"],
    ("inbound-pool.internal.example.org", "A"): NODES["inbound"],
    ("inbound.internal.example.org", "A"): [HOME],
    ("imap.internal.example.org", "A"): [BOX],
    ("elsewhere.test", "MX"): ["10 mx.elsewhere.test."],
    ("mx.elsewhere.test", "A"): [WORLD],
}


@dataclass
class Shown:
    tier: str
    what: str
    how: str
    verdict: str  # holds, FALLS SHORT, open


@dataclass
class Table:
    rows: list[Shown] = field(default_factory=list)

    def add(self, tier: str, what: str, how: str, verdict: str) -> None:
        self.rows.append(Shown(tier, what, how, verdict))

    def walk(self, side: Side, rows: list[Row]) -> None:
        for row in rows:
            began = time.monotonic()
            try:
                how, verdict = row.show(side), "holds"
            except Exception as error:  # whatever went wrong, the row is not shown
                traceback.print_exc()
                how, verdict = str(error).splitlines()[0] if str(error) else repr(error), \
                    "FALLS SHORT"
            took = time.monotonic() - began
            self.add(row.tier, row.what, how + (f" [{took:.0f} s]" if took >= 1 else ""), verdict)

    def elsewhere(self) -> None:
        for tier, what, places in ELSEWHERE:
            faults = [fault for place in places if (fault := find_fault(place))]
            self.add(tier, what, "; ".join(faults or places), "FALLS SHORT" if faults else "holds")
        for tier, what, why in OPEN:
            self.add(tier, what, why, "open")

    def show(self) -> None:
        for tier in ("both", "outbound", "inbound"):
            print(f"\n{tier}")
            for row in self.rows:
                if row.tier == tier:
                    print(f"  {row.what}\n    -> {row.how}\n    -> {row.verdict}")

    def count(self, verdict: str) -> int:
        return sum(row.verdict == verdict for row in self.rows)


def walk_outbound(world: DnsServer, table: Table) -> None:
    with ExitStack() as stack:
        elsewhere = stack.enter_context(RecordingSink(WORLD, port=25, keep_content=True))
        home = stack.enter_context(RecordingSink(HOME, port=25, keep_content=True))
        tier = Tier("outbound", NODES["outbound"], world)
        tier.use_pam(PROGRAM)
        side = Side(tier, world, elsewhere=elsewhere, home=home)
        side.make_keys()
        stack.enter_context(tier)
        table.walk(side, OUTBOUND)


def walk_inbound(world: DnsServer, table: Table) -> None:
    with Tier("inbound", NODES["inbound"], world) as tier:
        side = Side(tier, world, box=lambda: Mailboxes(port=24, host=BOX))
        table.walk(side, INBOUND)


def main(full: bool) -> None:
    began = time.monotonic()
    tables = {"outbound": Table(), "inbound": Table()}
    with DnsServer(RECORDS) as world, ThreadPoolExecutor(2) as pool:
        walks = [pool.submit(walk_outbound, world, tables["outbound"]),
                 pool.submit(walk_inbound, world, tables["inbound"])]
        for walk in walks:
            walk.result()
    table = Table(tables["outbound"].rows + tables["inbound"].rows)
    table.elsewhere()
    table.show()
    short = table.count("FALLS SHORT")
    print(f"\n{len(table.rows)} rows: {table.count('holds')} hold, {table.count('open')} open, "
          f"{short} fall short; {time.monotonic() - began:.0f} s")
    require(short == 0, f"{short} rows fall short")
