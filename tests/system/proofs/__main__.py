"""`python3 -m proofs [NAME [--full]]`: lists the proofs, or runs one; exits 1 if it falls short.

`--minutes N`, `--seed N` and `--only POINT` are for those proofs whose `main` takes them.
"""

import importlib
import sys
import time
import traceback
from dataclasses import dataclass


@dataclass(frozen=True)
class Proof:
    name: str
    minutes: int
    minutes_full: int
    shows: str
    by_hand: bool = False  # too long for every merge, on a machine that has nothing yet


PROOFS = [
    Proof("clients", 1, 1, "five mail clients in, three mail servers out, byte for byte"),
    Proof("interop", 1, 3, "other people's clients and servers, each by all that it speaks"),
    Proof("bounces", 1, 1, "bounces are understood by two programs; nobody hears of them wrongly"),
    Proof("extensions", 1, 1, "a real Postfix takes SMTPUTF8 and DSN from the node, and tells"),
    Proof("dkim", 1, 1, "dkimpy and Mail::DKIM find every signature good, RSA and Ed25519"),
    Proof("tls", 3, 3, "testssl, sslscan and nmap find nothing bad at any listener"),
    Proof("tiers", 2, 2, "the shipped configurations, row by row of what they must honour"),
    Proof("attacks", 2, 12, "every attack of the list, at every door: nothing gives way"),
    Proof("idle", 1, 4, "10,000 idle and 1,000 slow sessions do not hold up mail"),
    Proof("crash", 1, 9, "kill -9 at any moment: nothing lost, duplicates only of mail in flight"),
    Proof("memory", 3, 3, "50 MB messages, 20 at once; 100,000 deferred messages"),
    Proof("control-sim", 1, 6, "a simulated pool in trouble: one owner, one value, progress"),
    Proof("sim", 1, 40, "simulated pools of nodes with mail, in trouble: none lost, none twice"),
    Proof("mutants", 3, 3, "faults that we make are caught by the simulated pools"),
    Proof("model", 3, 30, "every state of agreement and leases in bounds; every mutant is caught"),
    Proof("control-chaos", 4, 35, "kills, pauses, cut links: never two owners, soon one again"),
    Proof("etcd", 1, 4, "a pool on a real etcd: all that a pool does, and etcd restored"),
    Proof("etcd-chaos", 1, 35, "nodes, etcd and the ways between them fail: one owner, none lost"),
    Proof("peers", 1, 1, "who is not who they say is refused at the peer port"),
    Proof("handover", 2, 5, "nodes die, are replaced, leave: nothing lost, nothing twice"),
    Proof("takeover", 2, 12, "siblings own the mail of a dead node soon, of a leaver at once"),
    Proof("drain", 1, 3, "a node that leaves hands much mail over, by SIGTERM and by an operator"),
    Proof("isolated-owner", 1, 8, "an owner without its lease sends no dot: one copy arrives"),
    Proof("latency", 2, 4, "250 with two copies takes 1.5 times as long as with one, at most",
          by_hand=True),
    Proof("speed", 1, 60, "twelve times Postfix, near the disk's speed, flat as work grows",
          by_hand=True),
    Proof("fuzz", 3, 240, "strange input for every parser and state machine: no finding",
          by_hand=True),
    Proof("deployed", 1, 1, "the compose file without an engine; first 8 minutes of apt",
          by_hand=True),
    Proof("chaos", 4, 35, "mail under all faults at once: none lost, none twice without cause"),
]


def show_list() -> None:
    print("proof          minutes  --full  shows")
    for proof in PROOFS:
        print(f"{proof.name:<14} {proof.minutes:>7}  {proof.minutes_full:>6}  {proof.shows}")


def options_of(arguments: list[str]) -> dict[str, float | str]:
    """`--name value`."""
    kinds = {"--minutes": lambda text: float(text) if "." in text else int(text), "--seed": int,
             "--only": str}
    return {name.removeprefix("--"): kinds[name](value)
            for name, value in zip(arguments, arguments[1:]) if name in kinds}


def run(proof: Proof, full: bool, options: dict[str, float | str]) -> int:
    began = time.monotonic()
    try:
        importlib.import_module(f"proofs.{proof.name.replace('-', '_')}").main(
            full, **options)
    except Exception:  # whatever went wrong, the proof is not given
        traceback.print_exc()
        print(f"proof {proof.name}: FALLS SHORT")
        return 1
    print(f"proof {proof.name}: holds ({time.monotonic() - began:.0f} s)")
    return 0


def main(arguments: list[str]) -> int:
    names = [argument for argument in arguments if not argument.startswith("--")]
    if "--names" in arguments:
        print("\n".join(proof.name for proof in PROOFS if not proof.by_hand))
        return 0
    if not names:
        show_list()
        return 0
    found = [proof for proof in PROOFS if proof.name == names[0]]
    if not found:
        print(f"no proof is called {names[0]}; there are:")
        show_list()
        return 2
    return run(found[0], "--full" in arguments, options_of(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
