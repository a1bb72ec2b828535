#!/usr/bin/env python3
"""Compiles every header alone, with the include paths of a configured build folder.

Place     `./dev lint --headers`; slow, so not part of each lint.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sources import cpp_files, is_test

KEPT = ("-I", "-isystem", "-D", "-std=", "-pthread")


def flags(build: Path) -> list[str]:
    """Every include path and definition that some source of the build is compiled with."""
    seen: dict[str, None] = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = entry["command"].split()
        for i, word in enumerate(words):
            if word.startswith(KEPT):
                seen[f"-isystem {words[i + 1]}" if word == "-isystem" else word] = None
    return " ".join(seen).split()


def compile_alone(build: Path, header: Path, options: list[str]) -> str:
    command = ["clang++-19", "-fsyntax-only", "-Wall", "-Wextra", "-Wno-pragma-once-outside-header",
               "-x", "c++", *options, str(header)]
    answer = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    return answer.stderr if answer.returncode else ""


def main() -> int:
    build = Path(sys.argv[1])
    root = Path.cwd()
    headers = [root / p for p in cpp_files(root) if p.suffix == ".h" and not is_test(p)]
    options = flags(build)
    with ThreadPoolExecutor(2) as pool:
        faults = [f for f in pool.map(lambda h: compile_alone(build, h, options), headers) if f]
    print("\n".join(faults) if faults else f"headers: {len(headers)} compile alone")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
