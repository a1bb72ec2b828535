"""Postfix and its two load tools on loopback, out of a PostfixRoot."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import wait
from harness.certificates import Certificates
from harness.ports import free_port, is_open
from harness.postfix_root import PostfixRoot
from harness.processes import Process

# The first field of a message, when it is Received.
RECEIVED = re.compile(rb"\AReceived: [^\n]*\n(?:[ \t][^\n]*\n)*")

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One instance: own configuration and queue; `settings` are added to a minimal main.cf."""

    def __init__(self, root: PostfixRoot, spool: Path, settings: dict[str, str]) -> None:
        self.root = root
        self.port = free_port()
        self.name = f"test-{self.port}"
        self.config = f"/etc/postfix-{self.name}"
        self._spool = spool
        self._settings = self._base_settings() | settings
        self._process: Process | None = None

    def _base_settings(self) -> dict[str, str]:
        return {
            "compatibility_level": "3.6",
            "queue_directory": f"/var/spool/postfix-{self.name}",
            "data_directory": f"/var/lib/postfix-{self.name}",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "maillog_file": f"/var/log/postfix-{self.name}.log",
            "myhostname": "postfix.posthorse.test",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "mydestination": "",
            "alias_maps": "",
            "local_recipient_maps": "",
            "local_header_rewrite_clients": "",  # leave headers as they come
            "notify_classes": "",
            "disable_dns_lookups": "yes",
        }

    def __enter__(self) -> "Postfix":
        self.write_files()
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self) -> None:
        command = self.root.command("/usr/sbin/postfix", "-c", self.config, "start-fg")
        self._process = Process(command, self._spool.with_suffix(".log"))
        wait.until(lambda: is_open(self.port), f"Postfix listens on {self.port}")

    def stop(self) -> None:
        """Stops the master itself: what was started is a shell, and would leave it behind."""
        self.root.run("/usr/sbin/postfix", "-c", self.config, "stop")
        self._process.wait_or_kill(60)

    def running(self) -> bool:
        return self._process is not None and self._process.running()

    @property
    def pid(self) -> int:
        """Of the shell above the master."""
        return self._process.pid

    def master_pid(self) -> int:
        return int((self._spool / "pid/master.pid").read_text())

    def postconf(self) -> str:
        """`postconf -n`: what differs from Postfix's defaults."""
        return self.root.run("/usr/sbin/postconf", "-c", self.config, "-n")

    def version(self) -> str:
        return self.root.run("/usr/sbin/postconf", "-c", self.config, "-h", "mail_version").strip()

    def queue_length(self) -> int:
        listing = self.root.run("/usr/sbin/postqueue", "-c", self.config, "-j")
        return len(listing.splitlines())

    def log(self) -> str:
        path = self.root.path / self._settings["maillog_file"].lstrip("/")
        return path.read_text(errors="replace") if path.exists() else ""

    def write_files(self) -> None:
        self._spool.mkdir(parents=True, exist_ok=True)
        self.root.bind(self._spool, self._settings["queue_directory"])
        folder = self.root.path / self.config.lstrip("/")
        folder.mkdir(parents=True)
        (self.root.path / "var/lib" / f"postfix-{self.name}").mkdir()
        text = "".join(f"{name} = {value}\n" for name, value in self._settings.items())
        (folder / "main.cf").write_text(text)
        (folder / "master.cf").write_text(MASTER_CF.format(port=self.port))
        self.root.run("chown", "postfix:root", f"/var/lib/postfix-{self.name}")


def receiving_settings(certificates: Certificates, root: PostfixRoot) -> dict[str, str]:
    """A Postfix that takes postfix.test over TLS into a maildir, /var/mail-taken/all/."""
    folder = root.path / "etc/postfix-tls"
    folder.mkdir(exist_ok=True)
    (folder / "server.pem").write_bytes(certificates.chain.read_bytes())
    (folder / "server.key").write_bytes(certificates.key.read_bytes())
    taken = root.path / "var/mail-taken"
    taken.mkdir(exist_ok=True)
    os.chown(taken, 5000, 5000)
    return {
        "smtpd_tls_security_level": "encrypt",
        "smtpd_tls_chain_files": "/etc/postfix-tls/server.key, /etc/postfix-tls/server.pem",
        "smtpd_tls_loglevel": "1",
        "virtual_mailbox_domains": "postfix.test",
        "virtual_mailbox_base": "/var/mail-taken",
        "virtual_mailbox_maps": "static:all/",
        "virtual_uid_maps": "static:5000",
        "virtual_gid_maps": "static:5000",
        "message_size_limit": "104857600",
        "mailbox_size_limit": "0",
        "virtual_mailbox_limit": "0",
    }


