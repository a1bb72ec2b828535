"""nullmailer in a root of its own: a queue whose only way out is a login at a mail server."""

import shutil
import subprocess

from harness.clients import DoesNotSpeak, Submission
from harness.foreign_root import ForeignRoot

SETTINGS = "/etc/nullmailer"
QUEUE = "/var/spool/nullmailer"
OPTIONS = {"": [], "PLAIN": [], "LOGIN": ["auth-login"]}  # it looks for PLAIN first by itself


class Nullmailer:
    def __init__(self) -> None:
        self._root = ForeignRoot("nullmailer", ("nullmailer",))

    def __enter__(self) -> "Nullmailer":
        self._root.__enter__()
        return self

    def __exit__(self, *_) -> None:
        self._root.__exit__()

    def version(self) -> str:
        return self._root.run("dpkg-query", "-W", "-f", "${Version}", "nullmailer")

    def help(self) -> str:
        """What its SMTP module can be told."""
        answer = subprocess.run(self._root.command("/usr/lib/nullmailer/smtp", "--help"),
                                capture_output=True, text=True, check=False)
        return answer.stdout + answer.stderr

    def submit(self, job: Submission) -> None:
        """Into its queue, and one run of that."""
        if job.mechanism not in OPTIONS:
            raise DoesNotSpeak(self.help())
        self._configure(job)
        envelope = f"{job.sender}\n{job.recipient}\n\n".encode()
        subprocess.run(self._root.command("/usr/sbin/nullmailer-queue"), check=True,
                       input=envelope + job.message.replace(b"\r\n", b"\n"), capture_output=True)
        answer = subprocess.run(
            ["chroot", "--userspec=mail:mail", str(self._root.path), "/usr/sbin/nullmailer-send"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        waiting = list((self._root.path / QUEUE.lstrip("/")).glob("*/[0-9]*"))
        if waiting:
            raise AssertionError(f"nullmailer: {answer.stdout}{answer.stderr}")

    def _configure(self, job: Submission) -> None:
        spool = self._root.path / QUEUE.lstrip("/")
        for folder in ("queue", "failed", "tmp"):
            for file in (spool / folder).glob("*"):
                file.unlink()
        settings = self._root.path / SETTINGS.lstrip("/")
        settings.mkdir(exist_ok=True)
        shutil.copy(job.ca, settings / "ca.pem")
        remote = " ".join([
            "localhost smtp", f"port={job.port}", "tls" if job.implicit_tls else "starttls",
            f"x509cafile={SETTINGS}/ca.pem", f"user={job.login}", f"pass={job.password}",
            *OPTIONS[job.mechanism]])
        for name, text in (("remotes", remote), ("me", "client.test"), ("pausetime", "0"),
                           ("helohost", "client.test")):
            (settings / name).write_text(text + "\n")
