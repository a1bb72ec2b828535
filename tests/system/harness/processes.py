"""Processes that are ours: started in a group of their own, ended with the test, never by name."""

import os
import signal
import subprocess
from pathlib import Path


class Process:
    """One command in its own process group, its output in a file."""

    def __init__(self, command: list[str], log: Path, **options) -> None:
        self.command = command
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                           stderr=subprocess.STDOUT, start_new_session=True,
                                           **options)

    @property
    def pid(self) -> int:
        return self._child.pid

    def running(self) -> bool:
        return self._child.poll() is None

    def signal(self, number: int) -> None:
        if self.running():
            os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> int:
        return self._child.wait(timeout_s)

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_or_kill(timeout_s)

    def wait_or_kill(self, timeout_s: float) -> int:
        """The exit code; one that does not end in time is killed, which is an error."""
        try:
            return self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{' '.join(self.command)} did not stop in {timeout_s} s; its "
                                 f"output is in {self.log}") from None

    def kill(self) -> None:
        """SIGKILL to the group: also to what a tracer or a shell started."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._child.wait(30)


def status_kib(pid: int, field: str) -> int:
    """A figure of /proc/PID/status in KiB, such as VmRSS or VmHWM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def cpu_seconds(pids: list[int]) -> float:
    """User and system time so far of processes, with the children that they waited for."""
    ticks = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            continue
        fields = stat.rsplit(")", 1)[1].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """A process and all below it that still live."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # the task ended meanwhile
            continue
        for child in children:
            found += descendants(int(child))
    return found
