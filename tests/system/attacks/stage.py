"""The nodes that are attacked, what stands around them, and the oracle asked after each row.

Stage     `main` has every door at its usual limits, and a peer and an admin port; `hasty` has short
          patience, few places and a pause before its greeting; mail of both goes to `sink`.
Oracle    After a row the node lives, has as few sessions and files open as before, little more
          memory, no raw control octet in its log, no more messages accepted than the row says, and
          it serves others at once.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from harness import wait
from harness.node import LOGIN, Node, merged, routes_to
from harness.peer import Identity
from harness.pool import Authority
from harness.ports import free_port
from harness.recording_sink import RecordingSink, stripped

from attacks.rows import MX, SUBMISSION, SUBMISSIONS
from attacks.talker import TAKER, TRUSTED_ADDRESS, Talker, wants

MEMORY_GROWTH_MAX_KIB = 64 * 1024        # what the heap keeps for the next messages
MEMORY_GROWTH_MAX_FULL_KIB = 128 * 1024  # and after hundreds of the largest at once
FILES_SLACK = 12  # of the store and of connections out, which stay open for a while
CANARY_MAX_S = 2
CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
ACCEPTED = "posthorse_messages_accepted_total"
LIMITS = {"message_bytes_max": 1_000_000, "header_bytes_max": 262_144}
INTAKE = {"relay_domains": ["sink.test"], "trusted_networks": [f"{TRUSTED_ADDRESS}/32"],
          "sessions_per_client_max": 500}


class Stage:
    def __init__(self, full: bool) -> None:
        self.full = full
        self.sink = RecordingSink(keep_content=True)
        self.main = Node()
        self.authority = Authority(self.main.folder / "pool-ca")
        self.operators = Authority(self.main.folder / "operators-ca")
        self.peer_port, self.admin_port = free_port(), free_port()
        self.hasty = Node()
        self.configure()
        self._numbers = iter(range(1, 1 << 30))
        self._issued: dict[tuple[Path, str], dict[str, Path]] = {}

    def configure(self) -> None:
        route = routes_to({"sink.test": self.sink.port})
        certificate = self.authority.issue("pool")
        operator = self.operators.issue("node", "127.0.0.1")
        self.main.write_config(merged(route, {
            "auth": {"failure_delay": "1ms", "failures_per_client_max": 0,
                     "failures_per_login_max": 0, "mechanisms": ["PLAIN", "LOGIN"]},
            "intake": INTAKE, "limits": LIMITS, "queue": {"write_buffer_bytes": "8MiB"},
            "pool": {**certificate, "join": [f"127.0.0.1:{self.peer_port}"], "expect": 1,
                     "address": "127.0.0.1", "port": self.peer_port, "name": "n1"},
            "admin": {"socket": self.main.folder / "admin.sock", "address": "127.0.0.1",
                      "port": self.admin_port, **operator, "readers": ["rita"],
                      "operators": ["olga"], "admins": ["ann"]}}))
        self.hasty.write_config(merged(route, {
            "listener": [{"name": name, "kind": name, "address": "127.0.0.1",
                          "port": self.hasty.ports[name],
                          "greet_pause": "0s" if name == SUBMISSIONS else "300ms"}
                         for name in (SUBMISSION, SUBMISSIONS, MX)],
            "auth": {"failure_delay": "1ms", "failures_per_client_max": 4},
            "intake": {**INTAKE, "sessions_max": 40, "sessions_per_client_max": 30},
            "limits": LIMITS,
            "timeouts": {"server_command": "1s", "server_data": "1s", "tls_handshake": "1s"}}))
        for node in (self.main, self.hasty):
            node.add_user()

    def __enter__(self) -> "Stage":
        self.sink.__enter__()
        self.main.__enter__()
        self.hasty.__enter__()
        return self

    def __exit__(self, *outcome) -> None:
        self.hasty.__exit__(*outcome)
        self.main.__exit__(*outcome)
        self.sink.__exit__(*outcome)

    # ------------------------------------------------------------------ for trials

    def talk(self, door: str, **options) -> Talker:
        return Talker(self.main, door, **options)

    def pool_member(self) -> Identity:
        """Of a bearer of the pool's certificate."""
        return self._identity(self.authority, "member")

    def operator(self, name: str) -> Identity:
        return self._identity(self.operators, name, name)

    def _identity(self, authority: Authority, prefix: str, *names: str) -> Identity:
        key = (authority.folder, prefix)
        if key not in self._issued:
            self._issued[key] = authority.issue(prefix, *names)
        return Identity.of(self._issued[key])

    def message(self, body: bytes = b"text\r\n", fields: bytes = b"") -> tuple[str, bytes]:
        """A message that lacks no field, and its id."""
        identity = f"{next(self._numbers)}.{os.getpid()}@attacks.test"
        return identity, (b"Date: Thu, 26 Nov 2026 07:00:00 +0000\r\nMessage-ID: <" +
                          identity.encode() + b">\r\nFrom: " + LOGIN.encode() + b"\r\n" + fields +
                          b"\r\n" + body)

    def arrived(self, identity: str) -> bytes:
        """What the server behind the node got, without the trace on top."""
        wait.until(lambda: identity in self.sink.contents, f"{identity} arrives", 20)
        return stripped(self.sink.contents[identity])

    def send(self, door: str, wire: bytes) -> str:
        """Data as they are, with their end; the reply."""
        with self.talk(door).hello().data() as client:
            client.write(wire)
            return client.reply()