def taken_messages(root: PostfixRoot) -> list[bytes]:
    """What the receiving Postfix delivered, with CRLF and without the fields it put on top."""
    files = (root.path / "var/mail-taken").glob("all/new/*")
    return [_without_delivery_fields(path.read_bytes()) for path in files]


def _without_delivery_fields(text: bytes) -> bytes:
    """Its own Received is the first one; those below are the sender's."""
    text = re.sub(rb"\A(?:(?:Return-Path|X-Original-To|Delivered-To): [^\n]*\n)*", b"", text)
    return re.sub(RECEIVED, b"", text).replace(b"\n", b"\r\n")


class SmtpSink:
    """Postfix's smtp-sink: takes everything, fast, and counts; keeps it when `dump` is set."""

    def __init__(self, root: PostfixRoot, log: Path, options: tuple[str, ...] = (),
                 dump: bool = False, host: str = "127.0.0.1") -> None:
        self.port = free_port()
        self._host = host
        self._folder = f"/var/sink-{self.port}"
        self._root, self._log = root, log
        self._options = list(options) + (["-d", f"{self._folder}/%s."] if dump else [])
        self._process: Process | None = None

    def __enter__(self) -> "SmtpSink":
        folder = self._root.path / self._folder.lstrip("/")
        folder.mkdir()
        folder.chmod(0o777)
        command = ["/usr/sbin/smtp-sink", "-c", "-u", "nobody", *self._options,
                   f"{self._host}:{self.port}", "1000"]
        self._log.unlink(missing_ok=True)
        self._process = Process(self._root.command(*command), self._log)
        wait.until(lambda: is_open(self.port), f"smtp-sink listens on {self.port}")
        return self

    def __exit__(self, *_) -> None:
        self._process.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def count(self) -> int:
        """Messages taken so far: the last `mesg=` of its running counters."""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 200))
            counters = re.findall(rb"mesg=\s*(\d+)\s", log.read())
        return int(counters[-1]) if counters else 0

    def messages(self) -> list[bytes]:
        """What was dumped, with CRLF and without the fields that smtp-sink puts on top."""
        files = (self._root.path / self._folder.lstrip("/")).iterdir()
        return [_without_sink_fields(path.read_bytes()) for path in sorted(files)]


def _without_sink_fields(text: bytes) -> bytes:
    """smtp-sink ends every dump with an empty line of its own."""
    text = re.sub(RECEIVED, b"", re.sub(rb"\A(?:X-[\w-]+: [^\n]*\n)*", b"", text))
    return text.removesuffix(b"\n").replace(b"\n", b"\r\n")


@dataclass(frozen=True)
class Load:
    messages: int
    sessions: int
    size_bytes: int = 4096
    kept: bool = False  # many messages in one connection, or a connection for each
    sender: str = "load@posthorse.test"
    recipient: str = "taker@sink.test"
    host: str = "127.0.0.1"


def smtp_source(root: PostfixRoot, port: int, load: Load, timeout_s: float = 600) -> None:
    """Runs smtp-source to its end; raises when it reports anything."""
    command = ["/usr/sbin/smtp-source", "-4", *(["-d"] if load.kept else []), "-m",
               str(load.messages), "-s", str(load.sessions), "-l", str(load.size_bytes), "-f",
               load.sender, "-t", load.recipient, f"{load.host}:{port}"]
    answer = subprocess.run(root.command(*command), capture_output=True, text=True, check=False,
                            timeout=timeout_s, stdin=subprocess.DEVNULL)
    if answer.returncode or "fatal" in answer.stderr:
        raise AssertionError(f"smtp-source to port {port} failed: {answer.stderr[-2000:]}")
