"""The table as Markdown, and what must be known to read it."""

import os
import platform
import shlex
import sys
import time
from pathlib import Path

from cases import Case
from rounds import Figures, Plan

HEAD = ("row", "server", "accepted/s", "delivered/s", "CPU us/message", "p50 ms", "p99 ms",
        "delivered, times Postfix's", "CPU, part of Postfix's")
REFERENCE = "Postfix"
NONE = "-"


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{os.cpu_count()} x {model[0] if model else 'CPU'}, {memory:.0f} GiB, Linux "
            f"{platform.release()}")


def load_average() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def command() -> str:
    return "./dev bench " + shlex.join(sys.argv[1:])


def heading(source: str, plan: Plan, load_before: str) -> str:
    return (f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}; `{command().strip()}`; load by "
            f"{source}; medians of {plan.rounds} rounds of "
            f"about {plan.seconds:g} s in turn; load average of the machine {load_before} before, "
            f"{load_average()} at the end, this run in it")


def row(title: str, server: str, figures: Figures, reference: Figures | None) -> str:
    cells = [title, server, f"{figures.accepted:.0f}", f"{figures.delivered:.0f}",
             f"{figures.cpu_us:.0f}", f"{figures.p50_ms:.1f}", f"{figures.p99_ms:.1f}"]
    if reference:
        cells += [f"{figures.delivered / reference.delivered:.2f}",
                  f"{figures.cpu_us / reference.cpu_us:.3f}"]
    else:
        cells += [NONE, NONE]
    return "| " + " | ".join(cells) + " |"


def markdown(results: list[tuple[Case, dict[str, Figures]]]) -> str:
    lines = ["| " + " | ".join(HEAD) + " |", "|---|---|" + "---:|" * (len(HEAD) - 2)]
    for case, by_title in results:
        reference = by_title.get(REFERENCE)
        for index, (title, figures) in enumerate(by_title.items()):
            lines.append(row("" if index else case.title, title, figures, reference))
    return "\n".join(lines)
