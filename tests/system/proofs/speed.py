"""Fast: ratios that are measured side by side, in one run, each with the bound that it shall keep.

Place     By hand: the figures are of a machine without other work. `--only POINT` runs one point.
Contract  Rounds of all sides in turn, medians of 5 (7 with --full). Each figure is printed with its
          bound, and whether it holds or falls short; the proof fails when one falls short, after
          all were tried. Load and receiver are load_source and floor_sink of tests/bench, for all
          sides the same.
          kept, new      one node and Postfix, 4 KB: delivered/s and CPU a message
          floor          accepted/s, of what a sink reaches that only syncs
          disk           bytes of the log, and written in all, for each byte of mail
          latency        p99 of the end of data to 250 at half load, of the disk's own p99
          dkim           signed mail, of what `openssl speed` leaves for it
          pool           three nodes with two copies each, and one Postfix
          sessions       CPU a message at 10, 100 and 1000 sessions
          destinations   ... at 1, 1000 and 100,000 destinations
          deferred       a queue of 1,000,000: start, memory, accepted/s, the operators' commands
          takeover       200,000 messages of a dead node: what the survivors deliver meanwhile
Bounds    Without --full smaller numbers, and only the points of SHORT unless one is named: 60 s.
"""

import os
import tempfile
import time
import traceback
from pathlib import Path

from proofs import speed_disk, speed_growth, speed_peers, speed_sign, speed_takeover
from proofs.figures import require
from proofs.speed_rig import Scores, Stage

POINTS = {
    "kept": speed_peers.kept,
    "new": speed_peers.new,
    "floor": speed_disk.floor,
    "disk": speed_disk.disk,
    "latency": speed_disk.latency,
    "dkim": speed_sign.dkim,
    "pool": speed_peers.pool,
    "sessions": speed_growth.sessions,
    "destinations": speed_growth.destinations,
    "deferred": speed_growth.deferred,
    "takeover": speed_takeover.takeover,
}
SHORT = ("floor", "disk", "sessions")


def run(name: str, full: bool, scores: Scores) -> None:
    print(f"{name}:", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="speed-", dir="/var/tmp") as scratch:
        try:
            POINTS[name](Stage(Path(scratch), full, scores))
        except Exception as error:  # the other points are still to be seen
            traceback.print_exc()
            scores.faults.append(f"{name}: {error}")
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def main(full: bool, only: str = "") -> None:
    require(not only or only in POINTS, f"no point {only}; there are {', '.join(POINTS)}")
    scores = Scores("speed")
    before = os.getloadavg()[0]
    for name in [only] if only else POINTS if full else SHORT:
        run(name, full, scores)
    scores.note("processors; others' work, as load averages before and after",
                f"{os.cpu_count()}; {before:.1f}, {os.getloadavg()[0]:.1f}")
    scores.show()
    require(not scores.faults, "\n".join(scores.faults))
