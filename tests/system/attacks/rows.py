"""The list of attacks: what each number stands for, and what shows that it fails.

A trial is a function that attacks a node through one door; `@trial(number, doors)` registers it.
`shown(number, tests)` names tests elsewhere that show a row better than a process can.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]

MX, SUBMISSION, SUBMISSIONS, TRUSTED = "mx", "submission", "submissions", "trusted"
ALL = (MX, SUBMISSION, SUBMISSIONS, TRUSTED)
LOGINS = (SUBMISSION, SUBMISSIONS)
OUT, PEER, ADMIN = ("out",), ("peer",), ("admin",)

ROWS = {
    "S1": "look-alikes of the end of data", "S2": "bare CR and LF, in chunks too",
    "S3": "dots that are stuffed", "S4": "long command lines", "S5": "long text lines",
    "S6": "long addresses", "S7": "NUL and controls", "S8": "addresses that are not ASCII",
    "S9": "who speaks before the greeting", "S10": "who does not wait for replies",
    "S11": "STARTTLS with something behind it", "S12": "TLS that is old, wrong, or stalls",
    "S13": "mail without login, login without TLS", "S14": "malformed logins",
    "S15": "who exists?", "S16": "guessing passwords", "S17": "another's name",
    "S18": "relaying", "S19": "very many recipients", "S20": "octet by octet",
    "S21": "too large", "S22": "chunks that lie", "S23": "commands for ever",
    "S24": "connections that break", "S25": "wrong order, wrong parameters",
    "S26": "what must be taken all the same", "S27": "headers that are none",
    "S28": "mail that goes round", "S29": "bombs of MIME", "S30": "what is asked of notices",
    "S31": "names that forge a trace", "S32": "other protocols", "S33": "very many clients",
    "C1": "replies without an end", "C2": "replies that are none",
    "C3": "refusals at every step", "C4": "silence after the final dot",
    "C5": "STARTTLS that is a trap", "C6": "bad certificates", "C7": "extensions that lie",
    "C8": "replies that forge", "C9": "floods of notices", "C10": "domains without mail",
    "C11": "mail that comes back", "C12": "addresses that are ours",
    "C13": "a DNS that lies", "C14": "one slow server", "C15": "signatures under attack",
    "P1": "strangers at the peer port", "P2": "a member in another's name",
    "P3": "members of the past", "P4": "floods of a member", "P5": "operations again, out of turn",
    "P6": "ids that are none",
    "A1": "every call with every certificate", "A2": "long lists, twice the same",
    "A3": "certificates that change",
}


@dataclass(frozen=True)
class Trial:
    number: str
    door: str
    run: Callable
    name: str
    hasty: bool  # it is for the node with little patience


TRIALS: list[Trial] = []
SHOWN: dict[str, list[str]] = {}


def trial(number: str, doors: tuple[str, ...], hasty: bool = False):
    """Registers `function(stage, door)`, which returns how many messages it got accepted."""
    def register(function: Callable) -> Callable:
        TRIALS.extend(Trial(number, door, function, function.__name__, hasty) for door in doors)
        return function
    return register


def shown(number: str, *tests: str) -> None:
    """`tests`: "path::function", "path: title of a TEST_CASE", or the path of a dialog."""
    SHOWN.setdefault(number, []).extend(tests)


def missing(test: str) -> str:
    """Why a named test does not count; empty: it is there."""
    path, _, name = test.partition("::") if "::" in test else test.partition(": ")
    file = ROOT / path
    if not file.is_file():
        return f"{path} does not exist"
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return "" if f"def {name}(" in text else f"{path} has no {name}"
    if file.suffix in (".cc", ".h"):
        joined = re.sub(r'"\s+"', "", text)
        return "" if re.search(r'CASE\(\s*"' + re.escape(name), joined) else \
            f"{path} has no test '{name}'"
    return ""