class Oracle:
    """How a node is before the first attack, and whether it is so again."""

    def __init__(self, stage: Stage, node: Node) -> None:
        self._stage, self._node = stage, node
        self.canary()
        self.calm()
        self._files, self._memory_kib = self.files(), node.memory_kib()
        self.peak_kib, self.files_most, self.canary_most_s = self._memory_kib, self._files, 0.0

    def accepted(self) -> int:
        return int(self._node.metrics()[ACCEPTED])

    def files(self) -> int:
        """Connections, and what is open else but the store's own files."""
        found = 0
        for one in Path(f"/proc/{self._node.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it is closed meanwhile
                found += not os.readlink(one).startswith(str(self._node.data))
        return found

    def calm(self) -> bool:
        metrics = self._node.metrics()
        return metrics["posthorse_smtp_sessions"] == 0

    def guard(self, attack: Callable[[], int | None]) -> None:
        """Runs an attack, and raises with what it left behind."""
        before, log_at = self.accepted(), self._node.log.stat().st_size
        allowed = attack() or 0
        node = self._node
        if not node.running():
            raise AssertionError(f"the node ended:\n{node.tail()}")
        wait.until(self.calm, "every session is over", 30)
        got = self.accepted() - before
        if got != allowed:
            raise AssertionError(f"{got} messages were accepted, not {allowed}")
        self.canary_most_s = max(self.canary_most_s, self.canary())
        wait.until(lambda: self.files() <= self._files + FILES_SLACK,
                   f"files are closed again ({self._files} before, {self.files()} now)", 30)
        self.judge_log(node.log, log_at)
        self.peak_kib = max(self.peak_kib, node.memory_kib())
        self.memory_returns()

    def memory_returns(self) -> None:
        """What the heap keeps of freed memory it gives back in the course of seconds."""
        most = MEMORY_GROWTH_MAX_FULL_KIB if self._stage.full else MEMORY_GROWTH_MAX_KIB
        wait.until(lambda: self._node.memory_kib() <= self._memory_kib + most,
                   f"memory is back at {self._memory_kib} KiB and {most} more, from "
                   f"{self._node.memory_kib()}", 30)

    @staticmethod
    def judge_log(log: Path, since: int) -> None:
        with log.open("rb") as file:
            file.seek(since)
            found = CONTROLS.search(file.read())
        if found:
            raise AssertionError(f"a raw octet {found[0]!r} is in the log")

    def canary(self) -> float:
        """Somebody else's mail, all the while: seconds."""
        began = time.monotonic()
        with Talker(self._node, MX, source="127.0.0.3") as client:
            client.expect("EHLO other.test", "250")
            client.expect("MAIL FROM:<other@elsewhere.test>", "250")
            client.expect(f"RCPT TO:<{TAKER}>", "250")
            client.expect("RSET", "250")
            wants(client.say("QUIT"), "221")
        took = time.monotonic() - began
        if took > CANARY_MAX_S:
            raise AssertionError(f"another client waited {took:.1f} s")
        return took

    def figures(self) -> str:
        return (f"memory {self._memory_kib // 1024} -> {self.peak_kib // 1024} MiB, "
                f"others served in {self.canary_most_s * 1000:.0f} ms at most")
