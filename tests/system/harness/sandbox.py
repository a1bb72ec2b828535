"""Runs a program as a systemd unit has it: `python3 -m harness.sandbox UNIT COMMAND...`.

There is no systemd in the tests; what its filters leave of the kernel is made here of the unit's
own lines: system calls, address families, no memory that is written and executed, no new
privileges, no capability but those that are bounded. Not its file systems, which a test has no
paths for. A call that is not allowed fails as SystemCallErrorNumber says.

Contract  The list of a group is systemd's own (`systemd-analyze syscall-filter`).
"""

import configparser
import ctypes
import errno
import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path

import seccomp

PR_CAPBSET_DROP, PR_CAPBSET_READ = 24, 23
CAPABILITIES = {"CAP_NET_BIND_SERVICE": 10}
CLOSED = {"PrivateDevices": "yes", "NoNewPrivileges": "yes", "MemoryDenyWriteExecute": "yes"}


def unit_settings(unit: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(unit)
    return dict(parser["Service"])


def calls_of(group: str) -> set[str]:
    """Its system calls, and those of the groups in it."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", group], check=True,
                            capture_output=True, text=True).stdout
    lines = [line.strip() for line in listed.splitlines()[1:]]
    names = {line for line in lines if line and not line.startswith(("#", "@"))}
    for inner in (line for line in lines if line.startswith("@")):
        names |= calls_of(inner)
    return names


def allow(rules: seccomp.SyscallFilter, name: str, *arguments: seccomp.Arg) -> None:
    try:
        rules.add_rule(seccomp.ALLOW, name, *arguments)
    except (ValueError, RuntimeError):
        pass  # another architecture's


def filter_of(settings: dict[str, str]) -> seccomp.SyscallFilter:
    refusal = getattr(errno, settings["SystemCallErrorNumber"])
    rules = seccomp.SyscallFilter(seccomp.ERRNO(refusal))
    names = calls_of("@default")
    for group in settings["SystemCallFilter"].split():
        names |= calls_of(group)
    for name in sorted(names - {"mmap", "mprotect", "socket"}):
        allow(rules, name)
    for right in (mmap.PROT_EXEC, mmap.PROT_WRITE):  # not both
        allow(rules, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, right, 0))
    allow(rules, "mprotect", seccomp.Arg(2, seccomp.MASKED_EQ, mmap.PROT_EXEC, 0))
    for family in settings["RestrictAddressFamilies"].split():
        allow(rules, "socket", seccomp.Arg(0, seccomp.EQ, getattr(socket, family)))
    return rules


def drop_capabilities(kept: set[int]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    number = 0
    while libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if number not in kept and libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "cannot drop a capability")
        number += 1


def main() -> None:
    settings = unit_settings(Path(sys.argv[1]))
    for name, value in CLOSED.items():
        if settings.get(name) != value:
            raise SystemExit(f"{sys.argv[1]}: {name} is not {value}")
    drop_capabilities({CAPABILITIES[name]
                       for name in settings["CapabilityBoundingSet"].split()})
    filter_of(settings).load()
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
