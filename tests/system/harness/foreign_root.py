"""Packages of Debian in a root of their own: mail servers exclude each other.

Contract  `ForeignRoot(name, packages)` gives a root folder where those are installed. The machine's
          file system shines through, read-only (overlayfs on a tmpfs); where that may not be
          mounted, debootstrap makes a root. What apt-get wrote is kept below CACHE, so that only
          the first use of a machine needs the package mirror. Nothing is started by the packages.
Owner     Every ForeignRoot has mounts of its own and removes them at the end of its `with`.
Errors    Needs root; says so.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("POSTHORSE_TEST_CACHE", "/var/cache/posthorse-test"))


def _run(*command: str, **options) -> None:
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            check=False, **options)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)} failed ({answer.returncode}):\n"
                           f"{answer.stdout[-2000:]}{answer.stderr[-2000:]}")


class ForeignRoot:
    def __init__(self, name: str, packages: tuple[str, ...], selections: str = "") -> None:
        """`selections`: answers to what the packages ask, as debconf-set-selections reads them."""
        if os.geteuid() != 0:
            raise PermissionError(f"{name} in a root of its own needs root (mount, chroot): use "
                                  "sudo")
        self._name, self._packages, self._selections = name, packages, selections
        self._mounts: list[Path] = []
        CACHE.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="root-", dir=CACHE))
        self.path = self._folder / "root"

    def __enter__(self) -> "ForeignRoot":
        try:
            self._enter_overlay()
        except RuntimeError as overlay_error:
            self._leave()
            self._enter_debootstrap(overlay_error)
            self._mount("--bind", "/dev", target=self.path / "dev")
        self._mount("--bind", "/proc", target=self.path / "proc")
        return self

    def __exit__(self, *_) -> None:
        self._leave()
        shutil.rmtree(self._folder, ignore_errors=True)

    def command(self, *command: str) -> list[str]:
        """`command` as it is started inside the root."""
        return ["chroot", str(self.path), *command]

    def run(self, *command: str) -> str:
        return subprocess.run(self.command(*command), check=True, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL).stdout

    def bind(self, outside: Path, inside: str) -> None:
        """Shows a folder of the machine's disk at a path in the root."""
        target = self.path / inside.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        self._mount("--bind", str(outside), target=target)

    def _mount(self, *arguments: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        _run("mount", *arguments, str(target))
        self._mounts.append(target)

    def _leave(self) -> None:
        while self._mounts:
            subprocess.run(["umount", "-l", str(self._mounts.pop())], check=False)

    def _enter_overlay(self) -> None:
        layers = self._folder / "layers"
        self._mount("-t", "tmpfs", "tmpfs", target=layers)
        (layers / "work").mkdir()
        kept = CACHE / f"{self._name}-{_machine_key()}.tar"
        if kept.exists():
            _run("tar", "-C", str(layers), "-xpf", str(kept))
        else:
            (layers / "upper").mkdir()
        options = f"lowerdir=/,upperdir={layers}/upper,workdir={layers}/work"
        self._mount("-t", "overlay", "overlay", "-o", options, target=self.path)
        self._mount("--bind", "/dev", target=self.path / "dev")
        if not kept.exists():
            self._install()
            for outdated in CACHE.glob(f"{self._name}-*.tar"):
                outdated.unlink(missing_ok=True)
            _run("tar", "-C", str(layers), "-cpf", f"{kept}.new", "upper")
            os.rename(f"{kept}.new", kept)

    def _name_machine(self) -> None:
        """Without a full name for the machine some servers wait a minute for one, at each start."""
        name = socket.gethostname().split(".", 1)[0]
        hosts = self.path / "etc/hosts"
        hosts.unlink(missing_ok=True)
        hosts.write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}.posthorse.test {name}\n")

    def _install(self) -> None:
        self._name_machine()
        policy = self.path / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(self.command("debconf-set-selections"), input=self._selections, text=True,
                       check=True)
        # Processes of their own: a package's script may stop what looks like its server.
        install = ["unshare", "--pid", "--fork", "--mount", f"--mount-proc={self.path}/proc",
                   *self.command("apt-get", "install", "-y", "-q", "--no-install-recommends",
                                 *self._packages)]
        try:
            _run(*install, env=environment)
        except RuntimeError:  # the machine's package lists may be old, or not there
            _run(*self.command("apt-get", "update", "-q"), env=environment)
            _run(*install, env=environment)

    def _enter_debootstrap(self, overlay_error: RuntimeError) -> None:
        made = CACHE / f"debootstrap-{self._name}"
        complete = made / "complete"
        if not complete.exists():
            print(f"no overlay ({overlay_error}); making a root with debootstrap", flush=True)
            shutil.rmtree(made, ignore_errors=True)
            _run("debootstrap", "--variant=minbase", "--include=" + ",".join(self._packages),
                 "bookworm", str(made))
            complete.touch()
        self.path = made
        self._name_machine()


def _machine_key() -> str:
    """Changes when the machine's packages change: the kept layer fits only those below it."""
    listing = subprocess.run(["dpkg-query", "-W"], check=True, capture_output=True).stdout
    return hashlib.sha256(listing).hexdigest()[:16]
