"""`python3 -m proofs [NAME [--full]]`: lists the proofs, or runs one; exits 1 if it falls short."""

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


PROOFS = [
    Proof("clients", 1, 1, "five mail clients in, three mail servers out, byte for byte"),
    Proof("dkim", 1, 1, "dkimpy and Mail::DKIM find every signature good, RSA and Ed25519"),
    Proof("crash", 1, 9, "kill -9 at any moment: nothing lost, duplicates only of mail in flight"),
    Proof("memory", 3, 3, "50 MB messages, 20 at once; 100,000 deferred messages"),
    Proof("control-sim", 1, 6, "a simulated pool in trouble: one owner, one value, progress"),
    Proof("model", 6, 30, "every state of agreement and leases in bounds; every mutant is caught"),
    Proof("control-chaos", 4, 35, "kills, pauses, cut links: never two owners, soon one again"),
    Proof("peers", 1, 1, "who is not who they say is refused at the peer port"),
]


def show_list() -> None:
    print("proof          minutes  --full  shows")
    for proof in PROOFS:
        print(f"{proof.name:<14} {proof.minutes:>7}  {proof.minutes_full:>6}  {proof.shows}")


def run(proof: Proof, full: bool) -> int:
    began = time.monotonic()
    try:
        importlib.import_module(f"proofs.{proof.name.replace('-', '_')}").main(full)
    except Exception:  # whatever went wrong, the proof is not given
        traceback.print_exc()
        print(f"proof {proof.name}: FALLS SHORT")
        return 1
    print(f"proof {proof.name}: holds ({time.monotonic() - began:.0f} s)")
    return 0


def main(arguments: list[str]) -> int:
    names = [argument for argument in arguments if not argument.startswith("--")]
    if "--names" in arguments:
        print("\n".join(proof.name for proof in PROOFS))
        return 0
    if not names:
        show_list()
        return 0
    found = [proof for proof in PROOFS if proof.name == names[0]]
    if not found:
        print(f"no proof is called {names[0]}; there are:")
        show_list()
        return 2
    return run(found[0], "--full" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
