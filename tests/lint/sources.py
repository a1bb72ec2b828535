"""Which files the lint reads: what git tracks or would track, below a root."""

import subprocess
from pathlib import Path

CPP = {".cc", ".h"}


def tracked(root: Path) -> list[Path]:
    """Relative paths of all files that are not ignored; of a plain folder, all files."""
    answer = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"],
        capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file())
    names = sorted(set(answer.stdout.split("\0")) - {""})
    return [Path(name) for name in names if (root / name).is_file()]


def cpp_files(root: Path) -> list[Path]:
    return [path for path in tracked(root) if path.suffix in CPP]


def is_test(path: Path) -> bool:
    return path.parts[0] == "tests"


def strip_cpp(text: str) -> str:
    """The text with comments and literals blanked; offsets and line ends stay."""
    out, i, n = [], 0, len(text)
    while i < n:
        end = _token_end(text, i)
        if end == i:
            out.append(text[i])
            i += 1
            continue
        out.append("".join(c if c == "\n" else " " for c in text[i:end]))
        i = end
    return "".join(out)


def _token_end(text: str, i: int) -> int:
    """Where a comment or literal that begins at `i` ends; `i` when none begins there."""
    if text.startswith("//", i):
        return _find(text, "\n", i)
    if text.startswith("/*", i):
        return _find(text, "*/", i + 2) + 2
    if text.startswith('R"', i):
        delimiter = text[i + 2:text.find("(", i)]
        return _find(text, ")" + delimiter + '"', i) + len(delimiter) + 2
    if text[i] == '"' or (text[i] == "'" and not text[i - 1:i].isalnum()):
        return _literal_end(text, i)
    return i


def _literal_end(text: str, i: int) -> int:
    quote, j = text[i], i + 1
    while j < len(text) and text[j] not in (quote, "\n"):
        j += 2 if text[j] == "\\" else 1
    return min(j + 1, len(text))


def _find(text: str, what: str, start: int) -> int:
    at = text.find(what, start)
    return len(text) if at < 0 else at
