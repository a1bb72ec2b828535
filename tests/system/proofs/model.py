"""Every state of the pool's agreement and leases, within bounds, is sound; each fault is found.

The programs are tests/model's: one that searches the production code, and for each mutant one that
searches the same code with one fault in it. A fault of what drives the code is an option.
"""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from proofs.figures import Figures, require

BUILD = Path("build").absolute()
PROCESSES = 2
SEARCH_MAX_S = 900  # seconds of processor are few; a shared machine gives few of them


@dataclass(frozen=True)
class Model:
    name: str  # of the program: model_NAME, of a mutant: model_NAME-MUTANT
    faulty_drivers: dict[str, str]  # each with the first scope that finds it


MODELS = [
    Model("coordination", {"send_before_write": "one_term_from_A", "overtake": "one_term_from_A"}),
    Model("lease", {"wall_clock": "third_comes", "count_from_arrival": "evict",
                    "lead_at_election": "evict_discarded", "leave_then_stop": "leave"}),
]

SCOPE = re.compile(r"^scope (\w+): .*?\n(?:.*\n)*?  (states \d+.*)$", re.MULTILINE)
LAST_SCOPE = re.compile(r"^scope (\w+):", re.MULTILINE)
SECONDS = re.compile(r"seconds (\d+\.\d)")
VIOLATION = re.compile(r"^  VIOLATION after (\d+) steps: (.*)$", re.MULTILINE)


def program(model: Model, mutant: str = "") -> Path:
    return BUILD / "tests" / "model" / f"model_{model.name}{'-' if mutant else ''}{mutant}"


def mutants(model: Model) -> dict[str, str]:
    table = Path(__file__).parents[2] / "model" / "mutate.py"
    answer = subprocess.run([sys.executable, table, model.name, "--scopes"], capture_output=True,
                            text=True, check=True)
    return dict(line.split() for line in answer.stdout.splitlines())


def seconds(output: str) -> float:
    """Of processor, of all searches in it."""
    return sum(float(found) for found in SECONDS.findall(output))


def run(command: list) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False,
                          timeout=None if "--full" in command else SEARCH_MAX_S)


def note_code(model: Model, answer: subprocess.CompletedProcess, figures: Figures) -> None:
    require(answer.returncode == 0, f"model {model.name}:\n{answer.stdout}{answer.stderr}")
    scopes = SCOPE.findall(answer.stdout)
    require(len(scopes) == len(LAST_SCOPE.findall(answer.stdout)) > 0,
            f"model {model.name}: a scope without figures:\n{answer.stdout}")
    for name, counts in scopes:
        figures.add(f"{model.name}, {name}", counts)
    states = sum(int(re.search(r"states (\d+)", counts)[1]) for _, counts in scopes)
    figures.add(f"{model.name}, all scopes",
                f"{states} states, {seconds(answer.stdout):.0f} s, none violates a promise")


def note_fault(model: Model, name: str, answer: subprocess.CompletedProcess,
               figures: Figures) -> bool:
    """Whether the fault is found, by a violation with its trace."""
    violation = VIOLATION.search(answer.stdout)
    found = answer.returncode == 1 and violation is not None
    where = LAST_SCOPE.findall(answer.stdout)[-1:]
    figures.add(f"{model.name}, {name}",
                f"found in {seconds(answer.stdout):.1f} s by {where[0]} in {violation[1]} steps: "
                f"{violation[2]}" if found else f"NOT FOUND (exit {answer.returncode})")
    return found


def faults_of(model: Model, full: bool) -> dict[str, list]:
    """The search that must find each: all of it with --full, else the scope that is known to."""
    programs = {name: ([program(model, name)], scope) for name, scope in mutants(model).items()}
    programs |= {name: ([program(model), "--driver", name], scope)
                 for name, scope in model.faulty_drivers.items()}
    return {name: command if full else [*command, "--scope", scope]
            for name, (command, scope) in programs.items()}


def check(model: Model, full: bool, pool: ThreadPoolExecutor, figures: Figures) -> None:
    code = pool.submit(run, [program(model), *(["--full"] if full else [])])
    answers = {name: pool.submit(run, command) for name, command in faults_of(model, full).items()}
    note_code(model, code.result(), figures)
    missed = [name for name, answer in answers.items()
              if not note_fault(model, name, answer.result(), figures)]
    figures.add(f"{model.name}, deliberate faults found",
                f"{len(answers) - len(missed)} of {len(answers)}")
    if missed:
        figures.show()
    require(not missed, f"model {model.name} does not find {', '.join(missed)}")


def main(full: bool) -> None:
    subprocess.run(["ninja", "-C", BUILD, "model_programs"], check=True)
    figures = Figures("model: every state within bounds")
    with ThreadPoolExecutor(PROCESSES) as pool:
        for model in MODELS:
            check(model, full, pool, figures)
    figures.show()
