"""Hosts of their own for nodes: network namespaces on one switch, whose links a test cuts.

Contract  A host has one address; all hosts and this process (`gateway`) reach each other, and
          nothing reaches the outside. A cut drops packets where they arrive, by the address of
          their sender: so it has a direction, and standing connections fall silent. A reset
          answers them, so that they end at once. This process is never cut off.
Owner     `with Network(3)`. Everything goes at the end of it, or at exit; what a run that was
          killed left behind, its processes among it, goes when the next network begins: names
          carry the id of the process that made them.
Bounds    Needs root, `ip` and `nft`.
"""

import atexit
import contextlib
import itertools
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness import wait

PREFIX = "phn"
NAME = re.compile(PREFIX + r"(\d+)-")
HUB_ADDRESS, FIRST_ADDRESS = 1, 11
HOSTS_MAX = 200

# Senders whose packets a host drops, and those whose connections it resets.
RULES = ("table inet cut { set senders { type ipv4_addr; }; set refused { type ipv4_addr; }; "
         "chain arriving { type filter hook input priority 0; ip saddr @senders drop; "
         "ip saddr @refused tcp flags & rst == 0 reject with tcp reset; }; }")

_numbers = itertools.count(1)


def _run(command: list[str], text: str = "") -> str:
    answer = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise AssertionError(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout


def _ip(lines: Iterable[str]) -> None:
    _run(["ip", "-batch", "-"], "\n".join(lines) + "\n")


@dataclass(frozen=True)
class Host:
    name: str       # of its namespace
    address: str

    @property
    def wrapper(self) -> list[str]:
        """Before a command that shall run on this host; replaced by it, so the id stays."""
        return ["ip", "netns", "exec", self.name]


def namespaces() -> list[str]:
    return [line.split()[0] for line in _run(["ip", "netns", "list"]).splitlines() if line.strip()]


def remove_namespace(name: str) -> None:
    """With the processes in it, by their ids."""
    for pid in _run(["ip", "netns", "pids", name]).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    wait.until(lambda: not _run(["ip", "netns", "pids", name]).split(), f"{name} is empty")
    _run(["ip", "netns", "delete", name])


def remove_left_overs() -> None:
    """Of runs whose process is gone."""
    for name in namespaces():
        made = NAME.match(name)
        if made and not Path(f"/proc/{made[1]}").exists():
            with contextlib.suppress(AssertionError):  # another run may do the same just now
                remove_namespace(name)


def _free_subnet() -> str:
    """The first three numbers of a /24 that this machine does not know, never the same twice."""
    known = _run(["ip", "-4", "address"]) + _run(["ip", "-4", "route"])
    first = os.getpid() + next(_numbers)
    for number in range(first, first + 10000):
        subnet = f"10.{100 + number // 250 % 100}.{number % 250}"
        if f"{subnet}." not in known:
            return subnet
    raise AssertionError("this machine knows every network of 10.100.0.0 to 10.199.249.0")


class Network:
    def __init__(self, size: int) -> None:
        if not 0 < size <= HOSTS_MAX:
            raise ValueError(f"1 to {HOSTS_MAX} hosts, not {size}")
        remove_left_overs()
        self._subnet = _free_subnet()
        self._prefix = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        self._hub = f"{self._prefix}-hub"
        self.gateway = f"{self._subnet}.{HUB_ADDRESS}"
        self.hosts: list[Host] = []
        self._cut: set[tuple[Host, Host]] = set()  # from, to
        self._reset: set[tuple[Host, Host]] = set()
        self._in_force: dict[tuple[Host, str], frozenset[str]] = {}  # by nft's set
        atexit.register(self.close)
        self._make(size)

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        atexit.unregister(self.close)
        for name in namespaces():
            if name.startswith(f"{self._prefix}-"):
                remove_namespace(name)

    def _make(self, size: int) -> None:
        _ip([f"netns add {self._hub}",
             f"link add {self._prefix} type veth peer name uplink netns {self._hub}",
             f"address add {self.gateway}/24 dev {self._prefix}",
             f"link set {self._prefix} up"])
        _run(["ip", "-n", self._hub, "-batch", "-"],
             "link add switch type bridge\nlink set switch up\n"
             "link set uplink master switch\nlink set uplink up\n")
        for _ in range(size):
            self.add_host()

    def add_host(self) -> Host:
        number = len(self.hosts)
        host = Host(f"{self._prefix}-{number}", f"{self._subnet}.{FIRST_ADDRESS + number}")
        port = f"port{number}"
        _ip([f"netns add {host.name}",
             f"link add name {port} netns {self._hub} type veth peer name eth0 netns {host.name}"])
        _run(["ip", "-n", self._hub, "-batch", "-"],
             f"link set {port} master switch\nlink set {port} up\n")
        _run(["ip", "-n", host.name, "-batch", "-"],
             f"address add {host.address}/24 dev eth0\nlink set eth0 up\nlink set lo up\n")
        self._nft(host, RULES)
        self._in_force.update({(host, "senders"): frozenset(), (host, "refused"): frozenset()})
        self.hosts.append(host)
        return host

    def _nft(self, host: Host, rules: str) -> None:
        _run([*host.wrapper, "nft", "-f", "-"], rules + "\n")

    # ------------------------------------------------------------------ faults

    def cut(self, *links: tuple[Host, Host]) -> None:
        """Both ways."""
        self._cut |= both_ways(links)
        self._enforce()

    def cut_one_way(self, sender: Host, receiver: Host) -> None:
        """What `sender` sends does not arrive any more; what it is sent does."""
        self._cut.add((sender, receiver))
        self._enforce()

    def reset(self, *links: tuple[Host, Host]) -> None:
        """Connections between them are broken, new ones refused: not silence, but a closed door."""
        self._reset |= both_ways(links)
        self._enforce()

    def isolate(self, host: Host) -> None:
        self.split([host])

    def split(self, part: Iterable[Host]) -> None:
        """Between these hosts and all others."""
        inside = set(part)
        self.cut(*[(a, b) for a in inside for b in self.hosts if b not in inside])

    def heal(self) -> None:
        self._cut, self._reset = set(), set()
        self._enforce()

    def _enforce(self) -> None:
        for name, ways in (("senders", self._cut), ("refused", self._reset)):
            for host in self.hosts:
                self._fill(host, name, frozenset(a.address for a, b in ways if b == host))

    def _fill(self, host: Host, name: str, senders: frozenset[str]) -> None:
        if senders == self._in_force[(host, name)]:
            return
        rules = f"flush set inet cut {name}\n"
        if senders:
            rules += f"add element inet cut {name} {{ {', '.join(sorted(senders))} }}\n"
        self._nft(host, rules)
        self._in_force[(host, name)] = senders


def both_ways(links: Iterable[tuple[Host, Host]]) -> set[tuple[Host, Host]]:
    return {way for a, b in links for way in ((a, b), (b, a))}
