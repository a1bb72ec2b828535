#!/usr/bin/env python3
"""Reads the log of one step of `./dev test` and prints `passed failed`.

Knows the summaries of meson and pytest; any other step counts as one. A step that exited non-zero
counts at least one failure, whatever its log says.
"""

import re
import sys
from pathlib import Path


def meson(log: str) -> tuple[int, int] | None:
    counts = {name: int(n) for name, n in re.findall(r"^([A-Z][\w ]+?):\s+(\d+)\s*$", log, re.M)}
    if "Ok" not in counts:
        return None
    return counts["Ok"], counts.get("Fail", 0) + counts.get("Timeout", 0)


def pytest(log: str) -> tuple[int, int] | None:
    ends = re.findall(r"^(?:=+ )?((?:\d+ \w+(?:, )?)+) in [\d.]+s", log, re.M)
    if not ends:
        return None
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", ends[-1])}
    bad = counts.get("failed", 0) + counts.get("errors", 0) + counts.get("error", 0)
    return counts.get("passed", 0), bad


def tally(log: str, status: int) -> tuple[int, int]:
    counted = meson(log) or pytest(log) or (1 if status == 0 else 0, 0)
    return counted[0], max(counted[1], 1) if status else counted[1]


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace")
    print(*tally(re.sub(r"\x1b\[[0-9;]*m", "", text), int(sys.argv[2])))
