"""Every parser and state machine meets strange input for long, and nothing is found.

The targets of tests/fuzz, built with the address and undefined-behaviour sanitisers, two at a time:
each for 10 seconds of processor time, with --full until it had 30 minutes, or so many --minutes, in
all. What a target reached is kept beside the build (fuzz-corpus), and the time that it had without
a finding in tests/fuzz/had.json: nine hours need not be of one piece, nor of one machine, the next
run begins where the last ended. Who commits it says by that what the hours are of; an entry goes
when the code of its target changes much. The suite's own step `fuzz` runs each for a bounded number
of inputs and needs no proof.
"""

import json
import os
import re
import resource
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from proofs.figures import Figures, require

BUILD = Path("build-asan").absolute()
CORPUS = Path("tests/fuzz/corpus").absolute()
HAD = Path("tests/fuzz/had.json").absolute()
PROCESSES = 2
BOUNDED_S = 10
FULL_S = 30 * 60
SLICE_S = 60  # of the clock; the processor may be busy with other things
INPUT_BYTES_MAX = 4096
# Whoever is reached by strangers comes first.
FIRST = ("server_session", "client_session", "header", "dsn", "sasl", "proxy_header", "command",
         "address", "data_framing", "line_splitter")


writing = threading.Lock()


def all_had() -> dict[str, dict[str, int]]:
    return json.loads(HAD.read_text()) if HAD.is_file() else {}


@dataclass
class Target:
    name: str
    worked_s: float = 0
    inputs: int = 0
    covered: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def program(self) -> Path:
        return BUILD / "tests/fuzz" / f"fuzz_{self.name}"

    @property
    def reached(self) -> Path:
        return BUILD / "fuzz-corpus" / self.name

    def recall(self) -> None:
        """What earlier runs had."""
        earlier = all_had().get(self.name, {"worked_s": 0, "inputs": 0})
        self.worked_s, self.inputs = earlier["worked_s"], earlier["inputs"]

    def remember(self) -> None:
        """A target with a finding begins anew: what counts is the mended one's time."""
        with writing:
            had = all_had()
            had[self.name] = {"worked_s": round(self.worked_s), "inputs": self.inputs}
            if self.findings:
                del had[self.name]
            HAD.write_text(json.dumps(had, indent=1, sort_keys=True) + "\n")

    def run(self, seconds: int) -> None:
        """One slice."""
        self.reached.mkdir(parents=True, exist_ok=True)
        seeds = [str(CORPUS / self.name)] if (CORPUS / self.name).is_dir() else []
        command = [str(self.program), f"-max_total_time={seconds}", "-timeout=10",
                   f"-max_len={INPUT_BYTES_MAX}", "-print_final_stats=1",
                   f"-artifact_prefix={self.reached}-", str(self.reached), *seeds]
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            log.seek(0)
            output = log.read()
        self.inputs += number(r"number_of_executed_units:\s+(\d+)", output)
        self.covered = max(self.covered, number(r"cov: (\d+)", output))
        self.worked_s += usage.ru_utime + usage.ru_stime
        if process.returncode != 0:
            self.findings.append("\n".join(output.splitlines()[-40:]))


def number(pattern: str, text: str) -> int:
    """The last one."""
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def targets() -> list[Target]:
    names = [path.name.removeprefix("fuzz_") for path in (BUILD / "tests/fuzz").glob("fuzz_*")
             if path.is_file()]
    require("canary" in names, f"no fuzz targets in {BUILD}")
    names.remove("canary")
    rank = {name: at for at, name in enumerate(FIRST)}
    return [Target(name) for name in sorted(names, key=lambda one: (rank.get(one, len(rank)), one))]


def fuzz(target: Target, goal_s: float, in_all: bool, printing: threading.Lock) -> None:
    if in_all:
        target.recall()
    while target.worked_s < goal_s and not target.findings:
        target.run(max(1, int(min(SLICE_S, goal_s - target.worked_s + 1))))
        if in_all:
            target.remember()
    with printing:
        print(f"{target.name}: {line_of(target)}", flush=True)


def line_of(target: Target) -> str:
    return (f"{target.inputs:,} inputs in {target.worked_s / 60:.1f} minutes of a processor, "
            f"{target.covered} edges, {len(target.findings)} findings")


def main(full: bool, minutes: float = 0) -> None:
    subprocess.run(["./dev", "build_asan"], check=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    goal_s = minutes * 60 or (FULL_S if full else BOUNDED_S)
    in_all = full or minutes > 0
    found, printing = targets(), threading.Lock()
    canary = Target("canary")
    canary.run(SLICE_S)
    require(bool(canary.findings), "the canary was not found: these fuzzers find nothing")
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(lambda one: fuzz(one, goal_s, in_all, printing), found))
    figures = Figures("fuzz: strange input for every parser and state machine")
    for target in found:
        figures.add(target.name, line_of(target))
    figures.add("inputs", f"{sum(target.inputs for target in found):,}")
    figures.show()
    findings = [f"{target.name}:\n{text}" for target in found for text in target.findings]
    require(not findings, "\n\n".join(findings))
