"""The load generator and the sink of tests/bench, as processes.

Contract  `send` runs load_source to its end and returns what it printed; `Sending` runs one that
          goes on meanwhile. A `FloorSink` counts what it takes, and shows it at once.
"""

import json
import os
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness import wait
from harness.node import BINARY
from harness.ports import free_port, is_open
from harness.processes import Process

FOLDER = Path(os.environ.get("POSTHORSE_LOAD_TOOLS", BINARY.parents[1] / "tests/bench"))
COUNTS = ("messages", "recipients", "deferred", "bytes", "connections")


def tool(name: str) -> str:
    path = FOLDER / name
    if not path.exists():
        raise AssertionError(f"{path} is not built: ninja -C build tests/bench/{name}")
    return str(path)


@dataclass(frozen=True)
class Load:
    """What load_source is told; `messages` of `size_bytes` with the header."""

    port: int
    messages: int
    sessions: int = 50
    size_bytes: int = 4096
    kept: bool = True
    host: str = "127.0.0.1"
    options: tuple[str, ...] = ()

    def command(self) -> list[str]:
        return [tool("load_source"), "--host", self.host, "--port", str(self.port), "--messages",
                str(self.messages), "--sessions", str(self.sessions), "--size",
                str(self.size_bytes), "--kept" if self.kept else "--new", *self.options]

    def of(self, messages: int) -> "Load":
        return replace(self, messages=messages)


@dataclass(frozen=True)
class Sent:
    """What load_source printed."""

    messages: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_seconds: float
    connections: int
    resumed: int
    late_p99_ms: float
    first_failure: str

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


class Sending:
    """A load that goes on until `end`, or until all is sent."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._child = subprocess.Popen(load.command(), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> Sent:
        """Once what is under way has ended."""
        self._child.send_signal(signal.SIGTERM)
        return self.sent()

    def sent(self, timeout_s: float = 1200, failures_max: int | None = 0) -> Sent:
        try:
            output, errors = self._child.communicate(timeout=timeout_s)
        except BaseException:
            self.kill()
            raise
        if self._child.returncode:
            raise AssertionError(f"load_source exited {self._child.returncode}: {errors.strip()}")
        sent = Sent(**json.loads(output))
        if failures_max is not None and sent.failed > failures_max:
            raise AssertionError(f"{sent.failed} messages to port {self._load.port} failed; the "
                                 f"first: {sent.first_failure}")
        return sent

    def kill(self) -> None:
        self._child.kill()
        self._child.wait(30)


def send(load: Load, timeout_s: float = 1200) -> Sent:
    return Sending(load).sent(timeout_s)


def send_all(loads: list[Load]) -> list[Sent]:
    """At once."""
    return [one.sent() for one in [Sending(load) for load in loads]]


class FloorSink:
    """floor_sink; with `file` it keeps and syncs what it takes, without it only counts."""

    def __init__(self, file: Path | None = None, options: tuple[str, ...] = (),
                 host: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.host = host
        self._file, self._options = file, options
        self._process: Process | None = None

    def __enter__(self) -> "FloorSink":
        self._folder = tempfile.TemporaryDirectory(prefix="sink-", dir="/tmp")
        self._log, self._counts = (Path(self._folder.name) / name for name in ("log", "counts"))
        keeps = ["--file", str(self._file)] if self._file else []
        self._process = Process([tool("floor_sink"), "--host", self.host, "--port", str(self.port),
                                 "--counts", str(self._counts), *keeps, *self._options], self._log)
        wait.until(lambda: is_open(self.port, self.host), f"floor_sink listens on {self.port}")
        return self

    def __exit__(self, *_) -> None:
        if self._process.running():
            self._process.stop()
        self._folder.cleanup()

    @contextmanager
    def still(self) -> Iterator[None]:
        """It keeps its connections, and does nothing."""
        self._process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.signal(signal.SIGCONT)

    def stop(self) -> dict[str, float]:
        """What it printed at its end."""
        code = self._process.stop()
        text = self._log.read_text()
        if code:
            raise AssertionError(f"floor_sink exited {code}: {text}")
        return json.loads(text.splitlines()[-1])

    def counts(self) -> dict[str, int]:
        numbers = struct.unpack(f"={len(COUNTS)}Q", self._counts.read_bytes())
        return dict(zip(COUNTS, numbers))

    def count(self) -> int:
        return self.counts()["messages"]

    def wait_for(self, messages: int, timeout_s: float = 600) -> float:
        """Until it has taken so many in all: the moment."""
        wait.until(lambda: self.count() >= messages, f"{messages} messages arrive", timeout_s,
                   every_s=0.005)
        return time.monotonic()
