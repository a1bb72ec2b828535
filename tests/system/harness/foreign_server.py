"""What the mail servers of others have in common, as a test uses them.

Contract  `with NAME(certificates, relay_port) as server` runs one on `server.port`, in a root of
          its own. It takes all mail for `domain` and for domains below it, but for the local part
          `nobody`, into `taken()`; all other mail goes to `relay_port`, over TLS when that offers
          it. It takes RECIPIENTS_MAX recipients at once, offers every extension that it knows, and
          asks no DNS but the test's.
Errors    Needs root, as ForeignRoot does.
"""

import contextlib
import re
import shutil
import smtplib
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

from harness import wait
from harness.certificates import Certificates
from harness.foreign_root import ForeignRoot
from harness.ports import free_port, is_open
from harness.processes import Process

RECIPIENTS_MAX = 300
TAKEN = "/var/mail-taken"
FILES = "/etc/peer"  # certificate and key inside the root
UNKNOWN_USER = "nobody"
OWNER = 5000  # of the maildir
# What servers put on top when they deliver; the Received below it is their own.
ON_DELIVERY = (rb"\A(?:(?:Return-Path|X-Original-To|Delivered-To|Envelope-to|Delivery-date)"
               rb": [^\n]*\n(?:[ \t][^\n]*\n)*)+")


class ForeignServer(ABC):
    name: str
    packages: tuple[str, ...]
    selections = ""
    # Whether it ends a transaction, without those that were taken, when many recipients in a row
    # are put off.
    gives_up_on_refusals = False

    def __init__(self, certificates: Certificates, relay_port: int, dns_address: str) -> None:
        self.domain = f"{self.name}.test"
        self.port = free_port()
        self._certificates, self.relay_port, self._dns = certificates, relay_port, dns_address
        self.root = ForeignRoot(self.name, self.packages, self.selections)
        self._process: Process | None = None

    def __enter__(self) -> "ForeignServer":
        self.root.__enter__()
        try:
            self._prepare()
            self.configure()
            self.start()
        except BaseException:
            self.__exit__(None)
            raise
        return self

    def __exit__(self, kind, *_) -> None:
        if kind:
            print(f"the last that {self.name} says:\n{self.log()[-3000:]}")
        if self.running():
            with contextlib.suppress(subprocess.SubprocessError):
                self.stop()
        self.root.__exit__()

    def _prepare(self) -> None:
        self.write("/etc/resolv.conf", f"nameserver {self._dns}\noptions timeout:1 attempts:1\n")
        self.write(f"{FILES}/server.pem", self._certificates.chain.read_text())
        self.write(f"{FILES}/server.key", self._certificates.key.read_text(), mode=0o600)
        with self.path("/etc/passwd").open("a", encoding="utf-8") as passwd:
            passwd.write(f"taker:x:{OWNER}:{OWNER}::{TAKEN}:/bin/sh\n")
        with self.path("/etc/group").open("a", encoding="utf-8") as group:
            group.write(f"taker:x:{OWNER}:\n")
        shutil.rmtree(self.path(TAKEN), ignore_errors=True)
        self.path(TAKEN).mkdir()
        self.root.run("chown", "taker:taker", TAKEN)

    def path(self, inside: str) -> Path:
        return self.root.path / inside.lstrip("/")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def start(self) -> None:
        self._process = Process(self.root.command(*self.command()), self.output)
        try:
            wait.until(lambda: is_open(self.port), f"{self.name} listens on {self.port}")
        except AssertionError:
            print(f"{self.name} says:\n{self.log()[-3000:]}")
            raise

    def stop(self) -> None:
        self._process.stop(20)

    def running(self) -> bool:
        return self._process is not None and self._process.running()

    @property
    def output(self) -> Path:
        """Standard output, outside of the root."""
        return self.root.path.parent / f"{self.name}.log"

    def log(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def taken(self) -> list[bytes]:
        """What was delivered, with CRLF and without the fields that the delivery put on top."""
        return [_as_it_came(path.read_bytes()) for path in self.path(TAKEN).rglob("new/*")]

    def offer(self) -> dict[str, str]:
        """The keywords of its EHLO, in lower case, with their parameters."""
        with smtplib.SMTP("127.0.0.1", self.port, "client.test", timeout=60) as client:
            client.ehlo()
            return dict(client.esmtp_features)

    def flush(self) -> None:
        """Tries all that waits, now."""
        self.root.run(*self.flush_command())

    @abstractmethod
    def configure(self) -> None:
        """Writes what it reads at its start."""

    @abstractmethod
    def command(self) -> list[str]:
        """Runs it in the foreground."""

    @abstractmethod
    def version(self) -> str:
        """As it says itself."""

    @abstractmethod
    def flush_command(self) -> list[str]:
        """Tries all that waits, whenever it is due."""

    @abstractmethod
    def queue_length(self) -> int:
        """Messages that wait."""


def _as_it_came(text: bytes) -> bytes:
    text = re.sub(ON_DELIVERY, b"", text)
    text = re.sub(rb"\AReceived: [^\n]*\n(?:[ \t][^\n]*\n)*", b"", text)
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
