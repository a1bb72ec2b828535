"""Other people's mail clients: each submits one given message over TLS with a login.

Errors    AssertionError with what the client said; DoesNotSpeak when it says by itself that it does
          not know the mechanism.
"""

import os
import re
import smtplib
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

OWN_CHOICE = ""  # as a mechanism: what the client chooses of those that are offered

# Standard input: the message. Arguments: port, implicit TLS or not, CA, login, password, from, to,
# mechanism.
NODEMAILER = """
const nodemailer = require('nodemailer');
const fs = require('fs');
const [port, secure, ca, user, pass, from, to, authMethod] = process.argv.slice(1);
const transport = nodemailer.createTransport({
  host: '127.0.0.1', port: Number(port), secure: secure === 'yes', requireTLS: true,
  auth: { user, pass }, tls: { ca: fs.readFileSync(ca) },
  ...(authMethod ? { authMethod } : {}) });
transport.sendMail({ envelope: { from, to }, raw: fs.readFileSync(0) }, error => {
  if (error) { console.error(String(error)); process.exit(1); }
  process.exit(0); });
"""

# The same for Perl.
NET_SMTP = """
use strict; use warnings; use Net::SMTP; use Authen::SASL;
my ($port, $secure, $ca, $user, $pass, $from, $to, $mechanism) = @ARGV;
my %tls = (SSL_ca_file => $ca, SSL_verify_mode => 1);
my $smtp = Net::SMTP->new('localhost', Port => $port, Hello => 'client.test',
    SSL => $secure eq 'yes', %tls) or die "connect: $@";
$secure eq 'yes' or $smtp->starttls(%tls) or die "STARTTLS: $@";
my $sasl = Authen::SASL->new(mechanism => $mechanism,
    callback => { user => $user, pass => $pass, authname => '' });
sub ok { $_[0] or die $smtp->code . ' ' . $smtp->message; }
ok($smtp->auth($sasl));
my $mail = do { local $/; <STDIN> };
ok($smtp->mail($from)); ok($smtp->to($to)); ok($smtp->data); ok($smtp->datasend($mail));
ok($smtp->dataend); $smtp->quit;
"""


class DoesNotSpeak(AssertionError):
    """The client says that it does not know the mechanism."""


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


def _run(command: list[str], message: bytes, unknown: str = "", **environment: str) -> None:
    """`unknown`: a pattern of what the command says of mechanisms that it does not know."""
    answer = subprocess.run(command, input=message, capture_output=True, check=False, timeout=60,
                            env=os.environ | environment)
    shown = (answer.stdout + answer.stderr).decode(errors="replace")
    if answer.returncode and unknown and re.search(unknown, shown):
        raise DoesNotSpeak(shown[-2000:])
    if answer.returncode:
        raise AssertionError(f"{command[0]} exited {answer.returncode}:\n{shown[-2000:]}")


def swaks(job: Submission) -> None:
    tls = ["--tls-on-connect"] if job.implicit_tls else ["--tls"]
    mechanism = [job.mechanism] if job.mechanism else []
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        # swaks reads lines that end in LF, sends CRLF, and ends the last line itself.
        file.write(job.message.replace(b"\r\n", b"\n").removesuffix(b"\n"))
        file.flush()
        _run(["swaks", "--server", f"localhost:{job.port}", *tls, "--tls-verify", "--tls-ca-path",
              str(job.ca), "--auth", *mechanism, "--auth-user", job.login,
              "--auth-password", job.password, "--from", job.sender, "--to", job.recipient,
              "--helo", "client.test", "--data", f"@{file.name}"], b"",
             unknown="not a recognized auth type")


def msmtp(job: Submission) -> None:
    starttls = "off" if job.implicit_tls else "on"
    _run(["msmtp", "--host=localhost", f"--port={job.port}", "--tls=on",
          f"--tls-starttls={starttls}", f"--tls-trust-file={job.ca}",
          f"--auth={job.mechanism.lower() or 'on'}", f"--user={job.login}",
          "--passwordeval=printenv PH_PASSWORD", f"--from={job.sender}", "--domain=client.test",
          "--set-date-header=off", "--set-msgid-header=off", "--set-from-header=off", "--",
          job.recipient], job.message.replace(b"\r\n", b"\n"), PH_PASSWORD=job.password,
         unknown="invalid argument|unknown authentication method|not compiled in")


