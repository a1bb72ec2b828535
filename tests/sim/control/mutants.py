#!/usr/bin/env python3
"""Makes deliberate faults in production source: `mutants.py MUTANT FILE OUT`, `mutants.py --table`.

Contract  A mutant is some replacements of text, each of which stands exactly once in its file;
          anything else fails, so that a mutant cannot silently become the correct code when the
          source changes. --table prints a line a mutant: its name, scenario, last seed, files.
"""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    name: str
    scenario: str  # in which control_sim must find it
    last: int      # by which seed
    edits: tuple[Edit, ...]


MUTANTS = [
    # Messages leave before what they say is on the disk.
    Mutant("no_gate", "power", 500, (
        Edit("control_core.cc",
             "    gated_.push_back(outgoing(to, address, std::move(message)));",
             "    sends_.push_back(outgoing(to, address, std::move(message)));"),)),
    Mutant("no_drift_margin", "drift", 500, (
        Edit("lease.cc", "sent + ttl - drift_margin(ttl);", "sent + ttl;"),)),
    # A leader that was deposed without knowing it goes on granting.
    Mutant("renew_without_round", "leader_one_way", 500, (
        Edit("lease.cc", "        if (waiting.round > round) return false;\n", ""),)),
    Mutant("start_on_accepted", "cuts", 500, (
        Edit("lease.cc", "auto state = committed;", "auto state = accepted;"),)),
    Mutant("no_new_leader_ttl", "flapping_leader", 500, (
        Edit("lease.cc", "        if (member.live) begin(member, now, ttl_);\n    }\n    versions_",
             "        if (member.live) begin(member, now, Duration{});\n    }\n    versions_"),)),
    Mutant("evict_in_flight_renewed", "evict_in_flight", 500, (
        Edit("lease.cc",
             "        if (entry->second.ending || ends_in(accepted, renewal.node, "
             "renewal.incarnation))\n            return true;\n", ""),)),
    # The exception for two voters, by one of two configurations.
    Mutant("judged_together", "voters_cut", 500, (
        Edit("lease.cc",
             "return accepted.committed.needs(self) && accepted.configuration.needs(self);",
             "return accepted.configuration.needs(self);"),)),
    Mutant("judged_by_the_old", "voters_cut", 500, (
        Edit("lease.cc",
             "return accepted.committed.needs(self) && accepted.configuration.needs(self);",
             "return accepted.committed.needs(self);"),)),
    # Leases go to nodes, whichever of their starts asks.
    Mutant("clone_shares_lease", "unseen_clone", 500, (
        Edit("pool_state.cc", "known->live && known->incarnation == of;", "known->live;"),
        Edit("lease.cc",
             "entry == entries_.end() || entry->second.incarnation != renewal.incarnation)",
             "entry == entries_.end())"),
        Edit("leader_duties.cc",
             "    if (member->incarnation != from.incarnation) return hear(",
             "    if (member->incarnation != from.incarnation) hear("))),
]


def mutated(mutant: Mutant, path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    edits = [edit for edit in mutant.edits if edit.file == path.name]
    if not edits:
        raise SystemExit(f"mutants.py: {mutant.name} does not touch {path.name}")
    for edit in edits:
        found = text.count(edit.old)
        if found != 1:
            raise SystemExit(f"mutants.py: {mutant.name}: its old text stands {found} times in "
                             f"{path}, not once: adapt the mutant to the source")
        text = text.replace(edit.old, edit.new)
    return text


def files(mutant: Mutant) -> list[str]:
    return sorted({edit.file for edit in mutant.edits})


def main(arguments: list[str]) -> int:
    if arguments == ["--table"]:
        for mutant in MUTANTS:
            print(mutant.name, mutant.scenario, mutant.last, *files(mutant))
        return 0
    name, file, out = arguments
    chosen = [mutant for mutant in MUTANTS if mutant.name == name]
    if not chosen:
        raise SystemExit(f"mutants.py: no mutant is called {name}")
    Path(out).write_text(mutated(chosen[0], Path(file)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
