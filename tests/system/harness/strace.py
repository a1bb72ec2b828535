"""strace: death at a chosen system call, and the order of what was read, synced and written."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import wait
from harness.node import Node
from harness.processes import Process


def killing_at(number: int) -> list[str]:
    """Options by which strace kills at the n-th fdatasync of a thread."""
    return ["-o", "/dev/null", "-e", "trace=fdatasync", "-e",
            f"inject=fdatasync:signal=SIGKILL:when={number}"]


def _traced(pid: int) -> bool:
    """Whether a tracer holds every thread; a process that is gone needs no tracer."""
    try:
        texts = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status")]
    except FileNotFoundError:
        return False
    return all("TracerPid:\t0\n" not in text for text in texts)


@contextlib.contextmanager
def attached(node: Node, options: list[str]) -> Iterator[None]:
    """Traces a running node until it ends, or until the end of the `with`."""
    pid = node.pid
    with tempfile.NamedTemporaryFile(suffix=".strace") as log:
        tracer = Process(["strace", "-f", *options, "-p", str(pid)], Path(log.name))
        wait.until(lambda: _traced(pid) or not tracer.running(), "strace holds the node")
        if not tracer.running():
            raise AssertionError(f"strace could not attach: {Path(log.name).read_text()[-500:]}")
        try:
            yield
        finally:
            if tracer.running():
                tracer.stop()


@dataclass(frozen=True)
class Call:
    name: str
    fd: int
    text: str   # arguments and result as strace writes them
    result: int
    began: int  # line numbers of the trace
    ended: int


def parse(trace: str) -> list[Call]:
    """Completed calls, in the order of their ends; halves of interrupted lines are joined."""
    calls, open_calls = [], {}
    for number, line in enumerate(trace.splitlines()):
        matched = re.match(r"(\d+)\s+(?:<\.\.\. (\w+) resumed>)?(.*)$", line)
        if not matched:
            continue
        thread, resumed, text = matched.groups()
        began = number
        if resumed and thread in open_calls:
            began, text = open_calls[thread][0], open_calls.pop(thread)[1] + text
        if text.endswith("<unfinished ...>"):
            open_calls[thread] = (number, text.removesuffix("<unfinished ...>"))
            continue
        head = re.match(r"(\w+)\((\d+)", text)
        result = re.search(r"\)\s+= (-?\d+)[^)]*(?:\([^)]*\))?$", text)
        if head and result:
            calls.append(Call(head[1], int(head[2]), text, int(result[1]), began, number))
    return calls


READS = {"read", "readv", "recvfrom", "recvmsg"}
WRITES = {"write", "writev", "sendto", "sendmsg"}
SYNCS = {"fdatasync", "fsync"}
END_OF_DATA = r'\r\n.\r\n"'


def custody_faults(calls: list[Call]) -> tuple[int, list[str]]:
    """How many receipts (the 250 to an end of data) there are, and those without a sync before."""
    syncs = [call for call in calls if call.name in SYNCS and call.result == 0]
    waiting: dict[int, Call] = {}
    seen, faults = 0, []
    for call in calls:
        if call.name in READS and END_OF_DATA in call.text:
            waiting[call.fd] = call
        elif call.name in WRITES and call.fd in waiting and '"250' in call.text:
            end_of_data = waiting.pop(call.fd)
            seen += 1
            if not any(end_of_data.ended < s.began and s.ended < call.began for s in syncs):
                faults.append(f"trace line {call.began + 1}: {call.text[:200]}")
    return seen, faults
