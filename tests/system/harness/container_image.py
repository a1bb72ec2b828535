"""What deploy/container/Containerfile makes, without a container engine: a root folder.

Contract  `Image(binary)` has debootstrap make the Debian that the file begins with, and install
          what its apt-get installs; runs the other commands of its last stage, and says what it
          copies, the binary from outside. The root is kept below CACHE, so that only the first
          use of a machine needs the package mirror; it is made anew when these commands change.
Errors    Needs root and debootstrap. An instruction that it does not know is an error.
Bounds    The first stage, which compiles, does not run. debootstrap's root has what Debian's slim
          image leaves out (documentation), and the release's packages without security updates.
"""

import hashlib
import json
import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from harness.foreign_root import CACHE

CONTAINER_FILE = Path("deploy/container/Containerfile")
KNOWN = {"FROM", "RUN", "COPY", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
         "ENTRYPOINT", "CMD"}
SUITE = "bookworm"


def last_stage(text: str) -> list[tuple[str, str]]:
    """Instructions with their arguments, from the last FROM on."""
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    begin = max(number for number, line in enumerate(lines) if line[0] == "FROM")
    found = [(line[0], line[1]) for line in lines[begin:]]
    unknown = {name for name, _ in found} - KNOWN
    if unknown:
        raise AssertionError(f"{CONTAINER_FILE}: {unknown} is not known here")
    return found


def _is_apt(command: list[str]) -> bool:
    return "apt-get" in command or "/var/lib/apt/lists/*" in command


def _run(*command: str) -> None:
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            check=False)
    if answer.returncode:
        raise AssertionError(f"{' '.join(command)} exited {answer.returncode}:\n"
                             f"{answer.stdout[-2000:]}{answer.stderr[-2000:]}")


class Image:
    def __init__(self, binary: Path) -> None:
        stage = last_stage(CONTAINER_FILE.read_text())
        if dict(stage)["FROM"] != f"debian:{SUITE}-slim":
            raise AssertionError(f"{CONTAINER_FILE} begins with {dict(stage)['FROM']}")
        commands = [shlex.split(part) for name, text in stage if name == "RUN"
                    for part in text.split("&&")]
        self._packages = [word for command in commands if "install" in command
                          and _is_apt(command) for word in command[command.index("install") + 1:]
                          if not word.startswith("-")]
        self._commands = [command for command in commands if not _is_apt(command)]
        self._copies = [text.split()[-2:] for name, text in stage if name == "COPY"]
        self._binary = binary
        words = dict(stage)
        self.user = words["USER"]
        self.volume = words["VOLUME"]
        self.ready = json.loads(words["HEALTHCHECK"].split(" CMD ", 1)[1])
        self.entry = json.loads(words["ENTRYPOINT"])
        self.command = json.loads(words["CMD"])
        self.path = self._made(repr((SUITE, self._packages, self._commands)))

    def ids(self) -> tuple[int, int]:
        """Of the user in the image."""
        for line in (self.path / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == self.user:
                return int(uid), int(gid)
        raise AssertionError(f"the image has no user {self.user}")

    def _made(self, recipe: str) -> Path:
        """The kept root; what the file copies is laid over it by container.py."""
        kept = CACHE / f"image-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
        if not kept.exists():
            print("making a root with debootstrap, which takes minutes", flush=True)
            CACHE.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix="image-new-", dir=CACHE))
            made.chmod(0o755)
            _run("debootstrap", "--variant=minbase", f"--include={','.join(self._packages)}",
                 SUITE, str(made))
            for command in self._commands:
                _run("chroot", str(made), *command)
            os.rename(made, kept)
        return kept

    def copies(self) -> list[tuple[Path, str]]:
        """What stands at which path of the image; the program comes from this build."""
        return [(self._binary if target == self.entry[0] else Path(source), target)
                for source, target in self._copies]
