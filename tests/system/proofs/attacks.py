"""What hostile clients, servers, peers and operators do fails, through every door that it fits.

Each row of the list (tests/system/attacks/rows.py) is tried on nodes that run, over real sockets
and TLS; after each the node lives, has closed what was opened, has taken no message too many, has a
clean log, and serves others at once. Rows that a test elsewhere shows better are named with it, and
it must be there. `--full` does the heavy forms: 500 logins timed, 100,000 recipients, a million
commands.
"""

import importlib
import time
from collections import defaultdict

from attacks import names, servers
from attacks.rows import OUT, ROWS, SHOWN, TRIALS, Trial, missing
from attacks.stage import Oracle, Stage
from proofs.figures import Figures, require

MODULES = ("data", "commands", "channels", "logins", "floods", "members", "operators", "servers",
           "names")  # each registers its trials


class Judge:
    """Runs trials, one after the other, and remembers what became of each row."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.doors: dict[str, list[str]] = defaultdict(list)
        self.seconds: dict[str, float] = defaultdict(float)

    def run(self, trial: Trial, oracle: Oracle) -> None:
        began = time.monotonic()
        if trial.door not in self.doors[trial.number]:
            self.doors[trial.number].append(trial.door)
        try:
            oracle.guard(lambda: trial.run(self._stage, trial.door))
        except (AssertionError, OSError) as fault:
            self.faults[trial.number].append(
                f"{trial.number} {trial.name} at {trial.door}: {fault}")
        self.seconds[trial.number] += time.monotonic() - began


def covered() -> None:
    """Every row has a trial or a test elsewhere, and what is named is there."""
    for module in MODULES:
        importlib.import_module(f"attacks.{module}")
    tried = {trial.number for trial in TRIALS}
    lacking = [number for number in ROWS if number not in tried and number not in SHOWN]
    require(not lacking, f"no test for {', '.join(lacking)}")
    unknown = (tried | SHOWN.keys()) - ROWS.keys()
    require(not unknown, f"what is {unknown}?")
    gone = [f"{number}: {why}" for number, tests in SHOWN.items() for test in tests
            if (why := missing(test))]
    require(not gone, "\n".join(gone))


def attack_doors(stage: Stage, judge: Judge, figures: Figures) -> None:
    oracle, hasty = Oracle(stage, stage.main), Oracle(stage, stage.hasty)
    for trial in TRIALS:
        if trial.door not in OUT:
            judge.run(trial, hasty if trial.hasty else oracle)
    figures.add("the node with every door", oracle.figures())
    figures.add("the node with little patience", hasty.figures())


def attack_deliveries(stage: Stage, judge: Judge, figures: Figures) -> None:
    with names.Finder() as finder, servers.Out(stage, finder.dns.address, finder.port) as out:
        stage.out, stage.finder = out, finder
        out.submit_all()
        names.submit_all(out)
        oracle = Oracle(stage, out.node)
        for trial in TRIALS:
            if trial.door in OUT:
                judge.run(trial, oracle)
        figures.add("the node that delivers", oracle.figures())
        figures.add("hostile servers", len(out.cases))


def show_table(judge: Judge, figures: Figures) -> None:
    for number, title in ROWS.items():
        doors = " ".join(judge.doors[number]) or "-"
        elsewhere = f", {len(SHOWN[number])} tests elsewhere" if number in SHOWN else ""
        verdict = "FAILS" if judge.faults[number] else "holds"
        figures.add(f"{number:<4}{title}", f"{verdict}: {doors}{elsewhere}"
                                           f" ({judge.seconds[number]:.1f} s)")


def main(full: bool) -> None:
    covered()
    figures = Figures("attacks")
    with Stage(full) as stage:
        judge = Judge(stage)
        attack_doors(stage, judge, figures)
        attack_deliveries(stage, judge, figures)
    show_table(judge, figures)
    faults = [fault for found in judge.faults.values() for fault in found]
    figures.add("rows", f"{len(ROWS)}, {len(TRIALS)} trials, {len(faults)} faults")
    figures.show()
    require(not faults, "\n".join(faults))
