"""Whole pools in simulation: mail under every trouble, none lost, none twice without a cause.

tests/sim/pool runs the production queue, data plane, control plane and scheduler core of several
nodes on simulated disks, clocks, links, clients and remote servers; one seed is one run. 11 seeds
of each scenario, with --full as many as make 100,000 in all, or as --minutes allow. Its checkers
are checked by the proof `mutants`.
"""

import math
import re
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proofs.figures import Figures, require

BUILD = Path("build").absolute()
PROGRAM = BUILD / "tests/sim/pool/pool_sim"
PROCESSES = 2
BOUNDED_SEEDS = 11  # of a scenario
FULL_SEEDS = 100_000  # of all together
CHUNK = 250
# What must have happened for the run to say anything, the rarer with --full.
SEEN = ("bounced", "removed", "takeovers", "widened", "narrowed", "listings", "kills", "powers",
        "pauses", "cuts", "failed_syncs", "damaged", "mended", "new_disks", "leaves", "dup_lost",
        "dup_in_doubt", "in_doubt", "told", "no_dot", "compared")
SEEN_FULL = ("undecided", "late", "alone", "pulls", "old_disks", "strangers")

Batch = tuple[str, int, int]  # scenario, first and last seed


def run(scenario: str, first: int, last: int) -> subprocess.CompletedProcess:
    return subprocess.run([PROGRAM, str(first), str(last), scenario], capture_output=True,
                          text=True, check=False)


def scenarios() -> list[str]:
    usage = subprocess.run([PROGRAM], capture_output=True, text=True, check=False).stderr
    return usage.strip().splitlines()[-1].removeprefix("scenarios:").split()


def counts_of(output: str) -> dict[str, int]:
    return {name: int(value) for name, value in
            re.findall(r"(\w+) (\d+)", output.strip().splitlines()[-1])}


def processor_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def batches(names: list[str], seeds: int, until: float) -> Iterator[Batch]:
    """One round of all scenarios after another, until the seeds or the time are over."""
    for first in range(1, seeds + 1, CHUNK):
        for scenario in names:
            if time.monotonic() > until:
                return
            yield scenario, first, min(first + CHUNK - 1, seeds)


def main(full: bool, minutes: float = math.inf) -> None:
    subprocess.run(["ninja", "-C", BUILD, str(PROGRAM.relative_to(BUILD))], check=True)
    names = scenarios()
    seeds = math.ceil(FULL_SEEDS / len(names)) if full else BOUNDED_SEEDS
    began, worked = time.monotonic(), processor_seconds()
    total: Counter[str] = Counter()
    done: Counter[str] = Counter()
    broken: dict[str, list[str]] = {name: [] for name in names}

    with ThreadPoolExecutor(PROCESSES) as pool:
        rounds = iter(batches(names, seeds, began + minutes * 60))
        while step := [batch for _, batch in zip(range(2 * PROCESSES), rounds)]:
            for (scenario, first, last), ran in zip(step, pool.map(run, *zip(*step))):
                require(ran.returncode in (0, 1), f"{scenario} {first}-{last}: {ran.stderr}")
                done[scenario] += last - first + 1
                total.update(counts_of(ran.stdout))
                broken[scenario] += re.findall(r"^seed .*", ran.stdout, re.MULTILINE)
    worked = processor_seconds() - worked
    figures = Figures("sim: whole pools under trouble")
    for name in names:
        figures.add(name, f"{done[name]} seeds, {len(broken[name])} violations")
    figures.add("seeds", done.total())
    figures.add("seconds", f"{time.monotonic() - began:.0f}")
    figures.add("seeds a minute and core", f"{done.total() / worked * 60:.0f}")
    for name, value in total.items():
        figures.add(name, value)
    figures.show()
    stories = "\n".join(line for lines in broken.values() for line in lines)
    require(total["violations"] == 0 and not stories,
            f"a promise is broken; run the seed alone to see how:\n{stories}")
    missing = [name for name in SEEN + (SEEN_FULL if full else ()) if total[name] == 0]
    require(not missing, f"never happened: {', '.join(missing)}")
