#!/usr/bin/env python3
"""Refuses growth past the usual sizes, headers without a contract, left-overs and dead links.

Place     Run by `./dev lint`; needs no compiler. Self-tests: lint_test.py.
Contract  Prints one line a fault and exits 1 when there is one. What is longer on purpose stands in
          ratchet.txt with its length and one sentence why; it may shrink, not grow.
"""

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from sources import CPP, strip_cpp, tracked

LINE_MAX = 100
FILE_MAX = 600
FUNCTION_MAX = 70

CODE = CPP | {".py", ".proto", ".sh"}
SHELL_SCRIPTS = {"dev", ".ci/run"}
LEFT_OVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
NOT_A_FUNCTION = re.compile(
    r"^(?:template\s*<[^{]*>\s*)?(?:namespace|class|struct|enum|union|extern|inline namespace)\b")


@dataclass(frozen=True)
class Span:
    name: str
    line: int
    lines: int


def read(root: Path, path: Path) -> str:
    return (root / path).read_text(encoding="utf-8", errors="replace")


def is_code(path: Path) -> bool:
    return path.suffix in CODE or str(path) in SHELL_SCRIPTS


def cpp_functions(text: str) -> list[Span]:
    """Definitions at namespace or class scope, by their braces."""
    code = re.sub(r"^[ \t]*#.*$", lambda m: " " * len(m[0]), strip_cpp(text), flags=re.MULTILINE)
    spans, scopes, head_start = [], [], 0
    for m in re.finditer(r"[{};]", code):
        head = code[head_start:m.start()].strip()
        if m[0] == "{":
            scopes.append(_open_scope(head, scopes, code.count("\n", 0, m.start())))
        elif m[0] == "}" and scopes:
            kind, name, line = scopes.pop()
            if kind == "function":
                spans.append(Span(name, line + 1, code.count("\n", 0, m.start()) - line + 1))
        if not (m[0] == "}" and scopes and scopes[-1][0] == "inner"):
            head_start = m.end()
    return spans


def _open_scope(head: str, scopes: list, line: int) -> tuple[str, str, int]:
    head = re.sub(r"^(?:(?:public|private|protected)\s*:\s*)+", "", head)
    if any(kind in ("function", "inner") for kind, _, _ in scopes):
        return ("inner", "", line)
    if not head or NOT_A_FUNCTION.match(head):
        return ("scope", "", line)
    name = re.search(r"([\w:~]+)\s*\(", head)
    if not name:
        return ("inner", "", line)
    return ("function", name[1], line - head.count("\n"))


def python_functions(text: str) -> list[Span]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [Span(node.name, node.lineno, node.end_lineno - node.lineno + 1)
            for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]


def shell_functions(text: str) -> list[Span]:
    spans, start, name = [], 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        opened = re.match(r"([\w-]+)\(\) \{$", line)
        if opened:
            start, name = number, opened[1]
        elif line == "}" and name:
            spans.append(Span(name, start, number - start + 1))
            name = ""
    return spans


def functions_of(path: Path, text: str) -> list[Span]:
    if path.suffix in CPP:
        return cpp_functions(text)
    if path.suffix == ".py":
        return python_functions(text)
    return shell_functions(text) if str(path) in SHELL_SCRIPTS else []


def size_faults(path: Path, text: str, ratchet: dict[str, int]) -> list[str]:
    lines = text.splitlines()
    faults = [f"{path}:{n}: {len(line)} columns, {LINE_MAX} at most"
              for n, line in enumerate(lines, 1) if len(line) > LINE_MAX]
    if len(lines) > ratchet.get(str(path), FILE_MAX):
        faults.append(f"{path}:1: {len(lines)} lines: split it, or say in ratchet.txt why not")
    for span in functions_of(path, text):
        if span.lines > ratchet.get(f"{path}:{span.name}", FUNCTION_MAX):
            faults.append(f"{path}:{span.line}: {span.name} has {span.lines} lines: split it, or "
                          "say in ratchet.txt why not")
    return faults


def text_faults(path: Path, text: str) -> list[str]:
    faults = []
    for n, line in enumerate(text.splitlines(), 1):
        if LEFT_OVER.search(line):
            faults.append(f"{path}:{n}: left-over marker: do it, or file an issue")
        if line != line.rstrip():
            faults.append(f"{path}:{n}: white space at the end of the line")
        if "\t" in line:
            faults.append(f"{path}:{n}: tab")
    return faults


def header_faults(path: Path, text: str) -> list[str]:
    faults = []
    if not text.startswith("// "):
        faults.append(f"{path}:1: a header begins with a comment that says what it is")
    if "#pragma once" not in text:
        faults.append(f"{path}:1: #pragma once is missing")
    return faults


def link_faults(root: Path, path: Path, text: str) -> list[str]:
    faults = []
    for m in LINK.finditer(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        target = m[1].split("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            continue
        if not (root / path.parent / target).exists():
            faults.append(f"{path}: link to {m[1]}, which does not exist")
    return faults


def read_ratchet(root: Path) -> tuple[dict[str, int], list[str]]:
    """`path[:function] lines why`, one a line."""
    file = root / "tests/lint/ratchet.txt"
    ratchet, faults = {}, []
    for n, line in enumerate(file.read_text().splitlines() if file.exists() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(None, 2)
        if len(fields) < 3 or not fields[1].isdigit() or len(fields[2].split()) < 4:
            faults.append(f"tests/lint/ratchet.txt:{n}: wants `path[:function] lines sentence`")
            continue
        if not (root / fields[0].split(":")[0]).is_file():
            faults.append(f"tests/lint/ratchet.txt:{n}: {fields[0]} does not exist")
        ratchet[fields[0]] = int(fields[1])
    return ratchet, faults


def file_faults(root: Path, path: Path, ratchet: dict[str, int]) -> list[str]:
    if path.suffix == ".md":
        return link_faults(root, path, read(root, path))
    if not is_code(path):
        return []
    text = read(root, path)
    faults = size_faults(path, text, ratchet) + text_faults(path, text)
    return faults + (header_faults(path, text) if path.suffix == ".h" else [])


def faults_in(root: Path) -> list[str]:
    ratchet, faults = read_ratchet(root)
    for path in tracked(root):
        faults += file_faults(root, path, ratchet)
    return faults


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    faults = faults_in(root)
    print("\n".join(faults) if faults else f"tidy: {len(tracked(root))} files")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
