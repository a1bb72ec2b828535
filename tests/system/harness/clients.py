"""Other people's mail clients: each submits one given message over TLS with a login."""

import os
import smtplib
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Standard input: the message. Arguments: port, implicit TLS or not, CA, login, password, from, to.
NODEMAILER = """
const nodemailer = require('nodemailer');
const fs = require('fs');
const [port, secure, ca, user, pass, from, to] = process.argv.slice(1);
const transport = nodemailer.createTransport({
  host: '127.0.0.1', port: Number(port), secure: secure === 'yes', requireTLS: true,
  auth: { user, pass }, tls: { ca: fs.readFileSync(ca) } });
transport.sendMail({ envelope: { from, to }, raw: fs.readFileSync(0) }, error => {
  if (error) { console.error(String(error)); process.exit(1); }
  process.exit(0); });
"""


@dataclass(frozen=True)
class Submission:
    port: int
    implicit_tls: bool  # 465, or STARTTLS on 587
    ca: Path
    login: str
    password: str
    sender: str
    recipient: str
    message: bytes  # CRLF lines
    mechanism: str = "PLAIN"


def _run(command: list[str], message: bytes, **environment: str) -> None:
    answer = subprocess.run(command, input=message, capture_output=True, check=False, timeout=60,
                            env=os.environ | environment)
    if answer.returncode:
        shown = (answer.stdout + answer.stderr).decode(errors="replace")
        raise AssertionError(f"{command[0]} exited {answer.returncode}:\n{shown[-2000:]}")


def swaks(job: Submission) -> None:
    tls = ["--tls-on-connect"] if job.implicit_tls else ["--tls"]
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        # swaks reads lines that end in LF, sends CRLF, and ends the last line itself.
        file.write(job.message.replace(b"\r\n", b"\n").removesuffix(b"\n"))
        file.flush()
        _run(["swaks", "--server", f"localhost:{job.port}", *tls, "--tls-verify", "--tls-ca-path",
              str(job.ca), "--auth", job.mechanism, "--auth-user", job.login,
              "--auth-password", job.password, "--from", job.sender, "--to", job.recipient,
              "--helo", "client.test", "--data", f"@{file.name}"], b"")


def msmtp(job: Submission) -> None:
    starttls = "off" if job.implicit_tls else "on"
    _run(["msmtp", "--host=localhost", f"--port={job.port}", "--tls=on",
          f"--tls-starttls={starttls}", f"--tls-trust-file={job.ca}",
          f"--auth={job.mechanism.lower()}", f"--user={job.login}",
          "--passwordeval=printenv PH_PASSWORD", f"--from={job.sender}", "--domain=client.test",
          "--set-date-header=off", "--set-msgid-header=off", "--set-from-header=off", "--",
          job.recipient], job.message.replace(b"\r\n", b"\n"), PH_PASSWORD=job.password)


def curl(job: Submission) -> None:
    url = f"smtp{'s' if job.implicit_tls else ''}://localhost:{job.port}/client.test"
    _run(["curl", "--silent", "--show-error", "--url", url, "--ssl-reqd", "--cacert",
          str(job.ca), "--user", f"{job.login}:{job.password}",
          "--login-options", f"AUTH={job.mechanism}", "--mail-from", job.sender,
          "--mail-rcpt", job.recipient,
          "--upload-file", "-"], job.message)


def python_smtplib(job: Submission) -> None:
    context = ssl.create_default_context(cafile=job.ca)
    if job.implicit_tls:
        client = smtplib.SMTP_SSL("localhost", job.port, "client.test", context=context)
    else:
        client = smtplib.SMTP("localhost", job.port, "client.test")
    with client:
        if not job.implicit_tls:
            client.starttls(context=context)
        client.login(job.login, job.password)
        client.sendmail(job.sender, [job.recipient], job.message)


def nodemailer(job: Submission) -> None:
    _run(["node", "-e", NODEMAILER, str(job.port), "yes" if job.implicit_tls else "no", str(job.ca),
          job.login, job.password, job.sender, job.recipient], job.message,
         NODE_PATH="/usr/share/nodejs")


CLIENTS: dict[str, Callable[[Submission], None]] = {
    "swaks": swaks, "msmtp": msmtp, "curl": curl, "smtplib": python_smtplib,
    "nodemailer": nodemailer}
