"""Deliberate faults in production source, for simulators that must find them.

Contract  A mutant is some replacements of text, each of which stands exactly once in its file;
          anything else fails, so that a mutant cannot silently become the correct code when the
          source changes. A script with a list of mutants calls main():
          `SCRIPT MUTANT FILE OUT` writes the changed file; `SCRIPT --table` prints a line a mutant:
          its name, scenario, last seed, files.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    file: str  # its name, or as much of its path as tells it from others
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    name: str
    scenario: str  # in which the simulator must find it
    last: int      # by which seed
    edits: tuple[Edit, ...]


def mutated(mutant: Mutant, path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    edits = [edit for edit in mutant.edits if f"/{path.as_posix()}".endswith(f"/{edit.file}")]
    if not edits:
        raise SystemExit(f"{mutant.name} does not touch {path}")
    for edit in edits:
        found = text.count(edit.old)
        if found != 1:
            raise SystemExit(f"{mutant.name}: its old text stands {found} times in {path}, not "
                             "once: adapt the mutant to the source")
        text = text.replace(edit.old, edit.new)
    return text


def files(mutant: Mutant) -> list[str]:
    return sorted({edit.file for edit in mutant.edits})


def main(mutants: list[Mutant], arguments: list[str]) -> int:
    if arguments == ["--table"]:
        for mutant in mutants:
            print(mutant.name, mutant.scenario, mutant.last, *files(mutant))
        return 0
    name, file, out = arguments
    chosen = [mutant for mutant in mutants if mutant.name == name]
    if not chosen:
        raise SystemExit(f"no mutant is called {name}")
    Path(out).write_text(mutated(chosen[0], Path(file)), encoding="utf-8")
    return 0
