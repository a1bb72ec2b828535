"""Processor time of all processes of a server, those included that ended as nobody's children.

Contract  What is started inside `with group.entered()` belongs to the group, and so does all that
          it starts. The kernel counts; a cgroup of version 1 or 2 does.
Owner     `with CpuGroup(name) as group`; at its end all that is left of its processes is killed.
Errors    Needs root, and a writable /sys/fs/cgroup.
"""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from harness import wait

ROOT = Path("/sys/fs/cgroup")
# Idle enough: what a server did for the mail that it was given is done.
IDLE_SHARE, IDLE_WINDOW_S = 0.08, 0.1


def own_folder() -> Path:
    """Where this process is counted."""
    groups = Path("/proc/self/cgroup").read_text()
    if (ROOT / "cgroup.controllers").exists():
        return ROOT / re.search(r"^0::/(.*)$", groups, re.MULTILINE)[1]
    return ROOT / "cpuacct" / re.search(r"^\d+:[^:]*\bcpuacct\b[^:]*:/(.*)$", groups,
                                        re.MULTILINE)[1]


class CpuGroup:
    def __init__(self, name: str) -> None:
        self._home = own_folder()
        self._folder = self._home / f"posthorse-bench-{os.getpid()}-{name}"

    def __enter__(self) -> "CpuGroup":
        self._folder.mkdir()
        return self

    def __exit__(self, *_) -> None:
        """What waits for a silent receiver would wait longer than its server runs."""
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait.until(lambda: not self._pids(), f"the processes of {self._folder} end", 20)
        self._folder.rmdir()

    def _pids(self) -> list[int]:
        return [int(pid) for pid in (self._folder / "cgroup.procs").read_text().split()]

    def _wants_to_run(self) -> bool:
        """Or waits for the disk: on a machine that is busy it may be given no time."""
        for pid in self._pids():
            for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
                with contextlib.suppress(OSError):  # it ended meanwhile
                    if stat.read_text().rsplit(")", 1)[1].split()[0] in "RD":
                        return True
        return False

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        pid = str(os.getpid())
        (self._folder / "cgroup.procs").write_text(pid)
        try:
            yield
        finally:
            (self._home / "cgroup.procs").write_text(pid)

    def seconds(self) -> float:
        """User and system time so far."""
        if (self._folder / "cpuacct.usage").exists():
            return int((self._folder / "cpuacct.usage").read_text()) / 1e9
        usage = re.search(r"^usage_usec (\d+)", (self._folder / "cpu.stat").read_text())
        return int(usage[1]) / 1e6

    def seconds_when_idle(self) -> float:
        """The same once almost nothing is added any more, or after a while."""
        seen = [(time.monotonic(), self.seconds())]

        def idle() -> bool:
            seen.append((time.monotonic(), self.seconds()))
            then, used = next(one for one in reversed(seen)
                              if one is seen[0] or one[0] <= seen[-1][0] - IDLE_WINDOW_S)
            passed = seen[-1][0] - then
            return (passed >= IDLE_WINDOW_S and seen[-1][1] - used < IDLE_SHARE * passed
                    and not self._wants_to_run())

        with contextlib.suppress(wait.GaveUp):
            wait.until(idle, "the server is idle", 5)
        return seen[-1][1]