def curl(job: Submission) -> None:
    url = f"smtp{'s' if job.implicit_tls else ''}://localhost:{job.port}/client.test"
    options = ["--login-options", f"AUTH={job.mechanism}"] if job.mechanism else []
    _run(["curl", "--verbose", "--silent", "--show-error", "--url", url, "--ssl-reqd", "--cacert",
          str(job.ca), "--user", f"{job.login}:{job.password}", *options,
          "--mail-from", job.sender, "--mail-rcpt", job.recipient, "--upload-file", "-"],
         job.message, unknown="URL using bad/illegal format|No known authentication mechanisms")


def s_nail(job: Submission) -> None:
    """Sends a message again, as it is."""
    address = f"{quote(job.login, safe='')}:{quote(job.password, safe='')}@localhost:{job.port}"
    tls = [] if job.implicit_tls else ["-S", "smtp-use-starttls"]
    mechanism = ["-S", f"smtp-auth={job.mechanism.lower()}"] if job.mechanism else []
    with tempfile.NamedTemporaryFile(suffix=".mbox") as file:
        text = re.sub(rb"(?m)^(>*From )", rb">\1", job.message.replace(b"\r\n", b"\n"))
        file.write(b"From rider Sun Nov 22 02:00:00 2026\n" + text + b"\n")
        file.flush()
        _run(["s-nail", "-#", "-:/", "-S", "v15-compat", "-S", "sendwait", "-S", "verbose",
              "-S", "DEAD=/dev/null",
              "-S", f"mta={'submissions' if job.implicit_tls else 'submission'}://{address}",
              "-S", f"tls-ca-file={job.ca}", "-S", "tls-ca-no-defaults", "-S", "tls-verify=strict",
              "-S", f"from={job.sender}", "-S", "hostname=client.test", *tls, *mechanism,
              "-R", "-Y", f"Resend 1 {job.recipient}", "-Y", "xit $?", "-f", file.name], b"",
             unknown="[Uu]nsupported|unknown SMTP authentication", LC_ALL="C.UTF-8")


def python_smtplib(job: Submission) -> None:
    context = ssl.create_default_context(cafile=job.ca)
    if job.implicit_tls:
        client = smtplib.SMTP_SSL("localhost", job.port, "client.test", context=context)
    else:
        client = smtplib.SMTP("localhost", job.port, "client.test")
    with client:
        if not job.implicit_tls:
            client.starttls(context=context)
        try:
            _log_in(client, job)
        except smtplib.SMTPAuthenticationError as error:
            raise AssertionError(f"smtplib: {error}") from error
        client.sendmail(job.sender, [job.recipient], job.message)


def _log_in(client: smtplib.SMTP, job: Submission) -> None:
    if not job.mechanism:
        client.login(job.login, job.password)
        return
    client.ehlo_or_helo_if_needed()
    client.user, client.password = job.login, job.password
    exchange = getattr(client, "auth_" + job.mechanism.lower().replace("-", "_"), None)
    if not exchange:
        raise DoesNotSpeak(f"smtplib has no exchange for {job.mechanism}")
    client.auth(job.mechanism, exchange)


def _script_arguments(job: Submission) -> list[str]:
    return [str(job.port), "yes" if job.implicit_tls else "no", str(job.ca), job.login,
            job.password, job.sender, job.recipient, job.mechanism]


def nodemailer(job: Submission, modules: str = "/usr/share/nodejs") -> None:
    _run(["node", "-e", NODEMAILER, *_script_arguments(job)], job.message,
         unknown="Unknown authentication method", NODE_PATH=modules)


def net_smtp(job: Submission) -> None:
    _run(["perl", "-e", NET_SMTP, *_script_arguments(job)], job.message,
         unknown="No SASL mechanism found")


CLIENTS: dict[str, Callable[[Submission], None]] = {
    "swaks": swaks, "msmtp": msmtp, "curl": curl, "smtplib": python_smtplib,
    "nodemailer": nodemailer}
