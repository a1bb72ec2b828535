"""An etcd of one or more members, each on a host of its own, as Debian has it.

Contract  `Etcd(hosts, folder)` makes certificates and knows the endpoints; members run from
          `start` on. All talk TLS and ask every client for a certificate of their authority. What
          etcd says comes from `etcdctl`. A member's id as a process stays while it is paused.
          `snapshot` and `restore` are etcd's own: what is restored is a new etcd with old content.
Owner     pool.py; at the end all members are killed.
Bounds    Needs the packages etcd-server and etcd-client. The service that the first may have
          started is on loopback, and nobody here asks it.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

from harness import wait
from harness.certificates import make
from harness.network import Host
from harness.processes import Process

CLIENT_PORT, PEER_PORT = 2379, 2380
PREFIX = "/posthorse/pool"
ANSWER_S = 30  # until a member that starts serves


class CtlError(AssertionError):
    """What etcdctl failed at, and why."""


class EtcdMember:
    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.name = folder.name
        self.folder = folder
        self.folder.mkdir(parents=True)
        self._disks = 0
        self._process: Process | None = None
        self.fresh_disk()

    @property
    def endpoint(self) -> str:
        return f"https://{self.host.address}:{CLIENT_PORT}"

    @property
    def peer_url(self) -> str:
        return f"https://{self.host.address}:{PEER_PORT}"

    def fresh_disk(self) -> None:
        """The next start is on an empty one, unless something is put there."""
        self._disks += 1
        self.data = self.folder / f"data-{self._disks}"

    def launch(self, options: list[str]) -> None:
        command = [*self.host.wrapper, "etcd", "--name", self.name, "--data-dir", str(self.data),
                   "--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint,
                   "--listen-peer-urls", self.peer_url,
                   "--initial-advertise-peer-urls", self.peer_url,
                   "--logger", "zap", "--log-outputs", "stderr", *options]
        self._process = Process(command, self.folder / "etcd.log")

    def running(self) -> bool:
        return self._process is not None and self._process.running()

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    def pause(self) -> None:
        self._process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.signal(signal.SIGCONT)

    def tail(self, lines: int = 5) -> str:
        log = self.folder / "etcd.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Etcd:
    def __init__(self, hosts: Iterable[Host], folder: Path) -> None:
        self.folder = folder
        self.members = [EtcdMember(host, folder / f"e{number}")
                        for number, host in enumerate(hosts, 1)]
        names = [f"IP:{member.host.address}" for member in self.members]
        self.certificates = make(folder / "tls", *names)
        self._incarnation = 1  # of etcd: a restored one is another

    @property
    def hosts(self) -> list[Host]:
        return [member.host for member in self.members]

    @property
    def settings(self) -> dict:
        """As [pool] of a node on it."""
        tls = self.certificates
        return {"control": "etcd",
                "etcd": {"endpoints": [member.endpoint for member in self.members],
                         "prefix": PREFIX, "ca_file": tls.ca, "certificate_file": tls.chain,
                         "key_file": tls.key}}

    # ------------------------------------------------------------------ its life

    def start(self) -> None:
        self.launch()
        self.serves()

    def launch(self, members: Iterable[EtcdMember] | None = None) -> None:
        for member in self.members if members is None else members:
            if not member.running():
                member.launch(self._options(joins=False))

    def close(self) -> None:
        for member in self.members:
            member.kill()

    def serves(self, members: Iterable[EtcdMember] | None = None) -> None:
        """Waits until these, or all, answer linearizable reads."""
        for member in self.members if members is None else members:
            wait.until(lambda member=member: self._answers(member), f"etcd's {member.name} serves",
                       ANSWER_S, every_s=0.1)

    def leader(self) -> EtcdMember:
        return wait.until(self._leader, "etcd has a leader", ANSWER_S, every_s=0.1)

    def followers(self) -> list[EtcdMember]:
        leader = self.leader()
        return [member for member in self.members if member is not leader]

    def replace(self, member: EtcdMember) -> None:
        """By a new one with an empty disk, as etcd's manual says."""
        others = [one for one in self.members if one is not member]
        # Members are not changed before all have been in touch for some seconds.
        wait.until(lambda: self._removed(member, others), f"{member.name} is removed", ANSWER_S,
                   every_s=0.1)
        member.kill()
        self.in_time("member", "add", member.name, f"--peer-urls={member.peer_url}", at=others)
        member.fresh_disk()
        member.launch(self._options(joins=True))
        self.serves([member])

    # ------------------------------------------------------------------ what it holds

    def snapshot(self) -> Path:
        path = self.folder / "snapshot"
        path.unlink(missing_ok=True)
        self.ctl("snapshot", "save", str(path), at=self.members[:1])
        return path

    def restore(self, snapshot: Path) -> None:
        """All members go, and new ones with the content of the snapshot come in their places."""
        self._begin_anew()
        for member in self.members:
            self._run(["etcdctl", "snapshot", "restore", str(snapshot), "--name", member.name,
                       "--data-dir", str(member.data), *self._cluster(),
                       "--initial-advertise-peer-urls", member.peer_url])
        self.start()

    def empty(self) -> None:
        """The same, without any content."""
        self._begin_anew()
        self.start()

    def compact(self) -> None:
        """History up to now is gone: who watches from before must read anew."""
        self._compact(self.leader())

    def compact_if_possible(self) -> None:
        """The same while members may be in trouble."""
        if leader := self._leader():
            with contextlib.suppress(CtlError):
                self._compact(leader)

    def keys(self) -> list[str]:
        return self.ctl("get", f"{PREFIX}/", "--prefix", "--keys-only").split()

    def in_time(self, *arguments: str, at: Iterable[EtcdMember] | None = None) -> str:
        """The same, again and again until it succeeds: what is in the way is about to end."""
        done: list[str] = []

        def succeeds() -> bool:
            try:
                done.append(self.ctl(*arguments, at=at))
            except CtlError:
                return False
            return True

        wait.until(succeeds, f"etcdctl {' '.join(arguments)}", ANSWER_S, every_s=0.1)
        return done[0]

    def ctl(self, *arguments: str, at: Iterable[EtcdMember] | None = None) -> str:
        """A command of etcdctl at these members, or at those that run."""
        asked = [one for one in self.members if one.running()] if at is None else at
        tls = self.certificates
        return self._run(["etcdctl", f"--endpoints={','.join(one.endpoint for one in asked)}",
                          f"--cacert={tls.ca}", f"--cert={tls.chain}", f"--key={tls.key}",
                          "--dial-timeout=1s", "--command-timeout=10s", *arguments])

    # ------------------------------------------------------------------ inside

    def _run(self, command: list[str]) -> str:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                                env={**os.environ, "ETCDCTL_API": "3"})
        if answer.returncode:
            raise CtlError(f"{' '.join(command)}: {answer.stderr.strip()}")
        return answer.stdout

    def _options(self, joins: bool) -> list[str]:
        tls = self.certificates
        return [*self._cluster(), "--initial-cluster-state", "existing" if joins else "new",
                "--cert-file", str(tls.chain), "--key-file", str(tls.key),
                "--trusted-ca-file", str(tls.ca), "--client-cert-auth",
                "--peer-cert-file", str(tls.chain), "--peer-key-file", str(tls.key),
                "--peer-trusted-ca-file", str(tls.ca), "--peer-client-cert-auth"]

    def _cluster(self) -> list[str]:
        members = ",".join(f"{one.name}={one.peer_url}" for one in self.members)
        return ["--initial-cluster", members,
                "--initial-cluster-token", f"posthorse-{self._incarnation}"]

    def _begin_anew(self) -> None:
        self._incarnation += 1
        for member in self.members:
            member.kill()
            shutil.rmtree(member.data, ignore_errors=True)
            member.fresh_disk()

    def _removed(self, member: EtcdMember, others: list[EtcdMember]) -> bool:
        """Of a removal whose answer was lost the list tells."""
        try:
            listed = json.loads(self.ctl("member", "list", "-w", "json", at=others))
            numbers = [one["ID"] for one in listed["members"] if one.get("name") == member.name]
            for number in numbers:
                self.ctl("member", "remove", f"{number:x}", at=others)
        except CtlError:
            return False
        return not numbers

    def _compact(self, leader: EtcdMember) -> None:
        [status] = json.loads(self.ctl("endpoint", "status", "-w", "json", at=[leader]))
        self.ctl("compact", str(status["Status"]["header"]["revision"]), at=[leader])

    def _answers(self, member: EtcdMember) -> bool:
        if not member.running():
            raise AssertionError(f"etcd's {member.name} has ended:\n{member.tail(20)}")
        try:
            self.ctl("endpoint", "health", at=[member])
        except CtlError:
            return False
        return True

    def _leader(self) -> EtcdMember | None:
        for member in self.members:
            if not member.running():
                continue
            try:
                text = self.ctl("endpoint", "status", "-w", "json", "--command-timeout=1s",
                                at=[member])
            except CtlError:
                continue
            status = json.loads(text)[0]["Status"]
            if status.get("leader") == status["header"]["member_id"]:
                return member
        return None
