"""A pool of control planes in simulation: under every trouble one owner, one value, and progress.

tests/sim/control and, on etcd, tests/sim/etcd run the production cores on simulated clocks, disks
and links; one seed is one run. Their checkers are checked by mutants, in the test suite.
"""

import re
import resource
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from proofs.figures import Figures, require

BUILD = Path("build").absolute()
PROCESSES = 2


class Part(NamedTuple):
    title: str
    program: Path
    seeds: int
    seeds_in_full: int
    rare: tuple[str, ...]  # what must have happened for the run to say anything


PARTS = (
    Part("control-sim: a simulated pool under trouble", BUILD / "tests/sim/control/control_sim",
         500, 20_000, ("leaders", "evictions", "discarded", "takeovers", "waits", "reconfigured",
                       "strangers", "leaves", "unknowns", "exceptions")),
    Part("control-sim: a simulated pool on etcd under trouble", BUILD / "tests/sim/etcd/etcd_sim",
         2_000, 40_000, ("evictions", "discarded", "takeovers", "waits", "strangers", "leaves",
                         "unknowns")),
)


def counts_of(output: str) -> dict[str, int]:
    return {name: int(value) for name, value in
            re.findall(r"(\w+) (\d+)", output.strip().splitlines()[-1])}


def processor_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def start(program: Path, first: int, last: int) -> subprocess.Popen:
    return subprocess.Popen([program, str(first), str(last)], stdout=subprocess.PIPE, text=True)


def main(full: bool) -> None:
    programs = [str(part.program.relative_to(BUILD)) for part in PARTS]
    subprocess.run(["ninja", "-C", BUILD, *programs], check=True)
    for part in PARTS:
        run(part, part.seeds_in_full if full else part.seeds)


def run(part: Part, seeds: int) -> None:
    share = seeds // PROCESSES
    began = time.monotonic()
    worked = processor_seconds()
    running = [start(part.program, 1 + process * share, (process + 1) * share)
               for process in range(PROCESSES)]
    outputs = [process.communicate()[0] for process in running]
    seconds = time.monotonic() - began
    worked = processor_seconds() - worked
    figures = Figures(part.title)
    figures.add("seeds", seeds)
    figures.add("seconds", f"{seconds:.0f}")
    figures.add("seeds a minute and core", f"{seeds / worked * 60:.0f}")
    merge = {"slowest_heal_ms": max}
    total: dict[str, int] = {}
    for output in outputs:
        for name, value in counts_of(output).items():
            total[name] = merge.get(name, int.__add__)(total.get(name, 0), value)
    for name, value in total.items():
        figures.add(name, value)
    figures.show()
    require(all(process.returncode == 0 for process in running) and total["violations"] == 0,
            "a promise is broken; run the seed alone to see how:\n" + "".join(outputs))
    missing = [name for name in part.rare if total.get(name, 0) == 0]
    require(not missing, f"never happened: {', '.join(missing)}")
