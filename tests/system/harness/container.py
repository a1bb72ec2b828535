"""A container without an engine: one service of the compose file as namespaces of this machine.

Contract  Own mounts (overlayfs above the image, read-only if the file says so), process ids
          (the node is number 1), host name, System V IPC, and the network of a `Host`. The
          image's user, no capability but the file's, no_new_privs. Nothing is mounted outside: all
          goes with the process. `run` is `docker compose exec`, `stop` `docker compose stop`.
          How the user may bind low ports is the engine's: with `ambient` by the capability alone,
          as Podman and systemd give it; else by the sysctls alone, as with Docker, which lets
          nobody but root have the capability.
Owner     `with`: at the end it is killed.
Bounds    No cgroup, no seccomp filter; /dev is the machine's. Needs root and util-linux.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import wait
from harness.compose import Service
from harness.container_image import Image
from harness.network import Host
from harness.processes import Process, descendants


class Container:
    def __init__(self, image: Image, service: Service, host: Host, folder: Path,
                 ambient: bool) -> None:
        """`folder`: on a disk, of this container alone; its volumes begin empty."""
        self.image, self.service, self.host = image, service, host
        self.ambient = ambient
        self.log = folder / "log"
        self._folder = folder
        for volume in service.volumes:
            (folder / volume).mkdir()
            os.chmod(folder / volume, 0o700)
            os.chown(folder / volume, *image.ids())
        (folder / "layers").mkdir()
        (folder / "begin").write_text(self._script())
        self._process: Process | None = None

    def __enter__(self) -> "Container":
        command = [*self.host.wrapper, "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork",
                   "--kill-child", "sh", "-eu", str(self._folder / "begin")]
        self._process = Process(command, self.log)
        return self

    def __exit__(self, *_) -> None:
        if self._process.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._process.kill()

    @property
    def pid(self) -> int:
        """Of the node, which is number 1 inside."""
        below = descendants(self._process.pid)
        if len(below) < 2:
            raise ProcessLookupError(f"{self.service.name} does not run yet, or any more")
        return below[1]

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def status(self) -> dict[str, str]:
        """Of the node's process, as the kernel says."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}

    def answer(self, *command: str) -> subprocess.CompletedProcess:
        """A command inside, with the privileges of the node."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net",
                 "--pid", "--root", "--wd", *self._privileges()]
        return subprocess.run([*enter, *command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60, check=False)

    def run(self, *command: str) -> str:
        answer = self.answer(*command)
        if answer.returncode:
            raise AssertionError(f"{self.service.name}: {shlex.join(command)} exited "
                                 f"{answer.returncode}: {answer.stderr}\n{self.tail()}")
        return answer.stdout

    def wait_ready(self, timeout_s: float) -> None:
        """By the health check of the compose file."""
        def healthy_or_ended() -> bool:
            return not self._process.running() or \
                self.answer(*self.service.ready).returncode == 0

        try:
            wait.until(healthy_or_ended, f"{self.service.name} is healthy", timeout_s, every_s=0.2)
        except wait.GaveUp as gave_up:
            raise AssertionError(f"{gave_up}\n{self.tail()}") from None
        if not self._process.running():
            raise AssertionError(f"{self.service.name} has ended:\n{self.tail()}")

    def stop(self) -> float:
        """SIGTERM, and SIGKILL after the grace period, which falls short: seconds."""
        began = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        code = self._process.wait_or_kill(self.service.stop_grace_s)
        if code:
            raise AssertionError(f"{self.service.name} ended with {code}:\n{self.tail()}")
        return time.monotonic() - began

    def destroy_volumes(self) -> None:
        """`docker volume rm`, once it has ended."""
        for volume in self.service.volumes:
            shutil.rmtree(self._folder / volume)

    def _privileges(self) -> list[str]:
        uid, gid = self.image.ids()
        kept = ",".join(["-all", *(f"+{one.lower()}" for one in self.service.capabilities)])
        own = kept if self.ambient else "-all"
        return ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "setpriv", f"--reuid={uid}",
                f"--regid={gid}", "--clear-groups", f"--bounding-set={kept}",
                f"--inh-caps={own}", f"--ambient-caps={own}", "--no-new-privs"]

    def _script(self) -> str:
        """What an engine does between fork and exec."""
        layers, root = self._folder / "layers", self._folder / "layers/root"
        mounts = [(mount.source, mount.target, mount.read_only) for mount in self.service.mounts]
        mounts += [(self._folder / name, target, False)
                   for name, target in self.service.volumes.items()]
        mounts += [(self._folder / "resolv.conf", "/etc/resolv.conf", True)]
        mounts += [(source.absolute(), target, True) for source, target in self.image.copies()]
        lines = [
            f"mount -t tmpfs tmpfs {layers}",
            f"mkdir {layers}/upper {layers}/work {root}",
            f"mount -t overlay overlay -o lowerdir={self.image.path},upperdir={layers}/upper,"
            f"workdir={layers}/work {root}",
            f"mount -t proc proc {root}/proc",
            f"mount --bind /dev {root}/dev",
        ]
        for source, target, read_only in mounts:
            lines += _mount(source, f"{root}{target}", read_only)
        for target, options in self.service.tmpfs:
            lines += [f"mkdir -p {root}{target}",
                      f"mount -t tmpfs -o {options},nosuid,nodev tmpfs {root}{target}"]
        if self.service.read_only:
            lines.append(f"mount -o remount,ro {root}")
        if not self.ambient:
            lines += [f"echo {value} >/proc/sys/{key.replace('.', '/')}"
                      for key, value in self.service.sysctls.items()]
        command = [*self._privileges(), *self.image.entry, *self.image.command]
        lines += [f"hostname {self.service.name}", f"exec chroot {root} {shlex.join(command)}"]
        return "\n".join(lines) + "\n"


def _mount(source: Path, target: str, read_only: bool) -> list[str]:
    place = f"mkdir -p {target}"
    if source.is_file():
        place = f"mkdir -p $(dirname {target}); rm -f {target}; touch {target}"
    bound = [place, f"mount --bind {source} {target}"]
    return bound + ([f"mount -o remount,bind,ro {target}"] if read_only else [])
