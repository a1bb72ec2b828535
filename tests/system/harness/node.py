"""One Posthorse node as a process: its folder, its configuration, its start and its ends.

Contract  `Node(...)` writes configuration, password file and DKIM tables below one folder; `start`
          returns once /readyz says 200. `stop` is SIGTERM and expects exit code 0; `kill` is
          SIGKILL. A node may be started again on the same data as often as a test likes.
Bounds    The path of the admin socket fits sockaddr_un: the folder is /tmp/ph-XXXXXXXX by default.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from harness import toml_text, wait
from harness.certificates import Certificates, make
from harness.ports import free_port
from harness.processes import Process, descendants, status_kib

BINARY = Path(os.environ.get("POSTHORSE", "build/daemon/posthorse")).absolute()
LOGIN, PASSWORD = "rider@posthorse.test", "a-fresh-horse"
INCOMPLETE = 75  # the exit code of a command that did not reach the whole queue
LISTENERS = {"submission": "submission", "submissions": "submissions", "mx": "mx"}


def merged(base: dict, changes: dict) -> dict:
    """`base` with `changes` laid over it, table by table."""
    out = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def answer_of(*arguments: str, stdin: str = "",
              timeout_s: float = 60) -> subprocess.CompletedProcess:
    """A command of the binary, whatever it says."""
    return subprocess.run([str(BINARY), *arguments], input=stdin, capture_output=True, text=True,
                          timeout=timeout_s, check=False)


def run_posthorse(*arguments: str, stdin: str = "", timeout_s: float = 60) -> str:
    """A command of the binary; its standard output. Raises with its message when it fails."""
    answer = answer_of(*arguments, stdin=stdin, timeout_s=timeout_s)
    if answer.returncode:
        kind = IncompleteError if answer.returncode == INCOMPLETE else AssertionError
        raise kind(f"posthorse {' '.join(arguments)} exited {answer.returncode}: "
                   f"{answer.stderr.strip() or answer.stdout.strip()}")
    return answer.stdout


class IncompleteError(OSError):
    """A part of the queue did not answer, as when it is just changing its owner: ask again."""


class GoneError(AssertionError):
    """The process that was asked for has ended."""


class Node:
    def __init__(self, settings: dict | None = None, folder: Path | None = None,
                 certificates: Certificates | None = None,
                 address: str = "127.0.0.1") -> None:
        self.address = address
        self.folder = folder or Path(tempfile.mkdtemp(prefix="ph-", dir="/tmp"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificates = certificates or make(self.folder / "tls")
        self.ports = {name: free_port() for name in LISTENERS}
        self.http_port = free_port()
        self.config = self.folder / "posthorse.toml"
        self.log = self.folder / "node.log"
        self.data = self.folder / "data"
        self._process: Process | None = None
        self._removes_folder = folder is None
        self.write_config(settings or {})

    def __enter__(self) -> "Node":
        return self.start()

    def __exit__(self, kind, *_) -> None:
        if self._process and self._process.running():
            if kind is None:
                self.stop()
            else:
                self.kill()
        if kind is not None:
            print(f"node's folder is kept: {self.folder}; last lines of its log:\n{self.tail()}")
        elif self._removes_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write_config(self, settings: dict) -> None:
        (self.folder / "passwd").touch(mode=0o600)
        self.config.write_text(toml_text.dumps(merged(self._defaults(), settings)))

    def _defaults(self) -> dict:
        return {
            "host_name": "node.posthorse.test",
            "data_dir": self.data,
            "listener": [{"name": name, "kind": kind, "address": self.address,
                          "port": self.ports[name]} for name, kind in LISTENERS.items()],
            "tls": {"certificate_file": self.certificates.chain,
                    "key_file": self.certificates.key},
            "auth": {"password_file": self.folder / "passwd", "failure_delay": "100ms"},
            # Nothing listens on the discard port: a lookup that was forgotten fails at once.
            "delivery": {"dns_servers": ["127.0.0.1:9"], "private_addresses": True},
            "admin": {"socket": self.folder / "admin.sock"},
            "http": {"address": self.address, "port": self.http_port},
        }

    def add_user(self, login: str = LOGIN, password: str = PASSWORD) -> None:
        run_posthorse("user", "add", login, "--password-stdin", "--config", str(self.config),
                      stdin=password + "\n")

    def start(self, wrapper: Iterable[str] = (), timeout_s: float = 60) -> "Node":
        """Starts the node, below `wrapper` (a tracer) when given, and waits until it is ready."""
        self.launch(wrapper)
        wait.until(self._ready_or_dead, f"the node is ready; see {self.log}", timeout_s)
        if not self._process.running():
            code = self._process.wait(1)
            raise AssertionError(f"the node ended with {code} before it was ready:\n{self.tail()}")
        return self

    def launch(self, wrapper: Iterable[str] = ()) -> None:
        if self.running():
            raise AssertionError(f"a node runs already on {self.folder}")
        command = [*wrapper, str(BINARY), "serve", "--config", str(self.config)]
        self._process = Process(command, self.log)

    def _ready_or_dead(self) -> bool:
        return not self._process.running() or self.ready()

    def ready(self) -> bool:
        return self.http("/readyz")[0] == 200

    def running(self) -> bool:
        return self._process is not None and self._process.running()

    @property
    def pid(self) -> int:
        """Of the node itself, not of what wraps it."""
        def own() -> int | None:
            for pid in descendants(self._process.pid):
                with contextlib.suppress(OSError):  # it ends meanwhile
                    if Path(f"/proc/{pid}/exe").resolve() == BINARY.resolve():
                        return pid
            return None

        found = wait.until(lambda: own() or (None if self.running() else -1),
                           "the process runs the node", 10)
        if found < 0:
            raise GoneError("the node does not run")
        return found

    def stop(self, timeout_s: float = 60) -> None:
        if not self.stop_or_killed(timeout_s):
            raise AssertionError(f"the node was killed while it stopped:\n{self.tail()}")

    def exit_code(self, timeout_s: float = 60) -> int:
        """Once it has ended; a signal is its number below zero."""
        return self._process.wait_or_kill(timeout_s)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        """SIGTERM; `wait_ended` waits for what comes of it."""
        with contextlib.suppress(ProcessLookupError, GoneError):
            os.kill(self.pid, signal.SIGTERM)

    def stop_or_killed(self, timeout_s: float = 60) -> bool:
        """SIGTERM to a node that may be killed meanwhile; whether it stopped by itself."""
        self.terminate()
        return self.wait_ended(timeout_s)

    def wait_ended(self, timeout_s: float = 60) -> bool:
        """After a signal: whether it stopped by itself, with exit code 0, or was killed."""
        code = self.exit_code(timeout_s)
        if code not in (0, -signal.SIGKILL):
            raise AssertionError(f"the node ended with {code}:\n{self.tail()}")
        return code == 0

    def wait_dead(self, timeout_s: float = 60) -> None:
        """After something else killed it."""
        wait.until(lambda: not self._process.running(), "the node is dead", timeout_s)

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def logged(self, text: str) -> str:
        """The log, once it has the text: lines are written together, a moment later."""
        def read() -> str:
            log = self.log.read_text(encoding="utf-8", errors="replace")
            return log if text in log else ""

        return wait.until(read, f"the log has '{text}'", 10)

    def tail(self, lines: int = 30) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def http(self, path: str) -> tuple[int, str]:
        url = f"http://{self.address}:{self.http_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name with labels."""
        lines = self.http("/metrics")[1].splitlines()
        samples = [line.rsplit(" ", 1) for line in lines if line[:1] not in ("", "#")]
        return {name: float(value) for name, value in samples}

    def cli(self, *arguments: str) -> str:
        return run_posthorse("--config", str(self.config), *arguments)

    def queue(self, *filters: str) -> list[dict]:
        """`queue ls --json`: one object a line."""
        lines = self.cli("queue", "ls", "--json", *filters).splitlines()
        return [json.loads(line) for line in lines]

    def queue_and_missing(self, *filters: str) -> tuple[list[dict], list[dict]]:
        """The same, when parts of the pool's queue may be out of reach, and which are."""
        return self._whole_or_not("queue", "ls", "--json", *filters)

    def summary_and_missing(self, *filters: str) -> tuple[dict, list[dict]]:
        """`queue summary --json`, likewise."""
        [summary], missing = self._whole_or_not("queue", "summary", "--json", *filters)
        return summary, missing

    def _whole_or_not(self, *arguments: str) -> tuple[list[dict], list[dict]]:
        """What is on standard output, and what on standard error."""
        answer = answer_of("--config", str(self.config), *arguments)
        if answer.returncode not in (0, INCOMPLETE):
            raise AssertionError(f"posthorse {' '.join(arguments)} exited {answer.returncode}: "
                                 f"{answer.stderr.strip()}")
        missing = [json.loads(line)["missing"] for line in answer.stderr.splitlines()
                   if line.startswith("{")]
        return [json.loads(line) for line in answer.stdout.splitlines()], missing

    def status(self) -> dict:
        """`status --json`: messages, active, attempts_in_doubt and more."""
        return json.loads(self.cli("status", "--json"))

    def memory_kib(self, field: str = "VmRSS") -> int:
        return status_kib(self.pid, field)


def routes_to(ports: dict[str, int]) -> dict:
    """Settings by which each domain goes to a port of this machine, without a lookup."""
    return {"delivery": {"route": [{"domain": domain, "next_hop": f"smtp:[127.0.0.1]:{port}"}
                                   for domain, port in ports.items()]}}


# Settings by which this machine may submit on the port of kind `mx` without TLS and login: for
# loads that know neither.
TRUSTING = {"intake": {"trusted_networks": ["127.0.0.0/8"], "sessions_per_client_max": 1000}}
