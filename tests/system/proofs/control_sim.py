"""A pool of control planes in simulation: under every trouble one owner, one value, and progress.

tests/sim/control runs the production core on simulated clocks, disks and links; one seed is one
run. Its checkers are checked by mutants, in the test suite.
"""

import re
import resource
import subprocess
import time
from pathlib import Path

from proofs.figures import Figures, require

BUILD = Path("build").absolute()
PROGRAM = BUILD / "tests/sim/control/control_sim"
PROCESSES = 2
# What must have happened for the run to say anything.
RARE = ("leaders", "evictions", "discarded", "takeovers", "waits", "reconfigured", "strangers",
        "leaves", "unknowns", "exceptions")


def counts_of(output: str) -> dict[str, int]:
    return {name: int(value) for name, value in
            re.findall(r"(\w+) (\d+)", output.strip().splitlines()[-1])}


def processor_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def start(first: int, last: int) -> subprocess.Popen:
    return subprocess.Popen([PROGRAM, str(first), str(last)], stdout=subprocess.PIPE, text=True)


def main(full: bool) -> None:
    subprocess.run(["ninja", "-C", BUILD, str(PROGRAM.relative_to(BUILD))], check=True)
    seeds = 20_000 if full else 500
    share = seeds // PROCESSES
    began = time.monotonic()
    worked = processor_seconds()
    running = [start(1 + part * share, (part + 1) * share) for part in range(PROCESSES)]
    outputs = [process.communicate()[0] for process in running]
    seconds = time.monotonic() - began
    worked = processor_seconds() - worked
    figures = Figures("control-sim: a simulated pool under trouble")
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
    missing = [name for name in RARE if total.get(name, 0) == 0]
    require(not missing, f"never happened: {', '.join(missing)}")
