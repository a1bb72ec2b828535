"""Deliberate faults in the production source, each caught by the simulated pool.

tests/sim/pool/mutants.py lists them, with the scenario and the seed by which each must be found.
A mutant whose text does not stand in the source any more cannot be built, and the proof falls
short. --full is the same.
"""

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from proofs.figures import Figures, require

BUILD = Path("build").absolute()
TABLE = Path(__file__).parents[2] / "sim/pool/mutants.py"
FOUND = re.compile(r"^seed (\d+), \w+: \d+ ms: (.*?)(?:: 0\w{25})?$", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    name: str
    scenario: str
    last: str  # seed by which it must be found

    @property
    def target(self) -> str:
        return f"tests/sim/pool/pool_sim_{self.name}"

    def find(self) -> str | None:
        """By what it is found; None: it lives."""
        answer = subprocess.run([BUILD / self.target, "1", self.last, self.scenario, self.name],
                                capture_output=True, text=True, check=False)
        if found := FOUND.search(answer.stdout):
            return f"seed {found[1]} of {self.scenario}: {found[2]}"
        if answer.returncode < 0:  # the production code's own assertion
            return f"{self.scenario}: {answer.stderr.strip().splitlines()[-1]}"
        return None


def table() -> list[Mutant]:
    answer = subprocess.run([sys.executable, TABLE, "--table"], capture_output=True, text=True,
                            check=True)
    rows = [line.split() for line in answer.stdout.splitlines()]
    return [Mutant(name, scenario, last) for name, scenario, last, *_ in rows]


def main(full: bool) -> None:
    chosen = table()
    began = time.monotonic()
    subprocess.run(["ninja", "-C", BUILD, *(mutant.target for mutant in chosen)], check=True)
    built = time.monotonic()
    found = {mutant.name: mutant.find() for mutant in chosen}
    figures = Figures("mutants: deliberate faults, found by the simulated pool")
    for name, how in found.items():
        figures.add(name, how or "LIVES")
    figures.add("seconds to build them", f"{built - began:.0f}")
    figures.add("seconds to find them", f"{time.monotonic() - built:.0f}")
    figures.show()
    missed = [name for name, how in found.items() if how is None]
    require(not missed, f"not found: {', '.join(missed)}")
