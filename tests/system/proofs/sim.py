"""Whole pools in simulation: mail under every trouble, none lost, none twice without a cause.

tests/sim/pool runs the production queue, data plane, control plane and scheduler core of several
nodes on simulated disks, clocks, links, clients and remote servers; one seed is one run. Bounded:
a dozen seeds of each scenario that holds. With --full all scenarios, and --minutes for how long.
"""

import re
import resource
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proofs.figures import Figures, require

BUILD = Path("build").absolute()
PROGRAM = BUILD / "tests/sim/pool/pool_sim"
PROCESSES = 2
HOLD = ("quiet", "alone", "kills", "power", "cuts", "pauses", "disks", "clocks", "bad_network",
        "two", "five", "mix", "new_disks")
# In these some seeds in a hundred break a promise still; README.md there says which.
OPEN = ("old_disks", "leaves", "drains")
BOUNDED_SEEDS = 16
CHUNK = 250
# What must have happened for the run to say anything.
RARE = ("bounced", "takeovers", "widened", "narrowed", "listings", "kills", "powers", "pauses",
        "cuts", "failed_syncs", "new_disks", "dup_in_doubt", "told")


def run(scenario: str, first: int, last: int) -> subprocess.CompletedProcess:
    return subprocess.run([PROGRAM, str(first), str(last), scenario], capture_output=True,
                          text=True, check=False)


def counts_of(output: str) -> dict[str, int]:
    return {name: int(value) for name, value in
            re.findall(r"(\w+) (\d+)", output.strip().splitlines()[-1])}


def processor_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def batches(full: bool, until: float) -> Iterator[tuple[str, int, int]]:
    """One round of all scenarios after another, until the time is over."""
    if not full:
        yield from ((scenario, 1, BOUNDED_SEEDS) for scenario in HOLD)
        return
    first = 1
    while time.monotonic() < until:
        yield from ((scenario, first, first + CHUNK - 1) for scenario in HOLD + OPEN)
        first += CHUNK


def main(full: bool, minutes: float = 20) -> None:
    subprocess.run(["ninja", "-C", BUILD, str(PROGRAM.relative_to(BUILD))], check=True)
    began, worked = time.monotonic(), processor_seconds()
    total: dict[str, int] = {}
    broken: list[str] = []
    seeds = 0

    with ThreadPoolExecutor(PROCESSES) as pool:
        rounds = iter(batches(full, began + minutes * 60))
        while step := [batch for _, batch in zip(range(2 * PROCESSES), rounds)]:
            for batch, done in zip(step, pool.map(run, *zip(*step))):
                seeds += batch[2] - batch[1] + 1
                for name, value in counts_of(done.stdout).items():
                    total[name] = total.get(name, 0) + value
                if done.returncode != 0:
                    broken += re.findall(r"^seed .*", done.stdout, re.MULTILINE)
    worked = processor_seconds() - worked
    figures = Figures("sim: whole pools under trouble")
    figures.add("seeds", seeds)
    figures.add("seconds", f"{time.monotonic() - began:.0f}")
    figures.add("seeds a minute and core", f"{seeds / worked * 60:.0f}")
    for name, value in total.items():
        figures.add(name, value)
    figures.show()
    require(total["violations"] == 0 and not broken,
            "a promise is broken; run the seed alone to see how:\n" + "\n".join(broken))
    missing = [name for name in RARE if total.get(name, 0) == 0]
    require(not missing, f"never happened: {', '.join(missing)}")
