"""Debian's Postfix in a root of its own, so that the machine keeps whatever mail server it has.

Contract  `PostfixRoot()` gives a root folder with smtp-source, smtp-sink and postfix installed. The
          machine's file system shines through, read-only (overlayfs on a tmpfs); where that may not
          be mounted, debootstrap makes a root. What apt-get wrote is kept below CACHE, so that only
          the first use of a machine needs the package mirror. Nothing is started by the packages.
Owner     Every PostfixRoot has mounts of its own and removes them at the end of its `with`.
Errors    Needs root; says so.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("POSTHORSE_TEST_CACHE", "/var/cache/posthorse-test"))
PACKAGES = ["postfix", "postfix-pcre"]


def _run(*command: str, **options) -> None:
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            check=False, **options)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command)} failed ({answer.returncode}):\n"
                           f"{answer.stdout[-2000:]}{answer.stderr[-2000:]}")


class PostfixRoot:
    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise PermissionError("a Postfix of its own needs root (mount, chroot): use sudo")
        self._mounts: list[Path] = []
        CACHE.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="root-", dir=CACHE))
        self.path = self._folder / "root"

    def __enter__(self) -> "PostfixRoot":
        try:
            self._enter_overlay()
        except RuntimeError as overlay_error:
            self._leave()
            self._enter_debootstrap(overlay_error)
        self._bind_system()
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
        kept = CACHE / f"postfix-{_machine_key()}.tar"
        if kept.exists():
            _run("tar", "-C", str(layers), "-xpf", str(kept))
        else:
            (layers / "upper").mkdir()
        options = f"lowerdir=/,upperdir={layers}/upper,workdir={layers}/work"
        self._mount("-t", "overlay", "overlay", "-o", options, target=self.path)
        if not kept.exists():
            self._install()
            _run("tar", "-C", str(layers), "-cpf", f"{kept}.new", "upper")
            os.rename(f"{kept}.new", kept)

    def _install(self) -> None:
        policy = self.path / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        selection = "postfix postfix/main_mailer_type select No configuration\n"
        subprocess.run(self.command("debconf-set-selections"), input=selection, text=True,
                       check=True)
        _run(*self.command("apt-get", "update", "-q"), env=environment)
        _run(*self.command("apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES),
             env=environment)

    def _enter_debootstrap(self, overlay_error: RuntimeError) -> None:
        made = CACHE / "debootstrap"
        if not (made / "usr/sbin/smtp-source").exists():
            print(f"no overlay ({overlay_error}); making a root with debootstrap", flush=True)
            shutil.rmtree(made, ignore_errors=True)
            _run("debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), "bookworm",
                 str(made))
        self.path = made

    def _bind_system(self) -> None:
        for name in ("dev", "proc"):
            self._mount("--bind", f"/{name}", target=self.path / name)


def _machine_key() -> str:
    """Changes when the machine's packages change: the kept layer fits only those below it."""
    listing = subprocess.run(["dpkg-query", "-W"], check=True, capture_output=True).stdout
    return hashlib.sha256(listing).hexdigest()[:16]
