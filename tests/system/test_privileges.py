"""A node has few rights: of a user of its own, and of what the systemd unit leaves it."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness import pam, wait
from harness.clients import Submission, python_smtplib
from harness.mails import HARD_MAIL
from harness.node import LOGIN, PASSWORD, Node, answer_of, merged, routes_to

UNIT = Path("deploy/systemd/posthorse.service").absolute()
USER = "nobody"
BIND_LOW_PORTS = 1 << 10

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def give_to(user: str, node: Node) -> None:
    entry = pwd.getpwnam(user)
    node.data.mkdir()
    for path in [node.folder, *node.folder.rglob("*")]:
        os.chown(path, entry.pw_uid, entry.pw_gid)


def low_port() -> int:
    for port in range(1023, 512, -1):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port below 1024 is free")


def reload(node: Node) -> None:
    def count() -> int:
        return node.log.read_text().count(" reloaded problems=0")

    before = count()
    os.kill(node.pid, signal.SIGHUP)
    wait.until(lambda: count() > before, "the files are read again")


def send(node: Node, port: str = "submissions") -> None:
    python_smtplib(Submission(node.ports[port], port == "submissions", node.certificates.ca, LOGIN,
                              PASSWORD, LOGIN, "you@sink.test", HARD_MAIL, "PLAIN"))


def test_root_becomes_the_user_and_keeps_the_right_to_bind_low_ports(sink):
    node = Node()
    node.ports["submissions"] = low_port()
    node.write_config(merged(routes_to({"sink.test": sink.port}), {"user": USER}))
    node.add_user()
    give_to(USER, node)
    with node:
        entry = pwd.getpwnam(USER)
        for task in Path(f"/proc/{node.pid}/task").iterdir():
            rights = status(int(task.name))
            assert set(rights["Uid"].split()) == {str(entry.pw_uid)}
            assert set(rights["Gid"].split()) == {str(entry.pw_gid)}
            assert int(rights["CapEff"], 16) == int(rights["CapPrm"], 16) == BIND_LOW_PORTS
            assert int(rights["CapBnd"], 16) == int(rights["CapInh"], 16) == 0
            assert rights["NoNewPrivs"] == "1"
        assert "runs_as_root" not in node.log.read_text()
        send(node)
        wait.until(lambda: sink.received, "the mail arrives")
        reload(node)


def test_a_user_that_is_not_there_is_named():
    node = Node({"user": "no-such-rider"})
    answer = answer_of("serve", "--config", str(node.config))
    shutil.rmtree(node.folder)
    assert answer.returncode == 1
    assert "user: there is no user 'no-such-rider'" in answer.stderr


def test_who_is_not_root_cannot_become_another():
    node = Node({"user": "daemon"})
    give_to(USER, node)
    answer = subprocess.run(
        ["setpriv", f"--reuid={USER}", "--clear-groups", str(Path("build/daemon/posthorse")),
         "serve", "--config", str(node.config)], capture_output=True, text=True, check=False)
    shutil.rmtree(node.folder)
    assert answer.returncode == 1
    assert "cannot become 'daemon'" in answer.stderr


@pytest.mark.skipif(not pam.WRITABLE, reason="/etc/pam.d is not ours")
@pytest.mark.parametrize("backend", ["file", "pam"])
def test_what_the_unit_leaves_of_the_kernel_is_enough(sink, tmp_path, backend):
    program = tmp_path / "ask"
    program.write_text(f'#!/bin/sh\nread -r word\n[ "$word" = {PASSWORD} ]\n')
    program.chmod(0o755)
    with pam.pam_service(program) as service:
        node = Node(merged(routes_to({"sink.test": sink.port}),
                           {"auth": {"backend": backend, "pam_service": service}}))
        node.add_user()
        node.start([sys.executable, "-m", "harness.sandbox", str(UNIT)])
        try:
            assert status(node.pid)["Seccomp"] == "2"
            send(node)
            send(node, "submission")
            wait.until(lambda: len(sink.received) == 2, "both arrive")
            wait.until(lambda: not node.queue(), "an operator sees an empty queue")
            reload(node)
            node.stop()
        finally:
            node.kill()
            shutil.rmtree(node.folder, ignore_errors=True)


def test_the_sandbox_refuses_what_the_unit_refuses():
    forbidden = {
        "a raw socket": "import socket; socket.socket(socket.AF_PACKET)",
        "memory to write and execute": "import mmap; mmap.mmap(-1, 4096, prot=7)",
        "another root": "import os; os.chroot('/')",
    }
    for name, code in forbidden.items():
        answer = subprocess.run(
            [sys.executable, "-m", "harness.sandbox", str(UNIT), sys.executable, "-c", code],
            capture_output=True, text=True, check=False)
        assert answer.returncode != 0, name
        assert "PermissionError" in answer.stderr, (name, answer.stderr)
